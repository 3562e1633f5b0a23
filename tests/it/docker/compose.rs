//! The examples' compose files, started as they are by `docker compose`. A second file names the images that were built before, and the recording
//! intake in the place of Datadog.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{counted, docker, said};
use crate::support::arrived;
use crate::support::logged::entries;
use crate::support::recorder::Recorder;
use crate::support::wrapped::{example, free_port, get, wait_until};

/// The longest that stopping all containers of a file may take, one after the other. Docker kills what takes 30.
const PROMPT: Duration = Duration::from_secs(10);

/// The file without a container of its own for pillion.
const WRAPPER: &str = "docker-compose.yaml";

/// Whose logs, metrics and traces an example sends, and how its app ends.
struct App {
    language: &'static str,
    source: &'static str,
    /// The app's own exit code after TERM.
    exit_code: &'static str,
}

const FLASK: App = App { language: "python", source: "python", exit_code: "143" };
const EXPRESS: App = App { language: "node", source: "nodejs", exit_code: "0" };

/// The containers of a compose file. They are removed when this is dropped, with their network and their volumes.
struct Project {
    name: String,
    file: String,
    folder: TempDir,
    intake: Recorder,
    port: u16,
}

impl Project {
    /// `None`: there is no compose, no image of this app, or no network for containers on this machine.
    fn start(app: &App, file: &str) -> Option<Self> {
        let image = format!("pillion-test/{}", app.language);
        if !docker(&["image", "inspect", &image]).status.success() {
            return skip(&format!("no {image}: there was nothing to make it of"));
        }
        if !compose().args(["version"]).output().is_ok_and(|output| output.status.success()) {
            return skip("there is no docker compose");
        }
        let port = free_port();
        let name = format!("pillion-test-{port}");
        let made = docker(&["network", "create", &name]);
        if !made.status.success() {
            return skip(&String::from_utf8_lossy(&made.stderr));
        }
        let gateway =
            said(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", &name]);
        let project = Self {
            file: example(&format!("{}/{file}", app.language)),
            folder: tempfile::tempdir().unwrap(),
            intake: Recorder::http_on(&gateway),
            name,
            port,
        };
        project.write_second_file(&image, file == WRAPPER);
        project.run(&["up", "--detach", "--no-build"]);
        wait_until("the app answers", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() && get(port, "/").is_some()
        });
        Some(project)
    }

    /// What differs from how a user starts it: images that are there, our network, the addresses of the intake, and a second instead of five
    /// for which lines wait.
    fn write_second_file(&self, image: &str, is_wrapper: bool) {
        let url = self.intake.url();
        let environment = format!(
            "{{DD_APM_DD_URL: '{url}', DD_DD_URL: '{url}', DD_LOGS_CONFIG_LOGS_DD_URL: '{url}', \
             DD_APM_TELEMETRY_DD_URL: '127.0.0.1:1', DD_LOGS_CONFIG_BATCH_WAIT: 1}}"
        );
        let mut text = format!("services:\n  web:\n    image: {image}\n");
        if !is_wrapper {
            text.push_str("  pillion:\n    image: pillion-test/release\n");
        }
        let name = &self.name;
        write!(text, "    environment: {environment}\nnetworks:\n  default:\n    external: true\n    name: {name}\n").unwrap();
        std::fs::write(self.folder.path().join("second.yaml"), text).unwrap();
    }

    fn try_run(&self, words: &[&str]) -> Output {
        let second = self.folder.path().join("second.yaml");
        let mut command = compose();
        command
            .args(["--project-name", &self.name, "--file", &self.file, "--file"])
            .arg(second)
            .args(words)
            .env("PORT", self.port.to_string())
            .env("DD_API_KEY", "0123456789abcdef0123456789abcdef");
        command.output().expect("there is a compose")
    }

    fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn inspect(&self, service: &str, format: &str) -> String {
        let id = self.run(&["ps", "--all", "--quiet", service]);
        said(&["inspect", "--format", format, &id])
    }

    /// Stops all containers, and gives the exit codes of these services.
    fn stop(&self, services: &[&str]) -> Vec<String> {
        let asked = Instant::now();
        self.run(&["stop", "--timeout", "30"]);
        assert!(asked.elapsed() < PROMPT, "it took {:?}: {}", asked.elapsed(), self.run(&["logs"]));
        services.iter().map(|service| self.inspect(service, "{{.State.ExitCode}}")).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.try_run(&["down", "--volumes", "--timeout", "0"]);
        docker(&["network", "rm", &self.name]);
    }
}

#[expect(clippy::print_stdout, reason = "who runs the tests is to see what was left out")]
fn skip<T>(why: &str) -> Option<T> {
    println!("skipped: {}", why.trim());
    None
}

/// `docker compose`, which is a plugin of newer versions, or the `docker-compose` before it.
fn compose() -> Command {
    let mut command = Command::new("docker");
    command.arg("compose");
    if docker(&["compose", "version"]).status.success() {
        return command;
    }
    Command::new("docker-compose")
}

