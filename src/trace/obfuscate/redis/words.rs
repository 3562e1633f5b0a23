//! Splits the text of Redis commands into names and arguments, as the agent does.

/// What a word is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Another word of the same command.
    Word,
    /// Another command.
    Line,
    /// Nothing.
    Text,
}

/// What is left of a text.
#[derive(Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// The words of `text`, which may have white space around it.
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text.trim() }
    }

    /// The next word, which starts a line. It is empty where the line is; where a line has a space alone, the line below belongs to it.
    pub(super) fn name(&mut self) -> (&'a str, End) {
        if self.rest.starts_with(' ') {
            self.skip_space();
        }
        let length = self.rest.find([' ', '\n']).unwrap_or(self.rest.len());
        self.take(length)
    }

    /// The next word of a line, with its quotes: a space or a new line between quotes does not end it.
    pub(super) fn argument(&mut self) -> (&'a str, End) {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = self.rest.bytes().position(|byte| {
            match byte {
                b'\\' if !is_escaped => {
                    is_escaped = true;
                    return false;
                }
                b'"' if !is_escaped => is_quoted = !is_quoted,
                b' ' | b'\n' if !is_quoted => return true,
                _ => {}
            }
            is_escaped = false;
            false
        });
        self.take(end.unwrap_or(self.rest.len()))
    }

    fn take(&mut self, length: usize) -> (&'a str, End) {
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        let end = if rest.is_empty() { End::Text } else { self.skip_space() };
        (word, end)
    }

    /// Goes to the next word, but not beyond the end of the line.
    fn skip_space(&mut self) -> End {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        match self.rest.strip_prefix('\n') {
            Some(rest) => {
                self.rest = rest;
                End::Line
            }
            None => End::Word,
        }
    }
}
