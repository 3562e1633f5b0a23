//! Lines that belong together become one message without a pattern from the user: the agent's automatic multi-line detection (spec: metrics-logs
//! 4.6), and stack traces that it leaves in pieces.
//!
//! A line goes through these steps, each of which may hold it until the next one comes:
//!
//! 1. [`json`]: a JSON object over several lines becomes one line ([`json_scan`] knows when it is whole).
//! 2. [`go`]: a crash dump of Go becomes a message.
//! 3. [`label`]: what the line is, by the user's samples ([`samples`]), or as JSON, or by a timestamp near its beginning ([`timestamps`],
//!    which looks at [`tokens`]).
//! 4. [`combine`]: lines go with the beginning before them; where there is none, those of a stack trace go together ([`traces`]; ours, not the
//!    agent's). Or [`mark`], where lines are not joined but first lines get a tag.
//!
//! Nothing is held for longer than [`Settings::wait_ms`] after the last line, nor more than [`Settings::message_bytes_max`] in each step.

mod combine;
mod go;
mod json;
mod json_scan;
mod label;
mod mark;
mod piece;
pub mod samples;
mod timestamps;
mod tokens;
mod traces;

#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use combine::Combiner;
use go::GoJoin;
use json::JsonJoin;
use label::Labeler;
use mark::Marker;
use piece::Piece;
use samples::Sample;
use timestamps::Timestamps;
use tokens::Token;

use super::message::{Line, Message};

/// What becomes of lines that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: each line is a message.
    Off,
    /// Each line is a message, and the first of several that belong together has the tag `auto_multiline_detected:true`.
    Mark,
    /// They are one message.
    Join,
}

/// The settings, by their names in the agent below `DD_LOGS_CONFIG_`.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `AUTO_MULTI_LINE_DETECTION`: true (which it is since 7.82.0) is [`Mode::Join`]; false is [`Mode::Mark`] unless
    /// `AUTO_MULTI_LINE_DETECTION_TAGGING` (true) is false too, which is [`Mode::Off`].
    pub mode: Mode,
    /// `MAX_MESSAGE_SIZE_BYTES`, 900,000: a message of several lines is shorter than this, and the lines are sent one by one where they would not
    /// be.
    pub message_bytes_max: usize,
    /// `AGGREGATION_TIMEOUT`, 1,000 ms: how long lines wait for the next one.
    pub wait_ms: u64,
    /// `AUTO_MULTI_LINE_ENABLE_JSON_AGGREGATION`, true: JSON over several lines becomes one line.
    pub joins_json: bool,
    /// `TAG_AGGREGATED_JSON`, false: such a line has the tag `aggregated_json:true`.
    pub tags_json: bool,
    /// `AUTO_MULTI_LINE_STACK_TRACE_PARSERS`, `["go"]`: whether `go` is in it.
    pub joins_go: bool,
    /// `AUTO_MULTI_LINE_ENABLE_JSON_DETECTION`, true: a line that begins as a JSON object is a message by itself.
    pub detects_json: bool,
    /// `AUTO_MULTI_LINE_ENABLE_DATETIME_DETECTION`, true: a line with a timestamp begins a message.
    pub detects_timestamps: bool,
    /// `AUTO_MULTI_LINE_TIMESTAMP_DETECTOR_MATCH_THRESHOLD`, 0.5: how much of it has to look like one; from 0 up to, but not including, 1.
    pub timestamp_threshold: f64,
    /// `AUTO_MULTI_LINE_TOKENIZER_MAX_INPUT_BYTES`, 60: how much of a line is looked at for timestamps and samples.
    pub tokenized_bytes_max: usize,
    /// `AUTO_MULTI_LINE_DETECTION_CUSTOM_SAMPLES`, and `AUTO_MULTI_LINE_EXTRA_PATTERNS` behind them.
    pub samples: Vec<samples::Setting>,
    /// Stack traces without a timestamp before them are joined too, and a time of day alone may begin a message. Ours; on with the mode
    /// [`Mode::Join`].
    pub joins_traces: bool,
    /// `TAG_MULTI_LINE_LOGS`, true: a message of several lines says what joined them.
    pub tags_multi_line: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Join,
            message_bytes_max: 900_000,
            wait_ms: 1000,
            joins_json: true,
            tags_json: false,
            joins_go: true,
            detects_json: true,
            detects_timestamps: true,
            timestamp_threshold: 0.5,
            tokenized_bytes_max: 60,
            samples: Vec::new(),
            joins_traces: true,
            tags_multi_line: true,
        }
    }
}

/// What all places share where lines are written: the compiled settings.
#[derive(Debug)]
pub struct Detection {
    settings: Settings,
    labeler: Labeler,
}

