//! Splits a URL as the agent's URL library does, and puts it together again.

use super::escape::{self, Decoded, Part};
use super::host;

/// A URL in its parts, each as it stood there and valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// Empty where there is none.
    scheme: &'a str,
    /// What follows a scheme without a slash: no part of it is looked at.
    opaque: &'a str,
    /// The host with its port; the user before it is left out.
    host: &'a str,
    /// There is a scheme, and a path that starts with one slash.
    has_no_host: bool,
    path: &'a str,
    /// What follows the first `?`, where there is one.
    query: Option<&'a str>,
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    /// The parts of `text`; nothing where the agent's library does not take it for a URL.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) || !escape::is_valid(fragment) {
            return None;
        }
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let mut parts =
            Self { scheme, opaque: "", host: "", has_no_host: false, path: rest, query, fragment };
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                return Some(Self { opaque: rest, path: "", ..parts });
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return None;
            }
        } else if let Some(authority) = rest.strip_prefix("//")
            && (!scheme.is_empty() || !authority.starts_with('/'))
        {
            let (authority, path) =
                authority.split_at(authority.find('/').unwrap_or(authority.len()));
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            if !host::is_user(user) || !host::is_host(scheme, host) {
                return None;
            }
            (parts.host, parts.path) = (host, path);
        } else {
            parts.has_no_host = !scheme.is_empty();
        }
        escape::is_valid(parts.path).then_some(parts)
    }

    /// Writes the URL without its user. The path is written by `write_path`, unless it is the text that is no path at all.
    pub(super) fn write(
        &self,
        has_query: bool,
        write_path: impl FnOnce(&str, &mut String),
        out: &mut String,
    ) {
        out.extend(self.scheme.chars().map(|letter| letter.to_ascii_lowercase()));
        if !self.scheme.is_empty() {
            out.push(':');
        }
        if self.opaque.is_empty() {
            let has_host = !self.host.is_empty();
            if has_host || (!self.scheme.is_empty() && !self.has_no_host && !self.path.is_empty()) {
                out.push_str("//");
            }
            Decoded::new(self.host).for_each(|byte| escape::write_byte(Part::Host, byte, out));
            let is_bare = out.is_empty();
            write_path(self.path, out);
            // Else the first segment would be read as a scheme.
            if is_bare && out.split('/').next().is_some_and(|segment| segment.contains(':')) {
                out.insert_str(0, "./");
            }
        } else {
            out.push_str(self.opaque);
        }
        if let Some(query) = self.query {
            out.push('?');
            if has_query {
                out.push_str(query);
            }
        }
        if !self.fragment.is_empty() {
            out.push('#');
            escape::write(Part::Fragment, self.fragment, out);
        }
    }
}

/// Splits at the colon behind a scheme; the scheme is empty where there is none. Nothing where it is missing before a colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at > 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            b':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}
