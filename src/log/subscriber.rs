//! The events of `tracing` as lines. Our own subscriber, since all it does is a level, a message and fields: no spans, no filters, no formatter
//! that writes with a lock and waits.

use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::text::Line;
use super::{Level, stderr, write};

struct Lines {
    filter: LevelFilter,
}

pub(super) fn install(level: Level) {
    let filter = match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
        Level::Off => LevelFilter::OFF,
    };
    // It fails where a test installed one before; that one stays.
    tracing::subscriber::set_global_default(Lines { filter }).unwrap_or_default();
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What libraries tell of their frames is of no use to whoever asks us for more.
        let is_ours = metadata.target().starts_with("pillion");
        is_ours && metadata.is_event() && *metadata.level() <= self.filter
    }

    fn event(&self, event: &Event<'_>) {
        let verbose = self.filter >= LevelFilter::DEBUG;
        let mut line = Line::new(stderr::colour());
        if verbose {
            line.time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        }
        line.level(*event.metadata().level(), verbose);
        event.record(&mut Message(&mut line));
        event.record(&mut Fields(&mut line));
        write(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Writes the message, which stands first whatever the order in the code.
struct Message<'a>(&'a mut Line);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.push_args(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.0.push(value);
        }
    }
}

/// Writes all but the message.
struct Fields<'a>(&'a mut Line);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            self.0.field(field.name(), value);
        }
    }
}
