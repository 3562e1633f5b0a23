//! Traces that go to a worker of Observability Pipelines or to Vector instead of Datadog (spec: trace-agent 6.2, 13.2). Both read payloads of the
//! older form alone.

use super::keys::Key;
use super::parse;
use super::problem::Problem;
use super::read::Reader;

/// To a worker of Observability Pipelines.
pub const ENABLED: Key = Key {
    names: &["DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_ENABLED"],
    default: "false",
    meaning: "Send traces and their stats to a worker of Observability Pipelines instead of Datadog, in the older form that it reads. \
              `DD_API_KEY` is needed all the same, for the worker to pass on.",
};
/// Its address.
pub const URL: Key = Key {
    names: &["DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_URL"],
    default: "",
    meaning: "The worker's address, such as `http://worker:8282`.",
};
/// To Vector.
pub const VECTOR_ENABLED: Key = Key {
    names: &["DD_VECTOR_TRACES_ENABLED"],
    default: "false",
    meaning: "The same for Vector. Where both are on, Observability Pipelines is meant.",
};
/// Its address.
pub const VECTOR_URL: Key = Key {
    names: &["DD_VECTOR_TRACES_URL"],
    default: "",
    meaning: "The address of Vector's `datadog_agent` source.",
};

const INSTEAD: &str = "sending to Datadog";

impl Reader<'_> {
    /// The address of the worker that takes the place of Datadog's intake, where there is one.
    pub(super) fn worker_url(&mut self) -> Option<String> {
        let mut chosen = None;
        for (enabled, url) in [(&ENABLED, &URL), (&VECTOR_ENABLED, &VECTOR_URL)] {
            let is_set = self.env.text(enabled).map(|(name, text)| (name, text.into_owned()));
            if self.take(enabled, false, parse::boolean) {
                if chosen.is_none() {
                    chosen = Some(self.url_of_worker(url, is_set));
                }
            } else if is_set.is_none()
                && let Some((name, text)) = self.env.text(url)
            {
                let shown = crate::secret::Url::new(&text).to_string();
                let wrong = format!("has no effect unless {} is true", enabled.names[0]);
                self.problems.push(Problem::new(name, &shown, &wrong, INSTEAD));
            }
        }
        chosen.flatten()
    }

    /// `enabled` is the variable that says that the worker is meant, with its value.
    fn url_of_worker(
        &mut self,
        url: &Key,
        enabled: Option<(&'static str, String)>,
    ) -> Option<String> {
        if self.env.text(url).is_some() {
            return self.url_or(url, INSTEAD);
        }
        if let Some((name, text)) = enabled {
            let wrong = format!("is of no use without {}", url.names[0]);
            self.problems.push(Problem::new(name, &text, &wrong, INSTEAD));
        }
        None
    }
}
