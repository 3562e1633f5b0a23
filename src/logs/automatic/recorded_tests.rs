//! Stack traces as real programs print them stay whole, and the lines around them are messages of their own (tests/logs).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::piece::tests::lines_of;
use super::{Automatic, Detection, Settings};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

/// The messages of a recording: their texts, and how many lines they have.
fn messages(text: &str, settings: Settings) -> Vec<(String, u32)> {
    let mut automatic = Automatic::new(&Arc::new(Detection::new(settings, &mut Vec::new())));
    let mut messages = Vec::new();
    let mut out = |message: super::Message<'_>| {
        messages.push((String::from_utf8_lossy(&message.text).into_owned(), message.lines));
    };
    for line in lines_of(text) {
        automatic.line(line, line.time_ms, &mut out);
    }
    automatic.flush(&mut out);
    messages
}

/// The recordings by their names, with the numbers of lines that their messages should have.
fn recordings() -> Vec<(String, String, Vec<u32>)> {
    let expected = fs::read_to_string(folder().join("expected")).unwrap();
    let recording = |row: &str| {
        let (name, lines) = row.split_once(':').unwrap();
        let text = fs::read_to_string(folder().join(format!("{name}.log"))).unwrap();
        (name.to_owned(), text, lines.split_whitespace().map(|n| n.parse().unwrap()).collect())
    };
    expected.lines().filter(|row| !row.starts_with('#')).map(recording).collect()
}

#[test]
fn every_recording_is_expected_to_be_something() {
    let names: Vec<String> = recordings().into_iter().map(|(name, _, _)| name).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "log") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
    for language in ["python", "java", "go", "node", "rust"] {
        assert!(names.iter().any(|name| name.starts_with(language)), "{language}");
    }
}

#[test]
fn stack_traces_of_real_programs_are_one_message_each() {
    let mut wrong = Vec::new();
    for (name, text, expect) in recordings() {
        let messages = messages(&text, Settings::default());
        let lines: Vec<u32> = messages.iter().map(|(_, lines)| *lines).collect();
        let filled = text.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(lines.iter().sum::<u32>() as usize, filled, "{name}: a line is lost");
        if lines != expect {
            let shown: Vec<String> = messages
                .iter()
                .map(|(text, lines)| {
                    format!("  {lines} {}", text.chars().take(90).collect::<String>())
                })
                .collect();
            wrong.push(format!("{name}: {lines:?} and not {expect:?}\n{}", shown.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What goes through the joiner of each line comes out as it was.
#[test]
fn the_lines_of_recordings_come_out_in_their_order() {
    for (name, text, _) in recordings() {
        // JSON comes out in another form, and a text with the separator in it could not be taken apart again.
        let settings = Settings { joins_json: false, ..Settings::default() };
        assert!(!text.contains("\\n"), "{name}");
        let messages = messages(&text, settings);
        let came: Vec<&str> =
            messages.iter().flat_map(|(text, _)| text.split("\\n")).map(str::trim).collect();
        let came: Vec<&str> = came.into_iter().filter(|line| !line.is_empty()).collect();
        let expect: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(came, expect, "{name}");
    }
}
