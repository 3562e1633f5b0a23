//! The walk through a request.

use super::attributes::Members;
use super::entry::{Record, Source, write};
use crate::logs::batch::Attributes;
use crate::otlp::metrics::{resource, tags::Tags};
use crate::trace::decode::otlp::value::{Attribute, Value, elements};
use crate::trace::decode::otlp::wire::Fields;

/// The tag that says how logs came.
const OWN_TAG: &str = "otel_source:pillion";

/// What becomes of records.
#[derive(Debug)]
pub struct Records {
    attributes: Attributes,
    /// Tags that were learnt since.
    learnt: Vec<String>,
    members: Members,
    entry: String,
}

impl Records {
    /// `attributes` are what is said of records that do not say it themselves.
    pub fn new(attributes: Attributes) -> Self {
        Self { attributes, learnt: Vec::new(), members: Members::default(), entry: String::new() }
    }

    /// Has further records say these tags, too.
    pub fn learn(&mut self, tags: Vec<String>) {
        self.learnt = tags;
    }

    /// Takes the body of a request, which was checked and came at `now_ms`, in milliseconds since 1970. `out` gets the entry of each
    /// record.
    pub fn take(&mut self, body: &[u8], now_ms: u64, out: &mut dyn FnMut(&[u8])) {
        for of_resource in elements(Fields::of(body)) {
            let resource = last(of_resource, 1);
            let tags = self.tags(resource);
            let resource: Vec<Attribute<'_>> = all(resource, 1).map(Attribute::of).collect();
            for of_scope in all(of_resource, 2) {
                let scope: Vec<Attribute<'_>> =
                    all(last(of_scope, 1), 3).map(Attribute::of).collect();
                let source = Source {
                    host: text(&resource, "host.name"),
                    service: text(&resource, "service.name"),
                    default_host: &self.attributes.hostname,
                    default_service: &self.attributes.service,
                    tags: &tags,
                    attributes: [&resource, &scope],
                };
                for record in all(of_scope, 2) {
                    self.entry.clear();
                    let record = Record::of(record);
                    write(&mut self.entry, &mut self.members, &record, &source, now_ms);
                    out(self.entry.as_bytes());
                }
            }
        }
    }

    /// The tags of a resource's records: its own, ours, and those of the settings that are not there yet.
    fn tags(&self, resource: &[u8]) -> String {
        let mut own = Tags::default();
        resource::resource(&mut own, resource, false);
        let mut all: Vec<&str> = Vec::new();
        let set = self.attributes.tags.split(',').filter(|tag| !tag.is_empty());
        let set = set.chain(self.learnt.iter().map(String::as_str));
        for tag in own.iter().chain([OWN_TAG]).chain(set) {
            if !all.contains(&tag) {
                all.push(tag);
            }
        }
        all.join(",")
    }
}

/// The text of the first attribute with this key; empty where there is none.
fn text<'a>(attributes: &'a [Attribute<'a>], key: &str) -> &'a str {
    match attributes.iter().find(|attribute| attribute.key == key).map(|found| &found.value) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn all(bytes: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(bytes).filter(move |field| field.0 == number).map(|field| field.1.bytes())
}

fn last(bytes: &[u8], number: u32) -> &[u8] {
    all(bytes, number).last().unwrap_or_default()
}
