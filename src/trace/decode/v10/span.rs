//! Spans of a v1.0 body, their links and events.

use super::Decoder;
use crate::trace::decode::Fallible;
use crate::trace::model::{Event, Link, Slice, Span};

impl Decoder<'_> {
    pub(super) fn span(&mut self) -> Fallible<Span> {
        let mut span = Span::default();
        for _ in 0..self.cursor.map()? {
            match self.cursor.unsigned32()? {
                1 => span.service = self.text()?,
                2 => span.name = self.text()?,
                3 => span.resource = self.text()?,
                4 => span.span_id = self.cursor.unsigned()?,
                5 => span.parent_id = self.cursor.unsigned()?,
                6 => span.start = self.cursor.unsigned()?.cast_signed(),
                7 => span.duration = self.cursor.unsigned()?.cast_signed(),
                8 => span.error = i32::from(self.cursor.strict_bool()?),
                9 => span.attributes = self.attributes()?,
                10 => span.kind = self.text()?,
                11 => span.links = self.links()?,
                12 => span.events = self.events()?,
                13 => span.fields[0] = self.text()?,
                14 => span.fields[1] = self.text()?,
                15 => span.fields[2] = self.text()?,
                16 => span.span_kind = self.cursor.unsigned32()?.cast_signed(),
                _ => self.skip()?,
            }
        }
        Ok(span)
    }

    fn links(&mut self) -> Fallible<Slice> {
        let first = self.body.links.len();
        for _ in 0..self.cursor.array()? {
            let mut link = Link::default();
            for _ in 0..self.cursor.map()? {
                match self.cursor.unsigned32()? {
                    1 => link.trace_id_bytes = self.cursor.blob()?.into(),
                    2 => link.span_id = self.cursor.unsigned()?,
                    3 => link.attributes = self.entries()?,
                    4 => link.tracestate = self.text()?,
                    5 => link.flags = self.cursor.unsigned32()?,
                    _ => self.skip()?,
                }
            }
            self.body.links.push(link);
        }
        Ok(Slice::new(first, self.body.links.len()))
    }

    fn events(&mut self) -> Fallible<Slice> {
        let first = self.body.events.len();
        for _ in 0..self.cursor.array()? {
            let mut event = Event::default();
            for _ in 0..self.cursor.map()? {
                match self.cursor.unsigned32()? {
                    1 => event.time = self.cursor.unsigned()?,
                    2 => event.name = self.text()?,
                    3 => event.attributes = self.entries()?,
                    _ => self.skip()?,
                }
            }
            self.body.events.push(event);
        }
        Ok(Slice::new(first, self.body.events.len()))
    }
}
