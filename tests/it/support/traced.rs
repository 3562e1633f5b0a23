//! One run of a real app with a real tracer, from its start to what arrived at the intake.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use crate::support::arrived::{self, Arrived};
use crate::support::connect_proxy::ConnectProxy;
use crate::support::recorder::Recorder;
use crate::support::tee::{Sent, Tee};
use crate::support::wrapped::{self, Wrapped};

/// What the settings of every run say, and every span must.
pub const SERVICE: &str = "hello";
/// See [`SERVICE`].
pub const ENV: &str = "testing";
/// See [`SERVICE`].
pub const VERSION: &str = "1.2.3";

/// An app that runs under pillion, with a tap before the intake.
#[derive(Debug)]
pub struct Run {
    pub wrapped: Wrapped,
    pub tee: Tee,
    pub port: u16,
}

/// The statements that the apps send, and what the agent makes of them where it hides what was typed.
const STATEMENTS: [(&str, &str); 2] = [
    (
        "CREATE TABLE orders (number INTEGER, item TEXT)",
        "CREATE TABLE orders ( number INTEGER, item TEXT )",
    ),
    ("INSERT INTO orders VALUES (?, ?)", "INSERT INTO orders VALUES ( ? )"),
];

impl Run {
    /// Starts `command` under pillion with `arguments` for it, and waits until it serves. `env` is added to what every run has.
    pub fn start(arguments: &[&str], command: &[&str], path: &Path, env: &[(&str, &str)]) -> Self {
        let (port, intake) = (wrapped::free_port(), wrapped::free_port());
        let tee = Tee::start(intake);
        let pillion = wrapped::pillion().display().to_string();
        let words: Vec<&str> =
            [pillion.as_str()].iter().chain(arguments).chain(command).copied().collect();
        let (port_text, intake_text, url) = (port.to_string(), intake.to_string(), tee.url());
        let mut all = settings(&port_text);
        all.extend([
            ("DD_APM_RECEIVER_PORT", intake_text.as_str()),
            ("DD_TRACE_AGENT_URL", url.as_str()),
            // The tracer's telemetry stays on the machine.
            ("DD_APM_TELEMETRY_DD_URL", "127.0.0.1:1"),
        ]);
        all.extend(env);
        let mut wrapped = Wrapped::start(&words, path, &all);
        wrapped.wait_until_serving(port);
        Self { wrapped, tee, port }
    }

    /// Asks for a page and checks the status.
    pub fn get(&self, page: &str, status: u16) {
        assert_eq!(
            wrapped::get(self.port, page),
            Some(status),
            "{page}: {}",
            self.wrapped.stderr()
        );
    }

    /// Sends TERM and waits for the end.
    pub fn term(&mut self) -> ExitStatus {
        self.wrapped.signal(Signal::SIGTERM);
        self.wrapped.wait()
    }

    /// Checks that every span that the tracer sent (and got an answer for) arrived, as it was and once, and nothing else; that each says
    /// service, env and version; and that the stats count each span that has to be counted. Gives what arrived.
    pub fn check_delivery(&self, intake: &Recorder, language: &str) -> BTreeMap<u64, Arrived> {
        let (mut sent, arrived) = (self.tee.spans(), arrived::spans(intake));
        assert!(!sent.is_empty(), "the tracer sent nothing: {}", self.wrapped.stderr());
        // The agent's form of a name begins with a letter.
        sent.values_mut().for_each(|span| span.name = span.name.replace("__main__.", "main."));
        for span in sent.values_mut() {
            if let Some((_, hidden)) = STATEMENTS.iter().find(|(sent, _)| *sent == span.resource) {
                span.resource = (*hidden).into();
            }
        }
        let as_sent: BTreeMap<u64, Sent> =
            arrived.iter().map(|(id, arrived)| (*id, sent_of(arrived))).collect();
        assert_eq!(as_sent, sent);
        for arrived in arrived.values() {
            let said = (arrived.env.as_str(), arrived.language.as_str());
            assert_eq!(said, (ENV, language), "{:?}", arrived.span);
            // A tracer gives its version to the spans of its own service alone, not to those of a database.
            let own = arrived.span.service == SERVICE;
            let version = if own { &arrived.span.version } else { &arrived.version };
            assert_eq!(version, VERSION, "{:?}", arrived.span);
            assert!(arrived.priority > 0, "{arrived:?}");
        }
        assert_eq!(arrived::hits(intake), arrived::expected_hits(&arrived));
        arrived
    }
}

