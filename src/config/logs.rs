//! The settings of logs.

use std::time::Duration;

use super::Mode;
use super::keys::{self, Key};
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::logs::batch::{Attributes, Limits};
use crate::logs::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, BATCH_WAIT_RANGE, Settings};
use crate::pipeline;
use crate::platform::{Platform, Tag};

/// The switch.
pub const ENABLED: Key = Key {
    names: &["DD_LOGS_ENABLED"],
    yaml: &["logs_enabled", "log_enabled"],
    default: "false",
    meaning: "`true` ships what the app writes to its standard output and standard error as logs. It is written on first, unchanged; a \
              terminal is left to the app and not shipped. `false` leaves both untouched. In a sidecar the default is `true`.",
};
/// The service.
pub const SERVICE: Key = Key {
    names: &["DD_SERVICE"],
    yaml: &[],
    default: "agent",
    meaning: "The service of logs, in lower case.",
};
/// The source.
pub const SOURCE: Key = Key {
    names: &["DD_SOURCE"],
    yaml: &[],
    default: "unknown",
    meaning: "The source of logs, such as `python`: by it Datadog chooses how to read them.",
};
/// The version.
pub const VERSION: Key = Key {
    names: &["DD_VERSION"],
    yaml: &[],
    default: "",
    meaning: "The version of the app, a tag of all logs.",
};
/// The time of a batch.
pub const BATCH_WAIT: Key = Key {
    names: &["DD_LOGS_CONFIG_BATCH_WAIT"],
    yaml: &["logs_config.batch_wait"],
    default: "5",
    meaning: "Seconds that lines wait for others, 1 to 10. Lower it where an instance has little time after its last request.",
};
/// The messages of a batch.
pub const BATCH_MESSAGES: Key = Key {
    names: &["DD_LOGS_CONFIG_BATCH_MAX_SIZE"],
    yaml: &["logs_config.batch_max_size"],
    default: "1000",
    meaning: "Lines that are sent together at the most, up to 1000: the intake takes no more.",
};
/// The bytes of a batch.
pub const BATCH_BYTES: Key = Key {
    names: &["DD_LOGS_CONFIG_BATCH_MAX_CONTENT_SIZE"],
    yaml: &["logs_config.batch_max_content_size"],
    default: "5000000",
    meaning: "Bytes that are sent together at the most, up to 5000000: the intake takes no more. A line that alone has more is dropped and counted.",
};
/// The length of a line.
pub const LINE_BYTES: Key = Key {
    names: &["DD_LOGS_CONFIG_MAX_MESSAGE_SIZE_BYTES"],
    yaml: &["logs_config.max_message_size_bytes"],
    default: "900000",
    meaning: "Bytes of one line, 256 to 1000000. A longer one is sent in pieces, with `...TRUNCATED...` where it was cut.",
};
/// The tag of pieces.
pub const TAG_TRUNCATED: Key = Key {
    names: &["DD_LOGS_CONFIG_TAG_TRUNCATED_LOGS"],
    yaml: &["logs_config.tag_truncated_logs"],
    default: "true",
    meaning: "Give such pieces the tag `truncated:single_line`.",
};

/// The settings of logs, in the order of the README.
pub const ALL: &[&Key] = &[
    &ENABLED,
    &SERVICE,
    &SOURCE,
    &VERSION,
    &BATCH_WAIT,
    &BATCH_MESSAGES,
    &BATCH_BYTES,
    &LINE_BYTES,
    &TAG_TRUNCATED,
];

/// A line shorter than this is cut by no sensible limit.
const LINE_BYTES_MIN: usize = 256;

/// What the intake takes of one message.
const LINE_BYTES_MOST: usize = 1_000_000;

impl Reader<'_> {
    /// The settings of logs. They share host, env and tags with traces.
    pub(super) fn logs(
        &mut self,
        mode: Mode,
        pipeline: &pipeline::Settings,
        platform: &Platform,
    ) -> Settings {
        let default = Settings::default();
        let line_bytes_max = self.take(&LINE_BYTES, default.line_bytes_max, |text| {
            within(parse::bytes(text)?, LINE_BYTES_MIN, LINE_BYTES_MOST)
        });
        let attributes = self.attributes(pipeline, platform);
        Settings {
            is_enabled: self.take(&ENABLED, mode == Mode::Sidecar, parse::boolean),
            line_bytes_max,
            messages: self.messages(line_bytes_max, attributes.tags_truncated),
            files: self.log_files(platform),
            batch: Limits {
                wait: self.take(&BATCH_WAIT, default.batch.wait, batch_wait),
                messages_max: self.take(&BATCH_MESSAGES, default.batch.messages_max, |text| {
                    within(parse::count(text)?, 1, BATCH_MESSAGES_MAX)
                }),
                bytes_max: self.take(&BATCH_BYTES, default.batch.bytes_max, |text| {
                    within(parse::bytes(text)?, 1, BATCH_BYTES_MAX)
                }),
            },
            attributes,
        }
    }

    fn attributes(&mut self, pipeline: &pipeline::Settings, platform: &Platform) -> Attributes {
        let mut tags = Vec::new();
        let has = |key: &str| pipeline.span_tags.iter().any(|(own, _)| own == key);
        if !has("env") && pipeline.env != keys::ENV.default {
            tags.push(format!("env:{}", pipeline.env));
        }
        if let Some(version) = self.text(&VERSION).filter(|_| !has("version")) {
            tags.push(format!("version:{}", version.to_lowercase()));
        }
        tags.extend(pipeline.span_tags.iter().map(|(key, value)| match value.as_str() {
            "" => key.clone(),
            value => format!("{key}:{value}"),
        }));
        // Those that stand on no span.
        let of_platform = platform.tags.logs().iter().filter(|tag| !has(&tag.key));
        tags.extend(of_platform.map(|Tag { key, value }| format!("{key}:{value}")));
        let service = self.text(&SERVICE).map(|service| service.to_lowercase());
        let source = self.text(&SOURCE).map(|source| source.to_lowercase());
        Attributes {
            hostname: pipeline.hostname.clone(),
            service: service.or_else(|| platform.service()).unwrap_or_default(),
            source: source
                .unwrap_or_else(|| platform.kind.log_source().unwrap_or_default().to_owned()),
            tags: tags.join(","),
            tags_truncated: self.take(&TAG_TRUNCATED, true, parse::boolean),
        }
    }
}

