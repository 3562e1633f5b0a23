//! Values as text, in the agent's spelling: how a rule that looks for a string reads a value of another kind.

use std::fmt::Write;

use crate::trace::model::{Body, Value};
use crate::trace::table::as_text;

/// The text of a value of `body`, whose places refer to `source`. Doubles have no exponent, arrays are `[a,b]` and maps `{k=v,k=v}`.
pub(super) fn value_text(value: Value, body: &Body, source: &[u8]) -> String {
    let mut text = String::new();
    append(&mut text, value, body, source);
    text
}

fn append(text: &mut String, value: Value, body: &Body, source: &[u8]) {
    // Writing to a string can't fail.
    match value {
        Value::None | Value::Unknown(_) => {}
        Value::Text(place) | Value::Bytes(place) => text.push_str(&as_text(place.of(source))),
        Value::Bool(flag) => text.push_str(if flag { "true" } else { "false" }),
        Value::Int(int) => drop(write!(text, "{int}")),
        Value::Number(number) if number.is_infinite() => {
            text.push_str(if number > 0.0 { "+Inf" } else { "-Inf" });
        }
        Value::Number(number) => drop(write!(text, "{number}")),
        Value::Array(values) => {
            text.push('[');
            for (at, index) in values.range().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                append(text, body.values[index], body, source);
            }
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            for (at, index) in entries.range().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                let (key, value) = body.entries[index];
                text.push_str(&as_text(key.of(source)));
                text.push('=');
                append(text, value, body, source);
            }
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::value_text;
    use crate::trace::model::{Body, Slice, Text, Value};

    #[test]
    fn values_are_spelled_as_the_agent_spells_them() {
        let source = b"key\xff";
        let body = Body {
            values: vec![Value::Int(-1), Value::Bool(true), Value::None],
            entries: vec![
                (Text::place(0, 3), Value::Array(Slice::new(0, 3))),
                (Text::EMPTY, Value::Number(0.5)),
            ],
            ..Body::default()
        };
        for (value, expect) in [
            (Value::Number(1e21), "1000000000000000000000"),
            (Value::Number(-0.0), "-0"),
            (Value::Number(f64::INFINITY), "+Inf"),
            (Value::Number(f64::NEG_INFINITY), "-Inf"),
            (Value::Number(f64::NAN), "NaN"),
            (Value::Number(404.0), "404"),
            (Value::Bytes(Text::place(2, 2)), "y\u{fffd}"),
            (Value::Map(Slice::new(0, 2)), "{key=[-1,true,],=0.5}"),
        ] {
            assert_eq!(value_text(value, &body, source), expect);
        }
    }
}
