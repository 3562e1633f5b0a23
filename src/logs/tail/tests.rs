//! What becomes of files that are written, renamed, truncated and removed while they are followed.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::{any, prop_assert_eq, proptest};
use tempfile::TempDir;

use super::{Begin, Event, Polled, Select, Settings, Tailer, app_service_pattern, start};

/// A folder with logs, and what came of them.
struct Logs {
    folder: TempDir,
    settings: Settings,
    tailer: Tailer,
    now_ms: u64,
    /// Bytes of each file by its tags, those of its numbers apart.
    came: BTreeMap<(String, u64), String>,
    ended: Vec<u64>,
    has_room: bool,
    polled: Polled,
}

impl Logs {
    fn new(pattern: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join(pattern));
        change(&mut settings);
        Self {
            tailer: Tailer::new(settings.clone()),
            settings,
            folder,
            now_ms: 1_000_000,
            came: BTreeMap::new(),
            ended: Vec::new(),
            has_room: true,
            polled: Polled::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// A step so much later.
    fn poll(&mut self, after_ms: u64) {
        self.now_ms += after_ms;
        let Self { tailer, came, ended, has_room, .. } = self;
        let polled = tailer.poll(self.now_ms, &mut |event| take(event, came, ended, *has_room));
        self.polled = polled;
    }

    /// The process ends, in order or not, and another one starts.
    fn start_again(&mut self, is_in_order: bool) {
        if is_in_order {
            let Self { tailer, came, ended, .. } = self;
            self.polled = tailer.finish(self.now_ms, &mut |event| take(event, came, ended, true));
        }
        self.tailer = Tailer::new(self.settings.clone());
        self.came.clear();
        self.ended.clear();
    }

    /// What came, by tags.
    #[track_caller]
    fn check(&self, expect: &[(&str, &str)]) {
        let came: Vec<(&str, &str)> =
            self.came.iter().map(|((tags, _), text)| (tags.as_str(), text.as_str())).collect();
        assert_eq!(came, expect);
    }
}

fn take(
    event: Event<'_>,
    came: &mut BTreeMap<(String, u64), String>,
    ended: &mut Vec<u64>,
    has_room: bool,
) -> bool {
    match event {
        Event::Bytes { .. } if !has_room => return false,
        Event::Bytes { file, tags, bytes } => {
            assert!(!ended.contains(&file), "a number is used again");
            let text = came.entry((tags.to_owned(), file)).or_default();
            text.push_str(std::str::from_utf8(bytes).unwrap());
        }
        Event::End { file } => ended.push(file),
    }
    true
}

#[test]
fn a_file_is_read_from_its_beginning_and_on() {
    let mut logs = Logs::new("app.log", |_| ());
    logs.poll(0);
    logs.write("app.log", "a\nb");
    logs.poll(1000);
    logs.check(&[("filename:app.log", "a\nb")]);
    logs.write("app.log", "c\n");
    logs.poll(100);
    logs.check(&[("filename:app.log", "a\nbc\n")]);
    assert_eq!((logs.ended.len(), &logs.polled), (0, &Polled::default()));
}

#[test]
fn a_pattern_finds_files_in_folders_and_names_both() {
    let mut logs = Logs::new("*/app-?.log", |_| ());
    for name in ["web/app-1.log", "web/app-22.log", "db/app-2.log", "app-3.log"] {
        logs.write(name, "x\n");
    }
    logs.poll(0);
    let tags = |name: &str, folder: &str| {
        format!("filename:{name},dirname:{}", logs.path(folder).display())
    };
    logs.check(&[(&tags("app-1.log", "web"), "x\n"), (&tags("app-2.log", "db"), "x\n")]);
}

#[test]
fn files_at_the_start_may_be_begun_at_their_end() {
    let mut logs = Logs::new("*.log", |settings| settings.begin = Begin::End);
    logs.write("a.log", "old\n");
    logs.poll(0);
    logs.write("a.log", "new\n");
    logs.write("b.log", "other\n");
    logs.poll(1000);
    let texts: Vec<&str> = logs.came.values().map(String::as_str).collect();
    assert_eq!(texts, ["new\n", "other\n"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning() {
    let mut logs = Logs::new("app.log", |_| ());
    logs.write("app.log", "a\n");
    logs.poll(0);
    fs::rename(logs.path("app.log"), logs.path("app.log.1")).unwrap();
    logs.write("app.log.1", "late\n");
    logs.write("app.log", "b\n");
    logs.poll(1000);
    logs.write("app.log.1", "later");
    logs.poll(1000);
    logs.check(&[("filename:app.log", "a\nlate\nlater"), ("filename:app.log", "b\n")]);
    logs.poll(60_000);
    assert_eq!(logs.ended, [1], "its last line is over");
    logs.write("app.log.1", "too late\n");
    logs.write("app.log", "c\n");
    logs.poll(1000);
    logs.check(&[("filename:app.log", "a\nlate\nlater"), ("filename:app.log", "b\nc\n")]);
}

#[test]
fn a_renamed_file_that_still_matches_is_not_read_twice() {
    let mut logs = Logs::new("app.log*", |_| ());
    logs.write("app.log", "a\n");
    logs.poll(0);
    fs::rename(logs.path("app.log"), logs.path("app.log.1")).unwrap();
    logs.write("app.log", "b\n");
    logs.poll(1000);
    logs.write("app.log.1", "c\n");
    logs.poll(100_000);
    let texts: Vec<&str> = logs.came.values().map(String::as_str).collect();
    assert_eq!(texts, ["a\nc\n", "b\n"]);
    logs.start_again(true);
    logs.poll(1000);
    assert!(logs.came.is_empty(), "{:?}", logs.came);
}

#[test]
fn a_truncated_file_is_read_anew() {
    let mut logs = Logs::new("app.log", |_| ());
    logs.write("app.log", "a long line\nunfinished");
    logs.poll(0);
    OpenOptions::new().write(true).open(logs.path("app.log")).unwrap().set_len(0).unwrap();
    logs.write("app.log", "b\n");
    logs.poll(100);
    logs.check(&[("filename:app.log", "a long line\nunfinished"), ("filename:app.log", "b\n")]);
    assert_eq!(logs.ended.len(), 1);
}

#[test]
fn a_removed_file_is_closed() {
    let mut logs = Logs::new("app.log", |_| ());
    logs.write("app.log", "a\n");
    logs.poll(0);
    fs::remove_file(logs.path("app.log")).unwrap();
    logs.poll(1000);
    logs.poll(60_000);
    assert_eq!(logs.ended, [1]);
    logs.write("app.log", "b\n");
    logs.poll(1000);
    logs.check(&[("filename:app.log", "a\n"), ("filename:app.log", "b\n")]);
}

#[test]
fn a_new_process_goes_on_where_the_last_one_was() {
    for is_in_order in [true, false] {
        let mut logs = Logs::new("app.log", |_| ());
        logs.write("app.log", "a\nb\nbegun");
        logs.poll(0);
        logs.start_again(is_in_order);
        logs.write("app.log", " ended\nc\n");
        logs.poll(1000);
        // What begins a line was sent as a line only where the process could still say that nothing more comes.
        let expect = if is_in_order { " ended\nc\n" } else { "begun ended\nc\n" };
        logs.check(&[("filename:app.log", expect)]);
    }
}

#[test]
fn a_file_that_took_the_place_of_another_is_read_from_its_beginning() {
    let mut logs = Logs::new("app.log*", |_| ());
    logs.write("app.log", "a\n");
    logs.poll(0);
    logs.start_again(true);
    fs::rename(logs.path("app.log"), logs.path("app.log.1")).unwrap();
    logs.write("app.log", "a new one, and longer\n");
    logs.write("app.log.1", "b\n");
    logs.poll(1000);
    let texts: Vec<&str> = logs.came.values().map(String::as_str).collect();
    assert_eq!(texts, ["a new one, and longer\n", "b\n"]);
}

#[test]
fn what_finds_no_room_is_read_again() {
    let mut logs = Logs::new("app.log", |_| ());
    logs.write("app.log", "a\n");
    logs.has_room = false;
    logs.poll(0);
    assert!(logs.polled.has_no_room && logs.came.is_empty());
    logs.start_again(true);
    logs.poll(1000);
    assert!(logs.came.is_empty());
    logs.has_room = true;
    logs.poll(100);
    logs.check(&[("filename:app.log", "a\n")]);
}

#[test]
fn a_large_file_does_not_keep_the_others_waiting() {
    let mut logs = Logs::new("*.log", |_| ());
    logs.write("b.log", &"x".repeat(3_000_000));
    logs.write("a.log", "a\n");
    logs.poll(0);
    assert!(logs.polled.has_more);
    let lens = |logs: &Logs| logs.came.values().map(String::len).collect::<Vec<_>>();
    assert_eq!(lens(&logs), [2, 1024 * 1024]);
    logs.poll(0);
    logs.poll(0);
    assert_eq!((lens(&logs), logs.polled.has_more), (vec![2, 3_000_000], false));
}

#[test]
fn no_more_files_than_allowed_are_followed() {
    let mut logs = Logs::new("*.log", |settings| settings.files_max = 2);
    for name in ["2026-11-01.log", "2026-11-02.log", "2026-11-03.log"] {
        logs.write(name, name);
    }
    logs.poll(0);
    let texts = |logs: &Logs| logs.came.values().cloned().collect::<Vec<_>>();
    assert_eq!(texts(&logs), ["2026-11-02.log", "2026-11-03.log"]);
    logs.write("2026-11-04.log", "new");
    logs.poll(1000);
    assert_eq!(logs.came.len(), 3, "the last ones by name");
    for name in ["2026-11-05.log", "2026-11-06.log", "2026-11-07.log", "2026-11-08.log"] {
        logs.write(name, name);
        logs.poll(1000);
    }
    logs.poll(1000);
    assert!(logs.ended.len() >= 3, "those that made room are closed: {:?}", logs.ended);
}

#[test]
fn files_can_be_chosen_by_the_time_of_their_change() {
    let mut logs = Logs::new("*.log", |settings| {
        settings.files_max = 1;
        settings.select = Select::ByModificationTime;
    });
    logs.write("b.log", "b");
    logs.write("a.log", "a");
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    fs::File::options().write(true).open(logs.path("b.log")).unwrap().set_modified(old).unwrap();
    logs.poll(0);
    let texts: Vec<&str> = logs.came.values().map(String::as_str).collect();
    assert_eq!(texts, ["a"]);
}

#[test]
fn only_files_are_followed_and_never_the_registry() {
    let mut logs = Logs::new("*", |_| ());
    fs::create_dir(logs.path("folder")).unwrap();
    nix::unistd::mkfifo(&logs.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink(logs.path("a.log"), logs.path("link")).unwrap();
    logs.write("a.log", "a\n");
    for _ in 0..3 {
        logs.poll(1000);
    }
    assert!(logs.path("registry.json").exists());
    let texts: Vec<&str> = logs.came.values().map(String::as_str).collect();
    assert_eq!(texts, ["a\n"], "once, and not what is no file");
}

#[test]
fn a_registry_that_can_not_be_written_is_said_once() {
    let mut logs = Logs::new("app.log", |settings| {
        settings.registry_folder = Path::new("/proc/none").to_owned();
    });
    logs.write("app.log", "a\n");
    logs.poll(0);
    assert_eq!(logs.polled.problems.len(), 1);
    assert!(logs.polled.problems[0].contains("DD_LOGS_CONFIG_RUN_PATH"));
    logs.write("app.log", "b\n");
    logs.poll(1000);
    assert!(logs.polled.problems.is_empty());
    logs.check(&[("filename:app.log", "a\nb\n")]);
}

#[test]
fn the_pattern_of_app_service_has_the_name_of_the_computer() {
    let check = |descriptor: &str, expect: &str| {
        assert_eq!(app_service_pattern("web0", descriptor), Path::new(expect));
    };
    check("", "/home/LogFiles/*web0*.log");
    check("_default_docker", "/home/LogFiles/*web0*_default_docker.log");
}

#[test]
fn the_thread_reads_what_was_written_right_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let came = Arc::new(Mutex::new(String::new()));
    let own = Arc::clone(&came);
    let sink = move |event: Event<'_>| {
        let text = match event {
            Event::Bytes { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Event::End { .. } => "|".to_owned(),
        };
        own.lock().unwrap().push_str(&text);
        true
    };
    let tailing = start(Settings::new(folder.path().join("*.log")), sink).unwrap();
    fs::write(folder.path().join("a.log"), "a\nlast").unwrap();
    tailing.finish(Instant::now() + Duration::from_secs(20));
    assert_eq!(*came.lock().unwrap(), "a\nlast|");
    assert!(folder.path().join("registry.json").exists());
}

#[test]
fn a_sink_without_room_does_not_delay_the_end_beyond_its_time() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), "a\n").unwrap();
    let sink = |event: Event<'_>| matches!(event, Event::End { .. });
    let tailing = start(Settings::new(folder.path().join("a.log")), sink).unwrap();
    let begin = Instant::now();
    tailing.finish(begin + Duration::from_millis(200));
    assert!(begin.elapsed() < Duration::from_secs(10));
}

/// What happens to a log.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Line,
    Part,
    Poll,
    Rename,
    FullSink(bool),
    Restart(bool),
}

