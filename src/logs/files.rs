//! Files as a source of lines: what [`super::tail`] reads goes through a splitter and a join of each file's own into the common [`Stages`].

use super::join::{Join, Plan};
use super::lines::Splitter;
use super::message::{Line, Stream};
use super::stages::Stages;
use super::tail::Held;

/// All files that have lines under way. It belongs to the thread of the stages, and gets time as they do.
#[derive(Debug)]
pub struct Files {
    plan: Plan,
    line_bytes_max: usize,
    /// Few: what is followed at once is bounded ([`super::tail::Settings::files_max`]).
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    number: u64,
    tags: String,
    splitter: Splitter,
    join: Join,
    /// When its last bytes were read, milliseconds since 1970.
    read_ms: u64,
}

impl Files {
    /// No file yet. Lines are joined by `plan` and cut behind `line_bytes_max` bytes.
    pub fn new(plan: Plan, line_bytes_max: usize) -> Self {
        Self { plan, line_bytes_max, files: Vec::new() }
    }

    /// Takes what was read at `time_ms`, since 1970; `now_ms` is in the clock of the stages.
    pub fn take(&mut self, event: Held, stages: &mut Stages, time_ms: u64, now_ms: u64) {
        match event {
            Held::Bytes { file, tags, bytes } => {
                let file = self.file(file, tags);
                file.read_ms = time_ms;
                file.split(stages, now_ms, |splitter, line| splitter.bytes(&bytes, line));
            }
            Held::End { file } => {
                if let Some(at) = self.files.iter().position(|own| own.number == file) {
                    self.files.swap_remove(at).finish(stages, now_ms);
                }
            }
        }
    }

    /// When [`Files::tick`] has something to do.
    pub fn due_ms(&self) -> Option<u64> {
        self.files.iter().filter_map(|file| file.join.due_ms()).min()
    }

    /// Gives out lines that have waited for more of their message.
    pub fn tick(&mut self, stages: &mut Stages, now_ms: u64) {
        for file in &mut self.files {
            file.join.tick(now_ms, &mut |message| stages.message(message, now_ms));
        }
    }

    /// No file is read any more: lines without an end are over.
    pub fn finish(&mut self, stages: &mut Stages, now_ms: u64) {
        self.files.drain(..).for_each(|file| file.finish(stages, now_ms));
    }

    fn file(&mut self, number: u64, tags: String) -> &mut File {
        let at = self.files.iter().position(|file| file.number == number);
        let at = at.unwrap_or(self.files.len());
        if at == self.files.len() {
            self.files.push(File {
                number,
                tags,
                splitter: Splitter::new(self.line_bytes_max),
                join: self.plan.start(),
                read_ms: 0,
            });
        }
        &mut self.files[at]
    }
}

impl File {
    fn split(
        &mut self,
        stages: &mut Stages,
        now_ms: u64,
        act: impl FnOnce(&mut Splitter, &mut dyn FnMut(&[u8], bool)),
    ) {
        let Self { tags, splitter, join, read_ms, .. } = self;
        act(splitter, &mut |text, is_cut| {
            let line = Line { text, stream: Stream::File, time_ms: *read_ms, tags, is_cut };
            stages.line(line, join, now_ms);
        });
    }

    fn finish(mut self, stages: &mut Stages, now_ms: u64) {
        self.split(stages, now_ms, |splitter, line| splitter.finish(line));
        self.join.flush(&mut |message| stages.message(message, now_ms));
    }
}