/// The environment of every run of an app, wrapped or not.
pub fn settings(port: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("PORT", port),
        ("HOST", "127.0.0.1"),
        ("PYTHONUNBUFFERED", "1"),
        ("DD_SERVICE", SERVICE),
        ("DD_ENV", ENV),
        ("DD_VERSION", VERSION),
        // It is a span that no tracer sent.
        ("DD_PILLION_EXIT_REPORT", "false"),
    ]
}

/// The environment of a run in which everything that leaves goes through `way`, whatever host it is for.
pub fn outside(way: &ConnectProxy) -> Vec<(&'static str, String)> {
    vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef".to_owned()),
        ("DD_SITE", "dd.test".to_owned()),
        ("DD_SKIP_SSL_VALIDATION", "true".to_owned()),
        ("DD_PROXY_HTTPS", format!("http://{}", way.address())),
        ("DD_APM_TELEMETRY_DD_URL", String::new()),
        // We have it off unless somebody wants it.
        ("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "true".to_owned()),
    ]
}

/// Waits until a profile with a file of this name and telemetry have arrived, each at its host and with the key.
pub fn wait_for_profile_and_telemetry(intake: &Recorder, file: &[u8]) {
    for (host, path, part) in [
        ("intake.profile.dd.test", "/api/v2/profile", file),
        (
            "instrumentation-telemetry-intake.dd.test",
            "/api/v2/apmtelemetry",
            &b"\"app-started\""[..],
        ),
    ] {
        intake.wait_for(host, |requests| {
            requests.iter().any(|request| {
                request.header("host") == Some(host)
                    && request.path == path
                    && request.header("dd-api-key") == Some("0123456789abcdef0123456789abcdef")
                    && request.is_taken()
                    && request.body.windows(part.len()).any(|window| window == part)
            })
        });
    }
}

/// What an arrived span was when it was sent.
fn sent_of(arrived: &Arrived) -> Sent {
    let span = &arrived.span;
    Sent {
        parent_id: span.parent_id,
        // Tracers send the low half as the id, and the high half as a tag.
        trace_id: u64::try_from(span.trace_id & u128::from(u64::MAX)).unwrap(),
        name: span.name.clone(),
        service: span.service.clone(),
        resource: span.resource.clone(),
        error: span.error,
    }
}

/// The root of the request for `page`, and how many spans hang below it.
pub fn request<'a>(spans: &'a BTreeMap<u64, Arrived>, page: &str) -> (&'a Arrived, usize) {
    let path = |url: &str| url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    let is_page = |arrived: &Arrived| {
        let url = arrived.span.text("http.url").unwrap_or_default();
        arrived.span.parent_id == 0 && path(url).as_deref() == Some(page)
    };
    let roots: Vec<&Arrived> = spans.values().filter(|arrived| is_page(arrived)).collect();
    let [root] = roots.as_slice() else { panic!("{} roots for {page}: {spans:#?}", roots.len()) };
    let below =
        spans.values().filter(|arrived| arrived.span.trace_id == root.span.trace_id).count() - 1;
    (root, below)
}

/// The one span of this operation in the trace of `root`, and that its chain of parents ends at the root.
pub fn below<'a>(
    spans: &'a BTreeMap<u64, Arrived>,
    root: &Arrived,
    name: &str,
    resource: &str,
) -> &'a Arrived {
    let is_it = |arrived: &&Arrived| {
        arrived.span.trace_id == root.span.trace_id
            && arrived.span.name == name
            && arrived.span.resource.starts_with(resource)
    };
    let found: Vec<&Arrived> = spans.values().filter(is_it).collect();
    let [arrived] = found.as_slice() else {
        panic!("{} of {name} {resource}: {spans:#?}", found.len())
    };
    let mut at = *arrived;
    while at.span.parent_id != 0 {
        at = &spans[&at.span.parent_id];
    }
    assert_eq!(at.span.span_id, root.span.span_id);
    arrived
}
