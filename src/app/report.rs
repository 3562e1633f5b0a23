//! What we report of the app, at its end: to people in a line, to Datadog in spans and a log.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::pipeline::{OwnSpan, Pipeline, new_id};
use crate::report::span::{self, Place};
use crate::report::{Death, End, Names, Settings};

use super::life::Life;
use super::output::Logs;
use super::pulse::now_ns;

/// Reports of one app.
pub(super) struct Reporter {
    settings: Settings,
    life: Arc<Life>,
    pipeline: Rc<RefCell<Pipeline>>,
    /// The id of the task's span, where the app is a task.
    task: Option<u64>,
    said: Rc<Said>,
}

/// Says in a line that the app has died, once. Where it could not be started that was said before.
#[derive(Debug)]
struct Said {
    life: Arc<Life>,
    is_done: Cell<bool>,
}

impl Said {
    fn say(&self) {
        let end = self.life.end().filter(|end| end.not_started.is_none());
        if let Some(death) = end.and_then(End::death)
            && !self.is_done.replace(true)
        {
            tracing::error!("the app {}", death.what);
        }
    }

    /// Says it as soon as we are to stop, which is long before the last bodies are in.
    async fn say_in_time(self: Rc<Self>, mut stopping: watch::Receiver<Option<Instant>>) {
        if stopping.wait_for(Option::is_some).await.is_ok() {
            self.say();
        }
    }
}

impl Reporter {
    /// The app has been started. Where it is a task, its traces take part in the task's from now on.
    pub(super) fn begin(
        mut settings: Settings,
        life: Arc<Life>,
        pipeline: Rc<RefCell<Pipeline>>,
        (local, stopping): (&LocalSet, watch::Receiver<Option<Instant>>),
    ) -> Self {
        let Names { service, program, job, .. } = &mut settings.names;
        program.clone_from(&life.program);
        if service.is_empty() {
            service.clone_from(program);
        }
        let task = (settings.has_spans && job.is_some()).then(new_id);
        if let Some(task) = task {
            pipeline.borrow_mut().begin_task(task);
        }
        let said = Rc::new(Said { life: Arc::clone(&life), is_done: Cell::new(false) });
        local.spawn_local(Rc::clone(&said).say_in_time(stopping));
        Self { settings, life, pipeline, task, said }
    }

    /// The app has ended, and all that it has sent is taken. A fault in here costs the report and nothing else.
    pub(super) fn end(self, logs: Option<&Logs>) {
        self.said.say();
        if catch_unwind(AssertUnwindSafe(|| self.report(logs))).is_err() {
            tracing::error!("No report of the app's end, by a fault of our own: the rest runs on.");
        }
    }

    fn report(&self, logs: Option<&Logs>) {
        let Some(end) = self.life.end() else { return };
        let joined = self.pipeline.borrow_mut().end_task();
        let trace_id = joined.unwrap_or_else(|| u128::from(new_id()));
        if let Some(death) = end.death().filter(|_| self.settings.exit) {
            self.death(end, &death, trace_id, logs);
        }
        if let Some(span_id) = self.task {
            let place = self.place(trace_id, span_id, 0);
            self.take(span::task(&self.settings.names, place, end));
        }
    }

    fn death(&self, end: &End, death: &Death, trace_id: u128, logs: Option<&Logs>) {
        let last_lines = logs.and_then(Logs::last_lines);
        if let Some(logs) = logs {
            let mut text = format!("pillion: the app {}", death.what);
            if let Some(lines) = &last_lines {
                text.push_str("\nIts last lines:\n");
                text.push_str(lines);
            }
            logs.own_message(&text);
        }
        if self.settings.has_spans {
            let place = self.place(trace_id, new_id(), self.task.unwrap_or_default());
            let names = &self.settings.names;
            self.take(span::death(names, place, end, death, last_lines.as_deref()));
        }
    }

    fn place(&self, trace_id: u128, span_id: u64, parent_id: u64) -> Place {
        Place { trace_id, span_id, parent_id, started_ns: self.life.started_ns }
    }

    fn take(&self, span: OwnSpan) {
        if let Err(error) = self.pipeline.borrow_mut().own_span(span, now_ns()) {
            tracing::error!("A span of our own was refused ({error}), please report it.");
        }
    }
}
