//! Redis and Valkey commands. The resource of a span becomes the names of its commands ([`quantise`]); in the tag with the raw command the
//! arguments that hold values become `?` ([`obfuscate_command`]).

mod rule;
mod words;

use rule::{Fate, Rule};
use words::{End, Words};

use super::Outcome;
use super::upper::{is, upper};

/// Commands that a resource names; from this many on ` ...` says that there may be more.
const COMMANDS_MAX: usize = 3;

/// The end of a word that the tracer cut off.
const CUT: &str = "...";

/// The names of the commands in `text`, one in a line, in upper case with a space in between: at most three. A line whose name was cut off
/// counts for nothing (spec: trace-agent 7.2).
pub fn quantise(text: &str, out: &mut String) -> Outcome {
    out.clear();
    let mut commands = 0;
    let mut is_cut = false;
    for line in text.split('\n') {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let Some(name) = words.next() else { continue };
        let second = words.next().filter(|_| has_subcommand(name));
        is_cut = name.ends_with(CUT) || second.is_some_and(|word| word.ends_with(CUT));
        if is_cut {
            continue;
        }
        for word in [Some(name), second].into_iter().flatten() {
            separate(out);
            out.extend(word.chars().map(upper));
        }
        commands += 1;
        if commands == COMMANDS_MAX {
            break;
        }
    }
    if commands == COMMANDS_MAX || is_cut {
        separate(out);
        out.push_str(CUT);
    }
    Outcome::of(text, out)
}

fn separate(out: &mut String) {
    if !out.is_empty() {
        out.push(' ');
    }
}

/// Whether the name alone says nothing.
fn has_subcommand(name: &str) -> bool {
    ["CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "SCRIPT"].iter().any(|own| is(name, own))
}

/// The commands of `text` with `?` for arguments that hold values; what else there is stays, each command in a line of its own. With
/// `remove_all_args` the first command with one `?` for all its arguments.
pub fn obfuscate_command(text: &str, remove_all_args: bool, out: &mut String) -> Outcome {
    out.clear();
    if remove_all_args {
        without_arguments(text, out);
    } else {
        with_values_hidden(text, out);
    }
    Outcome::of(text, out)
}

fn without_arguments(text: &str, out: &mut String) {
    let mut words = text.split_whitespace();
    let Some(name) = words.next() else { return };
    out.push_str(name);
    let Some(first) = words.next() else { return };
    let is_one_of = |word: &str, names: &[&str]| names.iter().any(|name| is(word, name));
    if is(name, "BITFIELD") {
        out.push_str(" ?");
        for word in std::iter::once(first).chain(words) {
            if is_one_of(word, &["SET", "GET", "INCRBY"]) {
                out.push(' ');
                out.push_str(word);
                out.push_str(" ?");
            }
        }
        return;
    }
    if is(name, "CONFIG") && is_one_of(first, &["GET", "SET", "RESETSTAT", "REWRITE"]) {
        out.push(' ');
        out.push_str(first);
    }
    out.push_str(" ?");
}

fn with_values_hidden(text: &str, out: &mut String) {
    let mut words = Words::new(text);
    let mut name = "";
    loop {
        if !name.is_empty() {
            out.push('\n');
        }
        let start = out.len();
        let end;
        (name, end) = words.name();
        out.push_str(name);
        let end = if end == End::Word { arguments(name, &mut words, out) } else { end };
        if end == End::Text {
            return;
        }
        if name.is_empty() {
            // Arguments of nothing: the agent, too, shows them only at the very end.
            out.truncate(start);
        }
    }
}

fn arguments(name: &str, words: &mut Words<'_>, out: &mut String) -> End {
    let mut rule = Rule::of(name);
    for index in 0.. {
        let (argument, end) = words.argument();
        match rule.fate(index, argument) {
            Fate::Shown => {
                out.push(' ');
                out.push_str(argument);
            }
            Fate::Hidden => out.push_str(" ?"),
            Fate::Gone => {}
        }
        if end != End::Word {
            return end;
        }
    }
    End::Text
}

#[cfg(test)]
mod tests;
