//! The settings of which lines are one message, and of the rules for messages.

use std::time::Duration;

use super::keys::Key;
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::logs::automatic::{self, Mode};
use crate::logs::{Messages, multi_line};

/// The rules.
pub const RULES: Key = Key {
    names: &["DD_LOGS_CONFIG_PROCESSING_RULES"],
    yaml: &["logs_config.processing_rules"],
    default: "[]",
    meaning: "Rules for all logs, as JSON: `[{\"type\": \"mask_sequences\", \"name\": \"keys\", \"pattern\": \"key=\\\\w+\", \"replace_placeholder\": \"key=?\"}]`. Types: `exclude_at_match`, `include_at_match`, `mask_sequences`, `multi_line` (its pattern begins a message), `exclude_truncated`, `remap_source`. A rule that can't be used is named and left out; where it was to mask something, no logs are sent at all.",
};
/// The time of lines.
pub const WAIT: Key = Key {
    names: &["DD_LOGS_CONFIG_AGGREGATION_TIMEOUT"],
    yaml: &["logs_config.aggregation_timeout"],
    default: "1000",
    meaning: "Milliseconds that a line waits for more lines of its message, 1 to 60000.",
};
/// The tag of joined lines.
pub const TAG_JOINED: Key = Key {
    names: &["DD_LOGS_CONFIG_TAG_MULTI_LINE_LOGS"],
    yaml: &["logs_config.tag_multi_line_logs"],
    default: "true",
    meaning: "Give a message of several lines a tag that says what joined them, such as `multiline:auto_multiline`.",
};
/// Joined by their look.
pub const DETECTION: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_DETECTION"],
    yaml: &["logs_config.auto_multi_line_detection"],
    default: "true",
    meaning: "Join lines that are one message by their look: a stack trace, JSON over several lines, lines without a timestamp behind one with it. `false`: each line is a message.",
};
/// Marked by their look.
pub const TAGGING: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_DETECTION_TAGGING"],
    yaml: &["logs_config.auto_multi_line_detection_tagging"],
    default: "true",
    meaning: "Where that is `false`: give the first of such lines the tag `auto_multiline_detected:true`.",
};
/// Samples.
pub const SAMPLES: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_DETECTION_CUSTOM_SAMPLES"],
    yaml: &["logs_config.auto_multi_line_detection_custom_samples"],
    default: "[]",
    meaning: "Lines that begin a message, as JSON: `[{\"sample\": \"== 2026\"}, {\"regex\": \"BEGIN\"}]`, each with `match_threshold` and `label` (`start_group`, `aggregate`, `no_aggregate`) where wanted.",
};
/// Patterns.
pub const PATTERNS: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_EXTRA_PATTERNS"],
    yaml: &["logs_config.auto_multi_line_extra_patterns"],
    default: "[]",
    meaning: "The older form of that: patterns of the beginnings of messages, as a JSON array or between commas or spaces.",
};
/// JSON over several lines.
pub const JSON: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_ENABLE_JSON_AGGREGATION"],
    yaml: &["logs_config.auto_multi_line.enable_json_aggregation"],
    default: "true",
    meaning: "Make one line of JSON that stands on several.",
};
/// Its tag.
pub const TAG_JSON: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_TAG_AGGREGATED_JSON"],
    yaml: &["logs_config.auto_multi_line.tag_aggregated_json"],
    default: "false",
    meaning: "Give such a message the tag `aggregated_json:true`.",
};
/// Stack traces.
pub const PARSERS: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_STACK_TRACE_PARSERS"],
    yaml: &["logs_config.auto_multi_line.stack_trace_parsers"],
    default: "[\"go\"]",
    meaning: "Languages whose crash dumps are known as such. There is `go`; stack traces of other languages are joined by their look.",
};
/// JSON alone.
pub const DETECT_JSON: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_ENABLE_JSON_DETECTION"],
    yaml: &["logs_config.auto_multi_line.enable_json_detection"],
    default: "true",
    meaning: "A line that begins as a JSON object is a message by itself.",
};
/// Timestamps.
pub const DETECT_TIME: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_ENABLE_DATETIME_DETECTION"],
    yaml: &["logs_config.auto_multi_line.enable_datetime_detection"],
    default: "true",
    meaning: "A line with a timestamp begins a message.",
};
/// How much is like a timestamp.
pub const THRESHOLD: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_TIMESTAMP_DETECTOR_MATCH_THRESHOLD"],
    yaml: &["logs_config.auto_multi_line.timestamp_detector_match_threshold"],
    default: "0.5",
    meaning: "How much of the beginning has to look like a timestamp, from 0 to less than 1.",
};
/// What is looked at.
pub const LOOKED_AT: Key = Key {
    names: &["DD_LOGS_CONFIG_AUTO_MULTI_LINE_TOKENIZER_MAX_INPUT_BYTES"],
    yaml: &["logs_config.auto_multi_line.tokenizer_max_input_bytes"],
    default: "60",
    meaning: "Bytes of a line that are looked at for timestamps and samples, 1 to 1000.",
};

