//! Go's pattern syntax to that of the `regex` crate. What differs (RE2's syntax page, and observed with Go):
//!
//! | in Go | for the crate |
//! |---|---|
//! | `\d \w \s \b` and their opposites are ASCII, `\s` without vertical tab | classes written out, boundaries in ASCII mode |
//! | `\Q…\E` is literal | each character escaped |
//! | `\101` is a character by its octal number | by its hexadecimal one |
//! | `\<` and `\>` are the characters | not escaped |
//! | `{` that begins no repetition is literal | escaped |
//! | `[`, `&&`, `--`, `~~` within a class are literal | escaped |
//! | a repetition of a repetition is refused, and one of more than 1,000 | the same |

/// The largest count of a repetition (RE2's bound).
const REPEAT_MAX: u32 = 1000;

/// Rewrites a pattern.
///
/// # Errors
/// With the reason, where Go refuses what the crate would take.
pub(super) fn for_regex(pattern: &str) -> Result<String, String> {
    let mut rewriter = Rewriter { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    rewriter.run()?;
    Ok(rewriter.out)
}

struct Rewriter<'a> {
    rest: &'a str,
    out: String,
}

impl Rewriter<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut after_repetition = false;
        while let Some(c) = self.next() {
            let repeats = match c {
                '*' | '+' | '?' => true,
                '{' => match self.repetition()? {
                    Some(text) => {
                        self.check_nesting(after_repetition)?;
                        self.out.push_str(&text);
                        self.lazy();
                        after_repetition = true;
                        continue;
                    }
                    None => {
                        self.out.push_str("\\{");
                        after_repetition = false;
                        continue;
                    }
                },
                _ => false,
            };
            match c {
                _ if repeats => {
                    self.check_nesting(after_repetition)?;
                    self.out.push(c);
                    self.lazy();
                }
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group(),
                _ => self.out.push(c),
            }
            after_repetition = repeats;
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn check_nesting(&self, after_repetition: bool) -> Result<(), String> {
        if after_repetition { Err("nested repetition operator".to_owned()) } else { Ok(()) }
    }

    /// A `?` right behind a repetition makes it lazy.
    fn lazy(&mut self) {
        if self.take("?") {
            self.out.push('?');
        }
    }

    /// What follows a parenthesis and is not part of the pattern proper: flags and names.
    fn group(&mut self) {
        self.out.push('(');
        if self.take("?") {
            self.out.push('?');
        }
    }

    /// The rest of `{n}`, `{n,}` or `{n,m}` as the crate writes it, if that is what is here.
    fn repetition(&mut self) -> Result<Option<String>, String> {
        let Some((inner, rest)) = self.rest.split_once('}') else { return Ok(None) };
        let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
        let is_count = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        if !is_count(least) || !(most.is_empty() || is_count(most)) {
            return Ok(None);
        }
        for count in [least, most].into_iter().filter(|count| !count.is_empty()) {
            if count.parse().map_or(true, |count: u32| count > REPEAT_MAX) {
                return Err(format!(
                    "a repetition of {count}, and at most {REPEAT_MAX} are allowed"
                ));
            }
        }
        self.rest = rest;
        Ok(Some(format!("{{{inner}}}")))
    }

    /// What a backslash begins.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(c) = self.next() else {
            return Err("incomplete escape sequence at the end".to_owned());
        };
        match c {
            'Q' if !in_class => self.quoted(),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.ascii_class(c, in_class),
            'b' | 'B' if !in_class => {
                self.out.push_str(if c == 'b' { "(?-u:\\b)" } else { "(?-u:\\B)" });
            }
            '0'..='7' => self.octal(c)?,
            '8' | '9' => return Err(BACKREFERENCE.to_owned()),
            '<' | '>' => self.out.push(c),
            // The crate's own extensions, which Go does not have.
            'u' | 'U' => return Err(format!("unrecognised escape sequence \\{c}")),
            'p' | 'P' | 'x' if self.take("{") => self.braced(c),
            _ => self.out.extend(['\\', c]),
        }
        Ok(())
    }

    /// A class by its name or a character by its number, whose `{` was read. (So it is not taken for a repetition.)
    fn braced(&mut self, mut kind: char) {
        let (mut name, rest) = self.rest.split_once('}').unwrap_or((self.rest, ""));
        let is_closed = name.len() < self.rest.len();
        if let Some(opposite) = name.strip_prefix('^').filter(|_| kind != 'x') {
            name = opposite;
            kind = if kind == 'p' { 'P' } else { 'p' };
        }
        self.rest = rest;
        self.out.extend(['\\', kind, '{']);
        self.out.push_str(name);
        if is_closed {
            self.out.push('}');
        }
    }

    fn quoted(&mut self) {
        let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        self.out.push_str(&regex::escape(quoted));
    }

    fn ascii_class(&mut self, c: char, in_class: bool) {
        let members = match c.to_ascii_lowercase() {
            'd' => "0-9",
            's' => r"\t\n\f\r ",
            _ => "0-9A-Za-z_",
        };
        let is_opposite = c.is_ascii_uppercase();
        if in_class && !is_opposite {
            self.out.push_str(members);
        } else {
            self.out.push_str(if is_opposite { "[^" } else { "[" });
            self.out.push_str(members);
            self.out.push(']');
        }
    }

    /// Up to three octal digits. A single digit but 0 would be a reference to a group, which RE2 does not have.
    fn octal(&mut self, first: char) -> Result<(), String> {
        let mut number = first.to_digit(8).unwrap_or(0);
        let mut digits = 1;
        while let Some(digit) =
            self.rest.chars().next().and_then(|c| c.to_digit(8)).filter(|_| digits < 3)
        {
            number = number * 8 + digit;
            digits += 1;
            self.next();
        }
        if digits == 1 && first != '0' {
            return Err(BACKREFERENCE.to_owned());
        }
        self.out.push_str(&format!("\\x{{{number:x}}}"));
        Ok(())
    }

    /// A class in brackets, whose `[` was read.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        while let Some(c) = self.next() {
            match c {
                ']' if !is_first => {
                    self.out.push(']');
                    return Ok(());
                }
                ']' => self.out.push_str("\\]"),
                '[' if self.rest.starts_with(':') && self.rest.contains(":]") => self.named_class(),
                '\\' => self.escape(true)?,
                '[' | '&' | '~' | '^' | '#' | ' ' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                // Two in a row would be a difference of classes.
                '-' if self.rest.starts_with('-') || self.out.ends_with('-') => {
                    self.out.push_str("\\-");
                }
                _ => self.out.push(c),
            }
            is_first = false;
        }
        Err("unclosed character class".to_owned())
    }

    /// `[:alpha:]` within a class, whose `[` was read.
    fn named_class(&mut self) {
        let (name, rest) = self.rest.split_once(":]").unwrap_or((self.rest, ""));
        self.out.push('[');
        self.out.push_str(name);
        self.out.push_str(":]");
        self.rest = rest;
    }
}

const BACKREFERENCE: &str = "a backreference, which is not supported";