fn happens(byte: u8) -> Happens {
    match byte % 10 {
        0..=2 => Happens::Line,
        3 => Happens::Part,
        4 | 5 => Happens::Poll,
        6 => Happens::Rename,
        7 => Happens::FullSink(byte >= 128),
        8 => Happens::Restart(true),
        _ => Happens::Poll,
    }
}

proptest! {
    /// Whatever happens, in any order, every byte comes once, and those of a file in their order.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut logs = Logs::new("app.log*", |_| ());
        let (mut number, mut renamed) = (0, 0);
        let mut written = Vec::new();
        let mut came = Vec::new();
        let mut collect = |logs: &mut Logs| {
            let texts = std::mem::take(&mut logs.came);
            let all: String = texts.into_values().collect();
            came.extend(all.split(';').filter(|word| !word.is_empty()).map(str::to_owned));
        };
        for happens in bytes.into_iter().map(happens) {
            match happens {
                Happens::Line | Happens::Part => {
                    number += 1;
                    let end = if matches!(happens, Happens::Line) { "\n" } else { "" };
                    logs.write("app.log", &format!("{number}{end};"));
                    written.push(format!("{number}{end}"));
                }
                Happens::Poll => logs.poll(1000),
                Happens::Rename => {
                    renamed += 1;
                    let new = logs.path(&format!("app.log.{renamed}"));
                    // Where there is no file there is nothing to rename.
                    fs::rename(logs.path("app.log"), new).unwrap_or_default();
                }
                Happens::FullSink(is_full) => logs.has_room = !is_full,
                Happens::Restart(is_in_order) => {
                    collect(&mut logs);
                    logs.start_again(is_in_order);
                }
            }
        }
        logs.has_room = true;
        logs.poll(1000);
        collect(&mut logs);
        came.sort();
        written.sort();
        prop_assert_eq!(came, written);
    }
}