/// All of these, in the order of the README.
pub const ALL: &[&Key] = &[
    &RULES,
    &WAIT,
    &TAG_JOINED,
    &DETECTION,
    &TAGGING,
    &SAMPLES,
    &PATTERNS,
    &JSON,
    &TAG_JSON,
    &PARSERS,
    &DETECT_JSON,
    &DETECT_TIME,
    &THRESHOLD,
    &LOOKED_AT,
];

/// A minute: nobody wants to wait longer for a line.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Timestamps stand at the beginning.
const LOOKED_AT_MAX: usize = 1000;

impl Reader<'_> {
    /// How lines become messages. Patterns and samples stay texts: they are compiled after the app has started.
    pub(super) fn messages(&mut self, line_bytes_max: usize, tags_truncated: bool) -> Messages {
        let default = automatic::Settings::default();
        let wait_ms = self.take(&WAIT, default.wait_ms, wait);
        let tags_multi_line = self.take(&TAG_JOINED, true, parse::boolean);
        let is_detected = self.take(&DETECTION, true, parse::boolean);
        let is_marked = self.take(&TAGGING, true, parse::boolean);
        let parsers = self.take(&PARSERS, vec!["go".to_owned()], parse::list);
        Messages {
            rules: self.text(&RULES).unwrap_or_default(),
            samples: self.text(&SAMPLES).unwrap_or_default(),
            patterns: self.take(&PATTERNS, Vec::new(), parse::list),
            multi_line: multi_line::Settings {
                message_bytes_max: line_bytes_max,
                wait_ms,
                tags_multi_line,
                tags_truncated,
            },
            automatic: automatic::Settings {
                mode: match (is_detected, is_marked) {
                    (true, _) => Mode::Join,
                    (false, true) => Mode::Mark,
                    (false, false) => Mode::Off,
                },
                message_bytes_max: line_bytes_max,
                wait_ms,
                joins_json: self.take(&JSON, true, parse::boolean),
                tags_json: self.take(&TAG_JSON, false, parse::boolean),
                joins_go: parsers.iter().any(|parser| parser == "go"),
                detects_json: self.take(&DETECT_JSON, true, parse::boolean),
                detects_timestamps: self.take(&DETECT_TIME, true, parse::boolean),
                timestamp_threshold: self.take(&THRESHOLD, default.timestamp_threshold, threshold),
                tokenized_bytes_max: self.take(&LOOKED_AT, default.tokenized_bytes_max, |text| {
                    match parse::count(text)? {
                        count if count <= LOOKED_AT_MAX => Ok(count),
                        _ => Err("is more than 1000".to_owned()),
                    }
                }),
                tags_multi_line,
                ..default
            },
        }
    }
}

/// Milliseconds, as the agent has them without a unit.
fn wait(text: &str) -> Result<u64, Wrong> {
    let least = Duration::from_millis(1);
    match text.parse::<u64>().map(Duration::from_millis) {
        Ok(wait) if (least..=WAIT_MAX).contains(&wait) => Ok(wait.as_millis() as u64),
        _ => Err("is not a number of milliseconds from 1 to 60000".to_owned()),
    }
}

fn threshold(text: &str) -> Result<f64, Wrong> {
    match parse::rate(text)? {
        threshold if threshold < 1.0 => Ok(threshold),
        _ => Err("is not less than 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Env, Mode as Kind, read};
    use super::{Messages, Mode};

    fn of(pairs: &[(&str, &str)]) -> (Messages, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Kind::Wrapper);
        (settings.logs.messages, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lines_are_joined_unless_somebody_wants_them_apart() {
        let (on, off) = (
            "DD_LOGS_CONFIG_AUTO_MULTI_LINE_DETECTION",
            ("DD_LOGS_CONFIG_AUTO_MULTI_LINE_DETECTION_TAGGING", "false"),
        );
        assert_eq!(of(&[]).0.automatic.mode, Mode::Join);
        assert_eq!(of(&[off]).0.automatic.mode, Mode::Join);
        assert_eq!(of(&[(on, "false")]).0.automatic.mode, Mode::Mark);
        assert_eq!(of(&[(on, "false"), off]).0.automatic.mode, Mode::Off);
    }

    #[test]
    fn limits_are_those_of_lines_and_bad_values_are_said() {
        let (messages, problems) = of(&[("DD_LOGS_CONFIG_MAX_MESSAGE_SIZE_BYTES", "500")]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(messages.automatic.message_bytes_max, 500);
        assert_eq!(messages.multi_line.message_bytes_max, 500);
        for (name, bad) in [
            ("DD_LOGS_CONFIG_AGGREGATION_TIMEOUT", "0"),
            ("DD_LOGS_CONFIG_AGGREGATION_TIMEOUT", "61000"),
            ("DD_LOGS_CONFIG_AUTO_MULTI_LINE_TOKENIZER_MAX_INPUT_BYTES", "1001"),
            ("DD_LOGS_CONFIG_AUTO_MULTI_LINE_TIMESTAMP_DETECTOR_MATCH_THRESHOLD", "1"),
        ] {
            let (messages, problems) = of(&[(name, bad)]);
            assert!(problems.len() == 1 && problems[0].contains(name), "{problems:?}");
            assert_eq!(messages, of(&[]).0);
        }
    }
}
