//! YAML as JSON values: the one form in which lists and maps reach the readers of settings, since a variable has them as JSON already.
//!
//! A scalar becomes a text, exactly as it is written (`1.10`, `0123`, `yes`): the reader of the setting decides what it means, as it does with
//! the text of a variable. Nothing, `~` and `null` become null, unless they are quoted.

use std::borrow::Cow;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::parse::Wrong;

/// Nesting depth of a file. The agent's settings have six levels.
const DEPTH_MAX: usize = 32;

/// Scalars, lists and maps of a file, each as often as aliases repeat it.
const NODES_MAX: usize = 100_000;

/// The map that the first document of `text` is; an empty one where there is nothing. The error says what is wrong and where, and repeats no
/// value of the file.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, Wrong> {
    let mut loader = Loader::default();
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = event.map_err(|error| unusable(error.info(), error.marker()))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        loader.take(event).map_err(|wrong| unusable(wrong, &span.start))?;
    }
    match loader.root {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err("is not a map of settings".to_owned()),
    }
}

fn unusable(wrong: &str, place: &Marker) -> Wrong {
    format!("is not valid YAML ({wrong}, line {}, column {})", place.line(), place.col() + 1)
}

/// Builds the value from events.
#[derive(Default)]
struct Loader {
    /// Lists and maps that have begun, each within the one before.
    open: Vec<Open>,
    /// By the parser's numbers, which count up from 1.
    anchors: Vec<Option<Node>>,
    nodes: usize,
    root: Option<Value>,
}

/// A complete value.
#[derive(Clone)]
struct Node {
    value: Value,
    /// How many scalars, lists and maps it is made of.
    nodes: usize,
    /// Levels of lists and maps.
    depth: usize,
}

struct Open {
    items: Items,
    anchor: usize,
    nodes: usize,
    /// Of the deepest item.
    depth: usize,
}

enum Items {
    List(Vec<Value>),
    Map {
        map: Map<String, Value>,
        key: Option<Key>,
        /// What `<<` brings in; a key of the map itself counts before it.
        merged: Vec<Value>,
    },
}

enum Key {
    Own(String),
    Merge,
}

impl Loader {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, _) => self.scalar(text, style, anchor),
            Event::SequenceStart(anchor, _) => self.begin(Items::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => {
                self.begin(Items::Map { map: Map::new(), key: None, merged: Vec::new() }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
    ) -> Result<(), &'static str> {
        let is_plain = style == ScalarStyle::Plain;
        if is_plain && text == "<<" && self.wants_key() {
            return self.key(Key::Merge);
        }
        let is_null = is_plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
        let value = if is_null { Value::Null } else { Value::String(text.into_owned()) };
        self.count(1)?;
        self.add(Node { value, nodes: 1, depth: 0 }, anchor)
    }

    fn begin(&mut self, items: Items, anchor: usize) -> Result<(), &'static str> {
        if self.wants_key() {
            return Err("a key that is no text");
        }
        if self.open.len() >= DEPTH_MAX {
            return Err("too many levels");
        }
        self.count(1)?;
        self.open.push(Open { items, anchor, nodes: 1, depth: 0 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), &'static str> {
        let Some(Open { items, anchor, nodes, depth }) = self.open.pop() else { return Ok(()) };
        let value = match items {
            Items::List(list) => Value::Array(list),
            Items::Map { mut map, merged, .. } => {
                merge(&mut map, merged)?;
                Value::Object(map)
            }
        };
        self.add(Node { value, nodes, depth: depth + 1 }, anchor)
    }

    fn alias(&mut self, anchor: usize) -> Result<(), &'static str> {
        let node = self.anchors.get(anchor).and_then(Option::clone);
        let node = node.ok_or("an alias within what it stands for")?;
        if self.open.len() + node.depth > DEPTH_MAX {
            return Err("too many levels");
        }
        self.count(node.nodes)?;
        self.add(node, 0)
    }

    /// Every node is counted before it is made, so that aliases of aliases take no memory.
    fn count(&mut self, nodes: usize) -> Result<(), &'static str> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX { Err("too many values") } else { Ok(()) }
    }

    /// Whether the next value is a key.
    fn wants_key(&self) -> bool {
        self.open.last().is_some_and(|open| matches!(open.items, Items::Map { key: None, .. }))
    }

    fn key(&mut self, new: Key) -> Result<(), &'static str> {
        if let Some(Open { items: Items::Map { map, key, .. }, .. }) = self.open.last_mut() {
            if matches!(&new, Key::Own(text) if map.contains_key(text)) {
                return Err("a key that is there twice");
            }
            *key = Some(new);
        }
        Ok(())
    }

    /// Puts a complete value where it belongs. An anchor of 0 is none.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), &'static str> {
        if anchor != 0 {
            let len = self.anchors.len().max(anchor + 1);
            self.anchors.resize(len, None);
            if let Some(place) = self.anchors.get_mut(anchor) {
                *place = Some(node.clone());
            }
        }
        if self.wants_key() {
            let Value::String(text) = node.value else { return Err("a key that is no text") };
            return self.key(Key::Own(text));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node.value);
            return Ok(());
        };
        open.nodes += node.nodes;
        open.depth = open.depth.max(node.depth);
        match &mut open.items {
            Items::List(list) => list.push(node.value),
            Items::Map { map, key, merged } => match key.take() {
                Some(Key::Own(key)) => {
                    map.insert(key, node.value);
                }
                Some(Key::Merge) => merged.push(node.value),
                None => {}
            },
        }
        Ok(())
    }
}

