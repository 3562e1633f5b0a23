//! Lines that the user has given as samples of beginnings (`auto_multi_line_detection_custom_samples`, spec: metrics-logs 4.6).

use serde::Deserialize;
use serde_json::Value;

use super::label::Label;
use super::tokens::{Token, tokenize};
use crate::pattern::Pattern;

/// The part of a sample's tokens that has to be the same unless it says otherwise.
const THRESHOLD_DEFAULT: f64 = 0.75;

/// Samples at most. Each is compared with each line.
const SAMPLES_MAX: usize = 100;

/// A sample as it is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// A line that looks like those that are meant.
    pub sample: String,
    /// A pattern that those begin with; used where there is no sample.
    pub regex: String,
    /// The part of the sample's tokens that has to be the same, above 0 and up to 1; 0.75 where nothing is set.
    pub match_threshold: Option<f64>,
    /// `start_group` (which it is where nothing is set), `aggregate` or `no_aggregate`.
    pub label: Option<String>,
}

impl Setting {
    /// A pattern of `auto_multi_line_extra_patterns`, the older form.
    pub fn of_pattern(regex: &str) -> Self {
        Self { regex: regex.to_owned(), ..Self::default() }
    }
}

/// Reads samples from their JSON list; a sentence for each that can't be read.
pub fn parse(text: &str, problems: &mut Vec<String>) -> Vec<Setting> {
    let list: Vec<Value> = match serde_json::from_str(text) {
        Ok(list) => list,
        Err(error) => {
            problems.push(format!("the samples are no JSON list ({error}) and are not used"));
            return Vec::new();
        }
    };
    let read = |(at, value): (usize, Value)| {
        let setting = serde_json::from_value(value);
        setting.map_err(|error| problems.push(format!("sample {at} can't be read ({error})"))).ok()
    };
    list.into_iter().enumerate().filter_map(read).collect()
}

#[derive(Debug)]
enum Likeness {
    Tokens(Vec<Token>, f64),
    Pattern(Pattern),
}

/// A sample to compare with.
#[derive(Debug)]
pub(super) struct Sample {
    likeness: Likeness,
    pub(super) label: Label,
}

impl Sample {
    /// Compiles samples; a sentence for each that can't be used.
    pub(super) fn compile(settings: &[Setting], problems: &mut Vec<String>) -> Vec<Self> {
        if settings.len() > SAMPLES_MAX {
            problems.push(format!(
                "there are {} samples, and the first {SAMPLES_MAX} are used",
                settings.len()
            ));
        }
        let one = |(at, setting): (usize, &Setting)| {
            let sample = Self::new(setting);
            sample
                .map_err(|reason| problems.push(format!("sample {at} is not used: {reason}")))
                .ok()
        };
        settings.iter().take(SAMPLES_MAX).enumerate().filter_map(one).collect()
    }

    fn new(setting: &Setting) -> Result<Self, String> {
        let label = match setting.label.as_deref() {
            None | Some("start_group") => Label::Start,
            Some("aggregate") => Label::More,
            Some("no_aggregate") => Label::Alone,
            Some(other) => {
                return Err(format!(
                    "label {other:?} is not start_group, aggregate or no_aggregate"
                ));
            }
        };
        let likeness = if !setting.sample.is_empty() {
            let threshold = setting.match_threshold.unwrap_or(THRESHOLD_DEFAULT);
            if !(threshold > 0.0 && threshold <= 1.0) {
                return Err(format!("match_threshold {threshold} is not above 0 and at most 1"));
            }
            let mut tokens = Vec::new();
            tokenize(setting.sample.as_bytes(), usize::MAX, &mut tokens);
            Likeness::Tokens(tokens, threshold)
        } else if !setting.regex.is_empty() {
            let pattern = Pattern::new(&format!("^{}", setting.regex)).map_err(|reason| {
                format!("the pattern {:?} can't be used ({reason})", setting.regex)
            })?;
            Likeness::Pattern(pattern)
        } else {
            return Err("it has neither sample nor regex".to_owned());
        };
        Ok(Self { likeness, label })
    }

    /// Whether a line with these tokens is like it.
    pub(super) fn is_like(&self, text: &[u8], tokens: &[Token]) -> bool {
        match &self.likeness {
            Likeness::Tokens(sample, threshold) => are_alike(sample, tokens, *threshold),
            Likeness::Pattern(pattern) => pattern.is_in(&String::from_utf8_lossy(text)),
        }
    }
}

/// Whether enough of the tokens are the same, place by place over the shorter of the two.
fn are_alike(sample: &[Token], tokens: &[Token], threshold: f64) -> bool {
    let len = sample.len().min(tokens.len());
    let same = sample.iter().zip(tokens).filter(|(one, other)| one == other).count();
    len > 0 && same as f64 >= (threshold * len as f64).round()
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::{Sample, are_alike, parse};

    #[test]
    fn tokens_are_compared_place_by_place() {
        let alike = |sample: &str, text: &str, threshold: f64| {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            tokenize(sample.as_bytes(), 60, &mut one);
            tokenize(text.as_bytes(), 60, &mut other);
            are_alike(&one, &other, threshold)
        };
        assert!(alike("! @ # $ % ", "! @ # $ % ", 1.0));
        assert!(alike("! @ # $ % ", "! @ #1a1a1", 0.5));
        assert!(!alike("! @ # $ % ", "! @ #1a1a1", 0.55));
        assert!(!alike("! @ # $ % ", "", 0.01));
        assert!(alike("! @ # $ % ", "!", 1.0), "over the shorter of the two");
        assert!(alike("abc 12", "xyz 34", 1.0));
    }

    #[test]
    fn what_can_not_be_used_is_said_and_the_rest_is_used() {
        let mut problems = Vec::new();
        let settings = parse(
            r#"["x", {"sample": 12}, {"sample": "a", "label": "b"}, {"sample": "a", "match_threshold": 2},
                {"regex": "("}, {}, {"sample": "a"}]"#,
            &mut problems,
        );
        assert_eq!((settings.len(), problems.len()), (5, 2));
        let samples = Sample::compile(&settings, &mut problems);
        assert_eq!((samples.len(), problems.len()), (1, 6));
        for expect in ["label \"b\"", "match_threshold 2", "unclosed group", "neither"] {
            assert!(problems.iter().any(|problem| problem.contains(expect)), "{problems:?}");
        }
        assert!(parse("{", &mut problems).is_empty());
        assert!(problems.iter().all(|problem| !problem.contains('\n')));
    }
}