impl Detection {
    /// Compiles the settings; a sentence for each sample that can't be used.
    pub fn new(settings: Settings, problems: &mut Vec<String>) -> Self {
        let labeler = Labeler {
            samples: Sample::compile(&settings.samples, problems),
            detects_json: settings.detects_json,
            timestamps: settings
                .detects_timestamps
                .then(|| Timestamps::new(settings.timestamp_threshold)),
            bytes_max: settings.tokenized_bytes_max,
            takes_times: settings.joins_traces && settings.mode == Mode::Join,
        };
        Self { settings, labeler }
    }

    /// Whether lines need to be looked at.
    pub fn is_off(&self) -> bool {
        self.settings.mode == Mode::Off
    }
}

/// The last step.
#[derive(Debug)]
enum Last {
    Combine(Combiner),
    Mark(Marker),
}

/// The lines of one place where lines are written: a stream of the app, or a file.
#[derive(Debug)]
pub struct Automatic {
    detection: Arc<Detection>,
    json: Option<JsonJoin>,
    go: Option<GoJoin>,
    last: Last,
    tokens: Vec<Token>,
    /// When what is held is given out unless another line comes.
    due_ms: u64,
}

impl Automatic {
    /// For one place.
    pub fn new(detection: &Arc<Detection>) -> Self {
        let settings = &detection.settings;
        let (bytes_max, is_tagged) = (settings.message_bytes_max, settings.tags_multi_line);
        let joins = settings.mode == Mode::Join;
        let json = joins && settings.joins_json;
        Self {
            detection: Arc::clone(detection),
            json: json.then(|| JsonJoin::new(bytes_max, settings.tags_json)),
            go: (joins && settings.joins_go).then(|| GoJoin::new(bytes_max, is_tagged)),
            last: if joins {
                Last::Combine(Combiner::new(bytes_max, settings.joins_traces, is_tagged))
            } else {
                Last::Mark(Marker::default())
            },
            tokens: Vec::new(),
            due_ms: 0,
        }
    }

    /// Takes the next line, blank ones too. Messages go to `out` in the order of their lines, as soon as they are whole.
    pub fn line(&mut self, line: Line<'_>, now_ms: u64, out: &mut dyn FnMut(Message<'_>)) {
        self.due_ms = now_ms.saturating_add(self.detection.settings.wait_ms);
        let Self { detection, json, go, last, tokens, .. } = self;
        let mut end = End { labeler: &detection.labeler, last, tokens, out };
        match json {
            Some(json) => json.line(line, &mut |piece| end.behind_json(go, piece)),
            None => end.behind_json(go, Piece::Line(line)),
        }
    }

    /// When [`Automatic::tick`] has to be called; nothing while no line is held.
    pub fn due_ms(&self) -> Option<u64> {
        let is_empty = self.json.as_ref().is_none_or(JsonJoin::is_empty)
            && self.go.as_ref().is_none_or(GoJoin::is_empty)
            && match &self.last {
                Last::Combine(combiner) => combiner.is_empty(),
                Last::Mark(marker) => marker.is_empty(),
            };
        (!is_empty).then_some(self.due_ms)
    }

    /// Gives out what has waited for long enough.
    pub fn tick(&mut self, now_ms: u64, out: &mut dyn FnMut(Message<'_>)) {
        if self.due_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            self.flush(out);
        }
    }

    /// Gives out all that is held: no more lines will come, or not in time.
    pub fn flush(&mut self, out: &mut dyn FnMut(Message<'_>)) {
        let Self { detection, json, go, last, tokens, .. } = self;
        let mut end = End { labeler: &detection.labeler, last, tokens, out };
        if let Some(json) = json {
            json.flush(&mut |piece| end.behind_json(go, piece));
        }
        if let Some(go) = go {
            go.flush(&mut |piece| end.piece(piece));
        }
        match end.last {
            Last::Combine(combiner) => combiner.flush(end.out),
            Last::Mark(marker) => marker.flush(end.out),
        }
    }
}

/// The way behind the steps that may hold lines.
struct End<'a> {
    labeler: &'a Labeler,
    last: &'a mut Last,
    tokens: &'a mut Vec<Token>,
    out: &'a mut dyn FnMut(Message<'_>),
}

impl End<'_> {
    fn behind_json(&mut self, go: &mut Option<GoJoin>, piece: Piece<'_>) {
        match go {
            Some(go) => go.piece(piece, &mut |piece| self.piece(piece)),
            None => self.piece(piece),
        }
    }

    fn piece(&mut self, piece: Piece<'_>) {
        match (piece, &mut *self.last) {
            (Piece::Line(line), last) => {
                let label = self.labeler.label(line.text, self.tokens);
                match last {
                    Last::Combine(combiner) => combiner.line(line, label, self.out),
                    Last::Mark(marker) => marker.line(line, label, self.out),
                }
            }
            (Piece::Message(message), Last::Combine(combiner)) => {
                combiner.message(message, self.out);
            }
            (Piece::Message(message), Last::Mark(_)) => (self.out)(message),
        }
    }
}