/// Brings in what `<<` names: a map, or a list of maps of which the first with a key counts.
fn merge(map: &mut Map<String, Value>, merged: Vec<Value>) -> Result<(), &'static str> {
    for value in merged {
        match value {
            Value::Object(other) => {
                for (key, value) in other {
                    if !map.contains_key(&key) {
                        map.insert(key, value);
                    }
                }
            }
            Value::Array(list) if list.iter().all(Value::is_object) => merge(map, list)?,
            _ => return Err("a << that is no map"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{DEPTH_MAX, parse};

    fn check(text: &str, expect: Value) {
        assert_eq!(parse(text).map(Value::Object), Ok(expect), "{text}");
    }

    fn check_bad(text: &str, expect: &str) {
        let wrong = parse(text).unwrap_err();
        assert!(wrong.contains(expect), "{text}: {wrong}");
    }

    #[test]
    fn scalars_are_texts_as_they_are_written() {
        check(
            "a: 1.10\nb: 0123\nc: yes\nd: 'yes'\ne: \"x\\ty\"\nf: |\n  two\n  lines\n",
            json!({"a": "1.10", "b": "0123", "c": "yes", "d": "yes", "e": "x\ty", "f": "two\nlines\n"}),
        );
        check(
            "a:\nb: ~\nc: null\nd: 'null'\ne: ''\n",
            json!({"a": null, "b": null, "c": null, "d": "null", "e": ""}),
        );
        check("{team:a: b, \"c\": \"d#e\"} # f", json!({"team:a": "b", "c": "d#e"}));
    }

    #[test]
    fn lists_and_maps_keep_their_structure() {
        check(
            "apm_config:\n  replace_tags:\n    - name: a\n      pattern: \"\\\\d+\"\n    - {name: b, pattern: c}\ntags:\n- x:y\n- z\n",
            json!({
                "apm_config": {"replace_tags": [{"name": "a", "pattern": "\\d+"}, {"name": "b", "pattern": "c"}]},
                "tags": ["x:y", "z"],
            }),
        );
    }

    #[test]
    fn an_empty_file_has_no_settings_and_only_the_first_document_counts() {
        for text in ["", "# nothing\n", "---\n", "---\n...\n", "~", "\u{feff}# nothing"] {
            check(text, json!({}));
        }
        check("a: 1\n---\nb: [", json!({"a": "1"}));
        check("\u{feff}a: 1\r\n", json!({"a": "1"}));
    }

    #[test]
    fn aliases_and_merges_repeat_what_was_there() {
        check("a: &x {k: v}\nb: *x\n", json!({"a": {"k": "v"}, "b": {"k": "v"}}));
        check(
            "a: &x {k: v, l: w}\nb: {<<: *x, k: own}\nc: {<<: [*x, {m: n, k: other}]}\n",
            json!({
                "a": {"k": "v", "l": "w"},
                "b": {"k": "own", "l": "w"},
                "c": {"k": "v", "l": "w", "m": "n"},
            }),
        );
        check("'<<': x", json!({"<<": "x"}));
    }

    #[test]
    fn what_is_broken_is_said_with_its_place() {
        check_bad("a: [1, 2\nb: 3\n", "line 2");
        check_bad("a: 1\na: 2\n", "a key that is there twice, line 2, column 1");
        check_bad("a: *nobody\n", "line 1");
        check_bad("a: &x [*x]\n", "an alias within what it stands for, line 1, column 8");
        check_bad("? [a]\n: b\n", "a key that is no text");
        check_bad("<<: x\n", "a << that is no map");
        check_bad("- a\n", "is not a map of settings");
        check_bad("text", "is not a map of settings");
        check_bad("a: \t- b: c: d", "line 1");
    }

    #[test]
    fn no_file_takes_more_than_its_bounds() {
        let nested =
            |levels: usize| format!("a: {}1{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        check_bad(&nested(DEPTH_MAX + 1), "too many levels");
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        let mut deep = String::from("a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n");
        for level in 1..9 {
            let item = format!("*a{}", level - 1);
            writeln!(laughs, "a{level}: &a{level} [{}]", [item.as_str(); 10].join(", ")).unwrap();
            writeln!(deep, "a{level}: &a{level} [[[[[[[[[[{item}]]]]]]]]]]").unwrap();
        }
        check_bad(&laughs, "too many values");
        check_bad(&deep, "too many levels");
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_there_is_an_answer(
            text in prop_oneof!["\\PC{0,60}", "[a-c:\\[\\]{},#&*!|>'\"%@`?<~ \t\n-]{0,80}"],
        ) {
            if let Err(wrong) = parse(&text) {
                prop_assert!(wrong.len() < 200, "{wrong}");
            }
        }
    }
}