fn within(number: usize, least: usize, most: usize) -> Result<usize, Wrong> {
    match (least..=most).contains(&number) {
        true => Ok(number),
        false => Err(format!("is not between {least} and {most}")),
    }
}

fn batch_wait(text: &str) -> Result<Duration, Wrong> {
    parse::duration_within(text, *BATCH_WAIT_RANGE.start(), *BATCH_WAIT_RANGE.end())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Env, Mode, read};
    use super::{Limits, Settings};

    fn of(mode: Mode, pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), mode);
        (settings.logs, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_app_keeps_its_output_unless_asked_for() {
        assert!(!of(Mode::Wrapper, &[]).0.is_enabled);
        assert!(of(Mode::Sidecar, &[]).0.is_enabled);
        assert!(of(Mode::Wrapper, &[("DD_LOGS_ENABLED", "true")]).0.is_enabled);
        assert!(!of(Mode::Sidecar, &[("DD_LOGS_ENABLED", "false")]).0.is_enabled);
    }

    #[test]
    fn batches_and_lines_can_be_set_within_what_the_intake_takes() {
        let (settings, problems) = of(
            Mode::Wrapper,
            &[
                ("DD_LOGS_CONFIG_BATCH_WAIT", "1"),
                ("DD_LOGS_CONFIG_BATCH_MAX_SIZE", "10"),
                ("DD_LOGS_CONFIG_BATCH_MAX_CONTENT_SIZE", "100000"),
                ("DD_LOGS_CONFIG_MAX_MESSAGE_SIZE_BYTES", "256"),
                ("DD_LOGS_CONFIG_TAG_TRUNCATED_LOGS", "false"),
            ],
        );
        assert_eq!(problems, [""; 0]);
        let wait = Duration::from_secs(1);
        assert_eq!(settings.batch, Limits { wait, messages_max: 10, bytes_max: 100_000 });
        assert_eq!((settings.line_bytes_max, settings.attributes.tags_truncated), (256, false));
        for (name, bad) in [
            ("DD_LOGS_CONFIG_BATCH_WAIT", "0"),
            ("DD_LOGS_CONFIG_BATCH_WAIT", "11"),
            ("DD_LOGS_CONFIG_BATCH_MAX_SIZE", "1001"),
            ("DD_LOGS_CONFIG_BATCH_MAX_SIZE", "0"),
            ("DD_LOGS_CONFIG_BATCH_MAX_CONTENT_SIZE", "5000001"),
            ("DD_LOGS_CONFIG_MAX_MESSAGE_SIZE_BYTES", "255"),
        ] {
            let (settings, problems) = of(Mode::Wrapper, &[(name, bad)]);
            assert!(problems.len() == 1 && problems[0].contains(name), "{problems:?}");
            assert_eq!(settings.batch, Settings::default().batch);
        }
    }

    #[test]
    fn what_is_said_of_traces_is_said_of_logs() {
        let (settings, _) = of(
            Mode::Wrapper,
            &[
                ("DD_SERVICE", "Shop"),
                ("DD_SOURCE", "python"),
                ("DD_ENV", "prod"),
                ("DD_VERSION", "1.2"),
                ("DD_TAGS", "team:a,lonely"),
                ("DD_EXTRA_TAGS", "region:eu"),
            ],
        );
        let attributes = settings.attributes;
        assert_eq!((attributes.service.as_str(), attributes.source.as_str()), ("shop", "python"));
        assert_eq!(attributes.tags, "env:prod,version:1.2,team:a,lonely,region:eu,local:true");
        let (settings, _) =
            of(Mode::Wrapper, &[("DD_TAGS", "env:x,version:3"), ("DD_VERSION", "1")]);
        assert_eq!(settings.attributes.tags, "env:x,version:3,local:true");
    }

    #[test]
    fn the_platform_names_service_and_source_where_nobody_else_does() {
        let platform = [("K_SERVICE", "Shop-Web"), ("K_REVISION", "shop-web-7")];
        let of =
            |more: &[(&str, &str)]| of(Mode::Wrapper, &[&platform[..], more].concat()).0.attributes;
        let attributes = of(&[("DD_TAGS", "team:a")]);
        assert_eq!(
            (attributes.service.as_str(), attributes.source.as_str()),
            ("shop-web", "cloudrun")
        );
        let tags: Vec<&str> = attributes.tags.split(',').collect();
        for tag in
            ["origin:cloudrun", "_dd.origin:cloudrun", "gcr.revision_name:shop-web-7", "team:a"]
        {
            assert_eq!(tags.iter().filter(|own| **own == tag).count(), 1, "{tag}: {tags:?}");
        }
        let attributes = of(&[("DD_SERVICE", "shop"), ("DD_SOURCE", "Nginx")]);
        assert_eq!((attributes.service.as_str(), attributes.source.as_str()), ("shop", "nginx"));
    }
}