/// Pages are asked for, all containers are stopped, and what the app has to say has arrived: as traces, lines and metrics that belong together.
fn all_of_it_arrives(app: &App, project: &Project, services: &[&str], codes: &[&str]) {
    for (page, status) in [("/orders/7", 200), ("/fail", 500)] {
        assert_eq!(get(project.port, page), Some(status), "{page}: {}", project.run(&["logs"]));
    }
    wait_until("the lines arrive", || {
        let lines = entries(&project.intake);
        ["order 7 is a pillion seat", "the warehouse is closed"]
            .iter()
            .all(|part| lines.iter().any(|line| message(line).contains(part)))
    });
    assert_eq!(project.stop(services), codes, "{}", project.run(&["logs"]));

    let service = format!("hello-{}", app.language);
    let spans = arrived::spans(&project.intake);
    let mut own = spans.values().filter(|arrived| arrived.span.name == "order.load");
    let load = own.next().expect("the app's own span");
    assert!(own.next().is_none());
    assert_eq!((load.span.service.as_str(), load.env.as_str()), (service.as_str(), "demo"));
    let failed = spans
        .values()
        .find(|arrived| arrived.span.text("http.url").is_some_and(|url| url.ends_with("/fail")))
        .expect("the page that fails");
    assert!(failed.span.error);
    assert_eq!(arrived::hits(&project.intake), arrived::expected_hits(&spans));

    check_lines(app, &service, project, &[load.span.trace_id, failed.span.trace_id]);
    check_metrics(project);
}

fn message(entry: &Value) -> &str {
    entry["message"].as_str().expect("a text")
}

/// The two lines, each one message, each with the id of its trace.
fn check_lines(app: &App, service: &str, project: &Project, traces: &[u128]) {
    let all = entries(&project.intake);
    for (part, trace) in ["order 7 is a pillion seat", "the warehouse is closed"].iter().zip(traces)
    {
        let lines: Vec<&Value> = all.iter().filter(|line| message(line).contains(part)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = lines[0];
        assert!(message(line).contains(&format!("{trace:032x}")), "no {trace:032x} in {line}");
        assert_eq!((&line["service"], &line["ddsource"]), (&service.into(), &app.source.into()));
        let tags = line["ddtags"].as_str().expect("a text");
        for tag in ["env:demo", "version:1.0.0"] {
            assert!(tags.split(',').any(|have| have == tag), "no {tag} in {tags}");
        }
    }
    // The frames below an exception belong to its line.
    assert!(!all.iter().any(|line| message(line).trim_start().starts_with("at ")), "{all:?}");
    assert!(!all.iter().any(|line| message(line).starts_with("Traceback")), "{all:?}");
}

/// One order: a counter with the tags of its own and of the app, and a distribution with one value.
fn check_metrics(project: &Project) {
    let series = project.intake.series();
    assert_eq!(counted(&project.intake, "shop.orders"), 1.0, "{series:?}");
    let orders = series.iter().find(|series| series.metric == "shop.orders").expect("the counter");
    for tag in ["item:seat", "env:demo"] {
        assert!(orders.tags.iter().any(|have| have == tag), "no {tag} in {:?}", orders.tags);
    }
    let sketches = project.intake.sketches();
    let durations = sketches.iter().filter(|sketch| sketch.metric == "shop.order.duration");
    let values: i64 =
        durations.flat_map(|sketch| &sketch.dogsketches).map(|sketch| sketch.cnt).sum();
    assert_eq!(values, 1, "{sketches:?}");
}

fn the_wrapper(app: &App) {
    let Some(project) = Project::start(app, WRAPPER) else { return };
    wait_until("it is healthy", || project.inspect("web", "{{.State.Health.Status}}") == "healthy");
    all_of_it_arrives(app, &project, &["web"], &[app.exit_code]);
}

fn a_sidecar(app: &App, file: &str) {
    let Some(project) = Project::start(app, file) else { return };
    all_of_it_arrives(app, &project, &["web", "pillion"], &[app.exit_code, "0"]);
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn flask_in_the_wrapper() {
    the_wrapper(&FLASK);
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn flask_beside_a_sidecar() {
    a_sidecar(&FLASK, "docker-compose.sidecar.yaml");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn flask_beside_a_sidecar_over_unix_sockets() {
    a_sidecar(&FLASK, "docker-compose.sockets.yaml");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn express_in_the_wrapper() {
    the_wrapper(&EXPRESS);
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn express_beside_a_sidecar() {
    a_sidecar(&EXPRESS, "docker-compose.sidecar.yaml");
}

#[test]
#[ignore = "needs a Docker daemon and images: run by tests/run.sh"]
fn express_beside_a_sidecar_over_unix_sockets() {
    a_sidecar(&EXPRESS, "docker-compose.sockets.yaml");
}
