//! The composition root: what is started in which order, and what is stopped.
//!
//! Start: settings, listeners, the app, and only then telemetry, on threads of its own. Stop: the app has ended and its exit code is in hand;
//! telemetry is given until its deadline, and whether it keeps to it or not, the exit code goes out.

mod files;
mod keys;
mod life;
mod metrics;
mod output;
mod patience;
mod platform;
mod pulse;
mod report;
mod telemetry;
mod usage;

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::Action;
use crate::config::{Env, Mode, Settings};
use crate::init::{Command, Envp};
use crate::platform::health;
use crate::{cli, config, dogstatsd, environment, init, intake, log, otlp};

use life::Life;
use telemetry::{Plan, Telemetry};

/// What is left for flushing after the app's exit, however much time the app took to stop.
const FLUSH_TIME_MIN: Duration = Duration::from_secs(1);

/// What a report takes at the most of an app that could not be started. Usually it is the time of one request.
const REPORT_TIME_MAX: Duration = Duration::from_secs(1);

/// Does what the arguments ask for and returns the exit code.
pub fn run(args: Vec<CString>) -> u8 {
    match cli::parse(args) {
        Action::Wrap { argv, view } => wrap(argv, view),
        Action::Sidecar { view } => sidecar(view),
        Action::Print(text) => {
            cli::print(&text);
            0
        }
        Action::Usage(text) => {
            cli::complain(&text);
            cli::USAGE_CODE
        }
    }
}

fn wrap(argv: Vec<CString>, view: bool) -> u8 {
    let Some(mut command) = Command::of_argv(argv) else { return cli::USAGE_CODE };
    let (mut plan, stop_timeout) = plan(Mode::Wrapper, view);
    command.envp = Envp::Of(environment_of_app(&plan.settings));
    let mut output = output::capture(&mut plan);
    let child = match init::spawn(&command, output.as_mut()) {
        Ok(child) => child,
        Err(error) => {
            cli::complain(&format!("pillion: {error}\n"));
            report_unstarted(plan, Life::never(&command, &error), stop_timeout);
            return error.code();
        }
    };
    let life = Arc::new(Life::begin(&command));
    plan.life = Some(Arc::clone(&life));
    let telemetry = Telemetry::start(plan);
    let exit = child.supervise(&mut || telemetry.hurry());
    life.ended(&exit);
    match output {
        Some(output) => output::finish(output, telemetry, &exit, stop_timeout),
        None => telemetry.finish(deadline(exit.stop_asked, Instant::now(), stop_timeout)),
    }
    exit.code
}

/// The environment of the app.
fn environment_of_app(settings: &Settings) -> Vec<CString> {
    let hidden: Vec<&str> =
        if settings.hides_api_key { config::names_of_keys().collect() } else { Vec::new() };
    environment::of_app(init::environment(), &hidden, Path::new(environment::FOLDER))
}

/// The app could not be started: where there is somebody to tell, they are told, within [`REPORT_TIME_MAX`].
fn report_unstarted(mut plan: Plan, life: Life, stop_timeout: Duration) {
    let Settings { report, usage, relay, .. } = &plan.settings;
    let intakes = [&relay.traces, &relay.metrics, &relay.logs];
    let has_key = intakes.iter().any(|intake| intake.api_key.is_some());
    let has_news = report.exit || usage.is_on || report.names.job.is_some();
    if !has_key || !has_news {
        return;
    }
    plan.life = Some(Arc::new(life));
    Telemetry::start(plan).finish(Instant::now() + REPORT_TIME_MAX.min(stop_timeout));
}

fn sidecar(view: bool) -> u8 {
    let (plan, stop_timeout) = plan(Mode::Sidecar, view);
    let telemetry = Telemetry::start(plan);
    init::wait_for_stop();
    telemetry.finish(Instant::now() + stop_timeout);
    0
}

/// Settings are read and sockets are bound before the app starts: a tracer that connects early waits in the backlog and is never refused.
fn plan(mode: Mode, view: bool) -> (Plan, Duration) {
    // Before the first thread, which reads the settings file.
    log::report_panics();
    let (mut settings, problems) = config::read(&Env::of_process().with_file(), mode);
    let (listeners, mut complaints) = intake::bind(&settings.intake);
    let (otlp_listeners, more) = otlp::bind(&settings.otlp);
    complaints.extend(more);
    let (dogstatsd_listeners, more) = dogstatsd::bind(&settings.dogstatsd);
    complaints.extend(more);
    if let (Some(statsd), Some(bound)) =
        (&mut settings.proxy.statsd, dogstatsd_listeners.addresses().first())
    {
        // The system may have chosen it.
        statsd.set_port(bound.port());
    }
    let probes = match settings.health_port {
        0 => None,
        port => health::bind(port)
            .map_err(|error| {
                complaints.push(format!(
                    "The health port {port} can't be bound ({error}): probes of it fail. Set DD_HEALTH_PORT to a free one."
                ));
            })
            .ok(),
    };
    let stop_timeout = settings.stop_timeout;
    let settings = Settings { view: view || settings.view, ..settings };
    let plan = Plan {
        settings,
        problems,
        listeners,
        otlp_listeners,
        dogstatsd_listeners,
        probes,
        complaints,
        ring: None,
        life: None,
    };
    (plan, stop_timeout)
}

/// The time to be gone: counted from the first signal that asked to stop, else from the app's exit; an app that uses the time up leaves a
/// little for flushing all the same.
fn deadline(stop_asked: Option<Instant>, exited: Instant, stop_timeout: Duration) -> Instant {
    let due = stop_asked.unwrap_or(exited) + stop_timeout;
    due.max(exited + FLUSH_TIME_MIN.min(stop_timeout))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, deadline};

    #[test]
    fn the_deadline_counts_from_the_first_signal_and_leaves_time_to_flush() {
        let seconds = Duration::from_secs;
        let start = Instant::now();
        let check = |asked: Option<u64>, exited: u64, timeout: u64, expect: u64| {
            let due = deadline(
                asked.map(|s| start + seconds(s)),
                start + seconds(exited),
                seconds(timeout),
            );
            assert_eq!(due, start + seconds(expect), "{asked:?} {exited} {timeout}");
        };
        check(None, 100, 9, 109);
        check(Some(100), 101, 9, 109);
        check(Some(100), 120, 9, 121);
        check(Some(100), 101, 0, 101);
    }
}
