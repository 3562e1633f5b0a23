//! Containers: the release image and what the examples' own Dockerfiles and compose files make of it, with pillion as the first process or in a
//! container of its own.

#![expect(clippy::disallowed_types, reason = "a test starts processes")]

mod compose;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::arrived;
use crate::support::logged::entries;
use crate::support::recorder::Recorder;
use crate::support::wrapped::{cache, free_port, get, wait_until};

/// The longest that a stop may take: far below Docker's ten seconds, after which it kills.
const PROMPT: Duration = Duration::from_secs(6);

/// The kind of a series that is a number of events per second.
const RATE: i32 = 2;

fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().expect("there is a docker command")
}

/// What a command that has to succeed prints.
fn said(words: &[&str]) -> String {
    let output = docker(words);
    assert!(
        output.status.success(),
        "docker {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A container. It is removed when this is dropped.
struct Container {
    id: String,
}

impl Container {
    fn start(options: &[&str], image: &str, command: &[&str]) -> Self {
        let words: Vec<&str> = ["run", "--detach"]
            .iter()
            .chain(options)
            .chain(&[image])
            .chain(command)
            .copied()
            .collect();
        Self { id: said(&words) }
    }

    fn exec(&self, command: &[&str]) -> String {
        said(&[&["exec", self.id.as_str()], command].concat())
    }

    fn logs(&self) -> String {
        let output = docker(&["logs", &self.id]);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// `docker stop`, and the exit code.
    fn stop(&self) -> String {
        let asked = Instant::now();
        said(&["stop", "--time", "30", &self.id]);
        assert!(asked.elapsed() < PROMPT, "the stop took {:?}: {}", asked.elapsed(), self.logs());
        said(&["inspect", "--format", "{{.State.ExitCode}}", &self.id])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.id]);
    }
}

/// An app's image as its users run it: asked for pages, stopped, with all its traces at the intake.
fn an_app_runs_and_its_traces_arrive(
    image: &str,
    options: &[&str],
    exit_code: &str,
    first_process: &str,
) {
    let intake = Recorder::http();
    let (port, receiver) = (free_port(), free_port());
    let env = [
        format!("PORT={port}"),
        format!("DD_APM_RECEIVER_PORT={receiver}"),
        format!("DD_TRACE_AGENT_URL=http://127.0.0.1:{receiver}"),
        format!("DD_APM_DD_URL={}", intake.url()),
        // Metrics of the tracer, too: what goes nowhere is waited for until the deadline.
        format!("DD_DD_URL={}", intake.url()),
        "DD_API_KEY=0123456789abcdef0123456789abcdef".to_owned(),
    ];
    let mut all = [&["--network", "host"], options].concat();
    for variable in &env {
        all.extend(["--env", variable]);
    }
    let container = Container::start(&all, image, &[]);
    wait_until("the app answers", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    assert_eq!(container.exec(&["cat", "/proc/1/comm"]), first_process);
    for (page, status) in [("/", 200), ("/orders/7", 200), ("/fail", 500)] {
        assert_eq!(get(port, page), Some(status), "{page}: {}", container.logs());
    }
    assert_eq!(container.stop(), exit_code, "{}", container.logs());

    let spans = arrived::spans(&intake);
    let mut urls: Vec<&str> = spans
        .values()
        .filter(|arrived| arrived.span.parent_id == 0)
        .filter_map(|root| root.span.text("http.url"))
        .collect();
    urls.sort_unstable();
    let expected = ["/", "/fail", "/orders/7"].map(|page| format!("http://127.0.0.1:{port}{page}"));
    assert_eq!(urls, expected);
    for arrived in spans.values() {
        assert_eq!((arrived.env.as_str(), arrived.version.as_str()), ("demo", "1.0.0"));
    }
    assert_eq!(arrived::hits(&intake), arrived::expected_hits(&spans));
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn the_flask_image_runs_with_pillion_as_process_1() {
    an_app_runs_and_its_traces_arrive("pillion-test/python", &[], "143", "pillion");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn the_flask_image_runs_below_the_init_of_docker() {
    an_app_runs_and_its_traces_arrive("pillion-test/python", &["--init"], "143", "docker-init");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn the_express_image_runs_with_pillion_as_process_1() {
    if !docker(&["image", "inspect", "pillion-test/node"]).status.success() {
        println!("skipped: no pillion-test/node, as there was no node to make it of");
        return;
    }
    an_app_runs_and_its_traces_arrive("pillion-test/node", &[], "0", "pillion");
}

/// A runtime loads the tracer that its image has in `/dd_tracer`, though the app knows nothing of it.
#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn a_tracer_of_the_image_is_loaded_by_its_runtime() {
    let loaded = |image: &str, mount: String, words: &[&str]| {
        // In a folder without a tracer of the app's own.
        let options = ["run", "--rm", "--network", "none", "--workdir", "/", "--volume", &mount];
        said(&[&options, &[image][..], words].concat())
    };
    let cached = |path: &str| cache().join(path).display().to_string();
    let mount = format!("{}:/dd_tracer/python/ddtrace:ro", cached("python"));
    let words = ["python3", "-c", "import sys; print('/dd_tracer/python' in sys.path)"];
    assert!(loaded("pillion-test/python", mount, &words).ends_with("True"));
    if !docker(&["image", "inspect", "pillion-test/node"]).status.success() {
        println!("skipped: no pillion-test/node, as there was no node to make it of");
        return;
    }
    let mount = format!("{}:/dd_tracer/node/node_modules:ro", cached("node/node_modules"));
    let script =
        "console.log(Object.keys(require.cache).find(path => path.endsWith('dd-trace/init.js')))";
    let path = loaded("pillion-test/node", mount, &["node", "-e", script]);
    assert!(path.contains("/dd_tracer/node/node_modules/dd-trace/init.js"), "{path}");
}

/// What all points of a counter say together. Counters arrive as rates per second.
fn counted(intake: &Recorder, metric: &str) -> f64 {
    let series = intake.series().into_iter().filter(|series| series.metric == metric);
    series
        .map(|series| {
            let seconds = if series.kind == RATE { series.interval as f64 } else { 1.0 };
            series.points.iter().map(|point| point.value * seconds).sum::<f64>()
        })
        .sum()
}

/// The Python image as a Cloud Run job: what the task did has arrived when it has ended with its own exit code.
fn a_task_ends(orders: &str, packed: usize, exit_code: &str) {
    let intake = Recorder::http();
    let url = intake.url();
    let env = [
        format!("DD_APM_DD_URL={url}"),
        format!("DD_DD_URL={url}"),
        format!("DD_LOGS_CONFIG_LOGS_DD_URL={url}"),
        format!("ORDERS={orders}"),
        "DD_API_KEY=0123456789abcdef0123456789abcdef".to_owned(),
        "DD_LOGS_ENABLED=true".to_owned(),
        "CLOUD_RUN_JOB=hello-job".to_owned(),
        "CLOUD_RUN_EXECUTION=hello-job-x7k2p".to_owned(),
        "CLOUD_RUN_TASK_INDEX=1".to_owned(),
        "CLOUD_RUN_TASK_COUNT=2".to_owned(),
    ];
    let mut options = vec!["--network", "host"];
    for variable in &env {
        options.extend(["--env", variable]);
    }
    let container =
        Container::start(&options, "pillion-test/python", &["ddtrace-run", "python", "job.py"]);
    assert_eq!(said(&["wait", &container.id]), exit_code, "{}", container.logs());

    let spans = arrived::spans(&intake);
    let own = spans.values().filter(|arrived| arrived.span.name == "order.pack");
    assert_eq!(own.clone().filter(|arrived| !arrived.span.error).count(), packed);
    assert!(own.clone().all(|arrived| arrived.span.text("job_name") == Some("hello-job")));
    let mut tasks = spans.values().filter(|arrived| arrived.span.name == "gcp.run.job.task");
    let task = tasks.next().expect("a span of the task itself");
    assert_eq!(task.span.error, exit_code != "0");
    // The report of a bad end repeats the last lines.
    let all = entries(&intake);
    let is_packed = |line: &&Value| line["message"].as_str().unwrap().ends_with(" is packed");
    let lines: Vec<&Value> = all.iter().filter(is_packed).collect();
    assert_eq!(lines.len(), packed, "{all:?}");
    for line in lines {
        assert!(line["ddtags"].as_str().unwrap().contains("job_name:hello-job"), "{line}");
    }
    assert_eq!(counted(&intake, "shop.packed"), packed as f64, "{:?}", intake.series());
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn a_task_of_a_job_delivers_everything_and_keeps_its_exit_code() {
    // The second of two tasks: it takes every other order.
    a_task_ends("1,2,3,4", 2, "0");
    a_task_ends("1,2,3,-4", 1, "1");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn the_release_image_is_one_layer_with_one_binary_under_two_names() {
    assert_eq!(
        said(&["inspect", "--format", "{{len .RootFS.Layers}}", "pillion-test/release"]),
        "1"
    );
    for name in ["/pillion", "/datadog-init"] {
        let version = said(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            name,
            "pillion-test/release",
            "--version",
        ]);
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{name} says {version}");
    }
    let bytes: u64 =
        said(&["inspect", "--format", "{{.Size}}", "pillion-test/release"]).parse().unwrap();
    assert!(bytes < 9_000_000, "the image has {bytes} bytes");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn a_command_in_shell_form_runs_under_the_other_name() {
    // `CMD exit 42` without brackets: Docker makes `/bin/sh -c "exit 42"` of it.
    let output = docker(&["run", "--rm", "--network", "none", "pillion-test/shell-form"]);
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
    for (command, code) in [
        (vec!["/bin/sh", "-c", "kill -KILL $$"], 137),
        (vec!["/no/such/program"], 127),
        (vec!["/"], 126),
    ] {
        let output = docker(
            &[&["run", "--rm", "--network", "none", "pillion-test/shell-form"], command.as_slice()]
                .concat(),
        );
        assert_eq!(
            output.status.code(),
            Some(code),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn orphans_are_reaped_by_process_1() {
    // Three shells leave a child each and end; the children become those of process 1 and end a moment later. The app then counts what
    // is left of them. `wait`ing for them itself would hide the fault, so it is not their parent.
    let script = "for n in 1 2 3; do sh -c 'sleep 0.2 & echo left $!'; done; sleep 1; cat /proc/[0-9]*/stat | grep -c ') Z ' ; exit 0";
    let container = Container::start(
        &["--network", "none"],
        "pillion-test/shell-form",
        &["/bin/sh", "-c", script],
    );
    assert_eq!(said(&["wait", &container.id]), "0");
    let logs = container.logs();
    assert_eq!(logs.lines().filter(|line| line.starts_with("left ")).count(), 3, "{logs}");
    assert_eq!(
        logs.lines().rfind(|line| line.parse::<u32>().is_ok()),
        Some("0"),
        "zombies: {logs}"
    );
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn the_release_image_without_a_command_is_a_sidecar() {
    let intake = Recorder::http();
    let receiver = free_port();
    let env = [
        format!("DD_APM_RECEIVER_PORT={receiver}"),
        format!("DD_APM_DD_URL={}", intake.url()),
        // Metrics of its own, which would be waited for until the deadline where they go nowhere.
        format!("DD_DD_URL={}", intake.url()),
        "DD_API_KEY=0123456789abcdef0123456789abcdef".to_owned(),
    ];
    let mut options = vec!["--network", "host"];
    for variable in &env {
        options.extend(["--env", variable]);
    }
    let container = Container::start(&options, "pillion-test/release", &[]);
    wait_until("the sidecar listens", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, receiver)).is_ok()
    });
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, receiver)).unwrap();
    let trace = r#"[[{"trace_id":11,"span_id":12,"service":"shop","name":"order.load","resource":"order 7","start":1750000000000000000,"duration":5}]]"#;
    let head = "POST /v0.4/traces HTTP/1.1\r\nHost: sidecar\r\nConnection: close\r\nContent-Type: application/json\r\nX-Datadog-Trace-Count: 1";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{trace}", trace.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(container.stop(), "0", "{}", container.logs());
    let spans = arrived::spans(&intake);
    assert_eq!(spans.keys().copied().collect::<Vec<_>>(), [12]);
}
