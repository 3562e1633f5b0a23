//! The settings of the wrapper's own metrics.

use super::Mode;
use super::keys::Key;
use super::parse;
use super::read::Reader;
use crate::pipeline;
use crate::platform::Platform;
use crate::relay;
use crate::usage::Settings;

/// Whether there are any.
pub const ENHANCED_METRICS: Key = Key {
    names: &["DD_ENHANCED_METRICS"],
    yaml: &["enhanced_metrics"],
    default: "true",
    meaning: "Send metrics of the container: that it was started and has ended, and what CPU and memory it uses and may use. See \
              \"Metrics of the container\".",
};

impl Reader<'_> {
    /// What the wrapper says of itself in metrics.
    pub(super) fn usage(
        &mut self,
        mode: Mode,
        relay: &relay::Settings,
        pipeline: &pipeline::Settings,
        platform: &Platform,
    ) -> Settings {
        let is_wanted = self.take(&ENHANCED_METRICS, true, parse::boolean);
        Settings {
            is_on: is_wanted && relay.metrics.api_key.is_some(),
            is_sidecar: mode == Mode::Sidecar,
            kind: platform.kind,
            platform: platform.tags.clone(),
            // Those of the platform are among them, with what they replace gone.
            own: self.own_metric_tags(pipeline, |key| platform.tags.get(key).is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Env, Mode, read};
    use crate::usage::Settings;

    fn usage(pairs: &[(&str, &str)], mode: Mode) -> Settings {
        let (settings, problems) = read(&Env::of(pairs), mode);
        assert!(problems.is_empty(), "{problems:?}");
        settings.usage
    }

    #[test]
    fn it_is_on_where_metrics_have_a_key() {
        let key = ("DD_API_KEY", "0123456789abcdef0123456789abcdef");
        assert!(usage(&[key], Mode::Wrapper).is_on);
        assert!(!usage(&[], Mode::Wrapper).is_on);
        assert!(!usage(&[key, ("DD_ENHANCED_METRICS", "false")], Mode::Wrapper).is_on);
        let usage = usage(&[key, ("DD_USE_DOGSTATSD", "false")], Mode::Sidecar);
        assert!(usage.is_on && usage.is_sidecar);
    }

    #[test]
    fn the_user_says_what_the_app_is() {
        let env = [("DD_SERVICE", "Shop"), ("DD_TAGS", "team:web"), ("DD_DOGSTATSD_TAGS", "own:1")];
        assert_eq!(usage(&env, Mode::Wrapper).own, ["service:shop", "team:web"]);
        let env = [&env[..], &[("K_SERVICE", "hello")]].concat();
        assert_eq!(usage(&env, Mode::Wrapper).own, ["service:shop", "team:web"]);
    }
}
