//! The differences that are known: `expected_differences.txt`, one a line, each with its reason.

use crate::case::Form;

/// Whether a difference stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Wanted: this is how it shall be.
    Deliberate,
    /// The part of the agent's work that is not built yet.
    Later,
}

/// One line of the list.
pub(crate) struct Entry {
    /// Nothing where it is about both forms.
    form: Option<Form>,
    case: String,
    path: String,
    pub(crate) class: Class,
    pub(crate) reason: String,
    pub(crate) line: usize,
}

impl Entry {
    /// Whether this is about that place of that case.
    pub(crate) fn covers(&self, form: Form, case: &str, path: &str) -> bool {
        self.form.is_none_or(|own| own == form) && fits(&self.case, case) && fits(&self.path, path)
    }

    /// The case and the path as they are written in the list.
    pub(crate) fn place(&self) -> String {
        let form = self.form.map(|form| format!("{} ", form.name())).unwrap_or_default();
        let path = if self.path == "*" { String::new() } else { format!(" at {}", self.path) };
        format!("{form}{}{path}", self.case)
    }
}

/// Reads the list. Lines are `case | path | deliberate or later | reason`, the case with `indexed ` or `older ` before it where only that form
/// of payloads is meant; `*` stands for any text; `#` starts a comment.
pub(crate) fn read(text: &str) -> Result<Vec<Entry>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| entry(at, line))
        .collect()
}

fn entry(line: usize, text: &str) -> Result<Entry, String> {
    let parts: Vec<&str> = text.splitn(4, " | ").map(str::trim).collect();
    let [case, path, class, reason] = parts[..] else {
        return Err(format!(
            "expected_differences.txt:{line}: {text:?} is not `case | path | class | reason`"
        ));
    };
    let class = match class {
        "deliberate" => Class::Deliberate,
        "later" => Class::Later,
        other => {
            return Err(format!(
                "expected_differences.txt:{line}: {other:?} is neither `deliberate` nor `later`"
            ));
        }
    };
    let named = Form::ALL.into_iter().find_map(|form| {
        let case = case.strip_prefix(form.name())?.strip_prefix(' ')?;
        Some((Some(form), case))
    });
    let (form, case) = named.unwrap_or((None, case));
    Ok(Entry {
        form,
        case: case.to_owned(),
        path: path.to_owned(),
        class,
        reason: reason.to_owned(),
        line,
    })
}

/// Whether `text` fits `pattern`, in which each `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
