//! Traces that go to a worker of Observability Pipelines or to Vector instead of Datadog (spec: trace-agent 6.2, 13.2). Both read payloads of the
//! older form alone.

use super::keys::Key;
use super::parse;
use super::problem::{Place, Problem};
use super::read::Reader;
use crate::secret::Url;

/// To a worker of Observability Pipelines.
pub const ENABLED: Key = Key {
    names: &["DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_ENABLED"],
    yaml: &["observability_pipelines_worker.traces.enabled"],
    default: "false",
    meaning: "Send traces and their stats to a worker of Observability Pipelines instead of Datadog, in the older form that it reads. \
              `DD_API_KEY` is needed all the same, for the worker to pass on.",
};
/// Its address.
pub const URL: Key = Key {
    names: &["DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_URL"],
    yaml: &["observability_pipelines_worker.traces.url"],
    default: "",
    meaning: "The worker's address, such as `http://worker:8282`.",
};
/// To Vector.
pub const VECTOR_ENABLED: Key = Key {
    names: &["DD_VECTOR_TRACES_ENABLED"],
    yaml: &["vector.traces.enabled"],
    default: "false",
    meaning: "The same for Vector. Where both are on, Observability Pipelines is meant.",
};
/// Its address.
pub const VECTOR_URL: Key = Key {
    names: &["DD_VECTOR_TRACES_URL"],
    yaml: &["vector.traces.url"],
    default: "",
    meaning: "The address of Vector's `datadog_agent` source.",
};

const INSTEAD: &str = "sending to Datadog";

impl<'a> Reader<'a> {
    /// The address of the worker that takes the place of Datadog's intake, where there is one.
    pub(super) fn worker_url(&mut self) -> Option<String> {
        let env = self.env;
        let mut chosen = None;
        for (enabled, url) in [(&ENABLED, &URL), (&VECTOR_ENABLED, &VECTOR_URL)] {
            let said = env.text(enabled);
            if self.take(enabled, false, parse::boolean) {
                if chosen.is_none() {
                    let said = said.map(|(place, text)| (place, text.into_owned()));
                    chosen = Some(self.url_of_worker(url, said));
                }
            } else if said.is_none()
                && let Some((place, text)) = env.text(url)
            {
                let shown = Url::new(&text).to_string();
                let wrong = format!("has no effect unless {} is true", enabled.names[0]);
                self.say(Problem::new(place, &shown, &wrong, INSTEAD));
            }
        }
        chosen.flatten()
    }

    /// `said` is what says that the worker is meant, and where.
    fn url_of_worker(&mut self, url: &Key, said: Option<(Place<'a>, String)>) -> Option<String> {
        if self.env.text(url).is_some() {
            return self.url_or(url, INSTEAD);
        }
        if let Some((place, text)) = said {
            let wrong = format!("is of no use without {}", url.names[0]);
            self.say(Problem::new(place, &text, &wrong, INSTEAD));
        }
        None
    }
}
