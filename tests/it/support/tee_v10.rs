//! The spans of a v1.0 body, for the tap: a map with numbers for names, in which a string is written once and then named by its number.

use std::collections::BTreeMap;

use rmpv::Value;

use crate::support::tee::Sent;

/// The spans by their id.
pub fn spans(body: &Value) -> BTreeMap<u64, Sent> {
    let mut reader = Reader { strings: vec![String::new()], spans: BTreeMap::new() };
    for (field, value) in fields(body) {
        match field {
            2..=9 => drop(reader.text(value)),
            10 => reader.attributes(value),
            11 => items(value).iter().for_each(|chunk| reader.chunk(chunk)),
            other => panic!("field {other} of a payload"),
        }
    }
    reader.spans
}

struct Reader {
    strings: Vec<String>,
    spans: BTreeMap<u64, Sent>,
}

impl Reader {
    fn text(&mut self, value: &Value) -> String {
        if let Some(text) = value.as_str() {
            self.strings.push(text.to_owned());
            return text.to_owned();
        }
        self.strings[usize::try_from(value.as_u64().unwrap()).unwrap()].clone()
    }

    fn chunk(&mut self, chunk: &Value) {
        let (mut ids, mut trace_id) = (Vec::new(), 0);
        for (field, value) in fields(chunk) {
            match field {
                2 => drop(self.text(value)),
                3 => self.attributes(value),
                4 => ids.extend(items(value).iter().map(|span| self.span(span))),
                6 => {
                    let (_, low) = value.as_slice().unwrap().split_last_chunk::<8>().unwrap();
                    trace_id = u64::from_be_bytes(*low);
                }
                1 | 5 | 7 => {}
                other => panic!("field {other} of a chunk"),
            }
        }
        for id in ids {
            self.spans.get_mut(&id).unwrap().trace_id = trace_id;
        }
    }

    fn span(&mut self, span: &Value) -> u64 {
        let mut id = 0;
        let mut sent = Sent {
            parent_id: 0,
            trace_id: 0,
            name: String::new(),
            service: String::new(),
            resource: String::new(),
            error: false,
        };
        for (field, value) in fields(span) {
            match field {
                1 => sent.service = self.text(value),
                2 => sent.name = self.text(value),
                3 => sent.resource = self.text(value),
                4 => id = value.as_u64().unwrap(),
                5 => sent.parent_id = value.as_u64().unwrap(),
                8 => sent.error = value.as_bool().unwrap(),
                9 => self.attributes(value),
                10 | 13..=15 => drop(self.text(value)),
                11 => items(value).iter().for_each(|link| self.part(link, 4)),
                12 => items(value).iter().for_each(|event| self.part(event, 2)),
                6 | 7 | 16 => {}
                other => panic!("field {other} of a span"),
            }
        }
        self.spans.insert(id, sent);
        id
    }

    /// A link or an event: its attributes are field 3, and one other field is a string.
    fn part(&mut self, part: &Value, text: u64) {
        for (field, value) in fields(part) {
            match field {
                3 => self.attributes(value),
                field if field == text => drop(self.text(value)),
                _ => {}
            }
        }
    }

    fn attributes(&mut self, list: &Value) {
        for [key, kind, value] in items(list).as_chunks().0 {
            self.text(key);
            self.value(kind, value);
        }
    }

    fn value(&mut self, kind: &Value, value: &Value) {
        match kind.as_u64().unwrap() {
            1 => drop(self.text(value)),
            6 => {
                for [kind, value] in items(value).as_chunks().0 {
                    self.value(kind, value);
                }
            }
            7 => self.attributes(value),
            _ => {}
        }
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().expect("a list")
}

fn fields(map: &Value) -> impl Iterator<Item = (u64, &Value)> {
    let pairs = map.as_map().expect("a map");
    pairs.iter().map(|(field, value)| (field.as_u64().expect("a number for a name"), value))
}
