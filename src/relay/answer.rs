//! What an answer of the intake means for the payload, and errors in words that hold no secret.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use reqwest::StatusCode;

/// What became of one request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// 2xx: the intake has it.
    Sent,
    /// No answer, 408, 425, 429 or 5xx: it goes again.
    Retry {
        /// The failure in words.
        why: String,
        /// The answer's `Retry-After`.
        after: Option<Duration>,
    },
    /// 401 or 403.
    KeyRefused(u16),
    /// 413.
    TooLarge,
    /// It is larger than the intake takes, so it was not sent.
    OverLimit,
    /// As [`Outcome::Retry`], where it is not tried again.
    GivenUp(String),
    /// Any other status: a retry would meet the same.
    Refused(String),
    /// A fault of our own.
    Fault,
}

impl Outcome {
    /// The meaning of a status, as the agent reads it; `after` is what `Retry-After` asks for.
    pub(super) fn of(status: StatusCode, after: Option<Duration>) -> Self {
        match status.as_u16() {
            200..=299 => Self::Sent,
            401 | 403 => Self::KeyRefused(status.as_u16()),
            413 => Self::TooLarge,
            408 | 425 | 429 | 500..=599 => {
                Self::Retry { why: format!("it answers {}", words(status)), after }
            }
            300..=399 => Self::Refused(format!(
                "it answers {} and redirects are not followed",
                words(status)
            )),
            _ => Self::Refused(format!("it answers {}", words(status))),
        }
    }
}

/// `404 Not Found`.
fn words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Why a request had no answer: the innermost cause, which alone says something to a person. URLs, which may hold a password, are in the outer ones.
pub(crate) fn cause(error: &reqwest::Error, timeout: Duration) -> String {
    let causes = || successors(error.source(), |&error| error.source());
    if error.is_timeout() {
        let at = if error.is_connect() { "no connection" } else { "no answer" };
        return format!("{at} within {} s", timeout.as_secs_f64());
    }
    if let Some(error) = causes().filter_map(|error| error.downcast_ref::<io::Error>()).last()
        && let Some(errno) = error.raw_os_error()
    {
        return os_error(errno).map_or_else(|| error.to_string(), str::to_owned);
    }
    if let Some(rustls::Error::InvalidCertificate(why)) = causes().filter_map(tls_error).last() {
        return format!(
            "its certificate is not trusted ({why}); a proxy that opens TLS has an authority of its own, whose file SSL_CERT_FILE can name"
        );
    }
    let innermost = causes().last().map(ToString::to_string).unwrap_or_default();
    if let Some((_, why)) = innermost.split_once("failed to lookup address information: ") {
        return format!("the name can't be looked up ({why})");
    }
    let kind = if error.is_connect() { "connecting failed" } else { "the connection broke" };
    if innermost.is_empty() { kind.to_owned() } else { format!("{kind}: {innermost}") }
}

/// The TLS library's own error, which is wrapped in one or two I/O errors on its way.
fn tls_error<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    while let Some(wrapped) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = wrapped;
    }
    error.downcast_ref()
}

fn os_error(errno: i32) -> Option<&'static str> {
    match errno {
        libc::ECONNREFUSED => Some("connection refused"),
        libc::ECONNRESET | libc::EPIPE => Some("the connection was reset"),
        libc::ENETUNREACH | libc::EHOSTUNREACH => Some("no route to it"),
        libc::ETIMEDOUT => Some("the connection timed out"),
        libc::EMFILE | libc::ENFILE => Some("out of file descriptors"),
        _ => None,
    }
}

/// `text` with every occurrence of a secret replaced and on one line, as a last guard before it is printed.
pub(crate) fn scrubbed(text: &str, secrets: &[String]) -> String {
    let mut text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;

    use super::{Outcome, scrubbed};

    fn class(status: u16) -> &'static str {
        match Outcome::of(StatusCode::from_u16(status).unwrap(), Some(Duration::from_secs(1))) {
            Outcome::Sent => "sent",
            Outcome::Retry { after: Some(_), .. } => "retry",
            Outcome::Retry { after: None, .. } => "retry without its Retry-After",
            Outcome::KeyRefused(_) => "key",
            Outcome::TooLarge => "large",
            Outcome::OverLimit | Outcome::GivenUp(_) => "none of an answer",
            Outcome::Refused(_) => "refused",
            Outcome::Fault => "fault",
        }
    }

    #[test]
    fn every_status_has_its_meaning() {
        for status in 200..600 {
            let expect = match status {
                200..300 => "sent",
                408 | 425 | 429 | 500.. => "retry",
                401 | 403 => "key",
                413 => "large",
                _ => "refused",
            };
            assert_eq!(class(status), expect, "{status}");
        }
    }

    #[test]
    fn secrets_are_replaced_and_lines_joined() {
        let secrets = ["k3y".to_owned(), String::new(), "p/w".to_owned()];
        assert_eq!(scrubbed("a k3y\nb p/w k3y", &secrets), "a *** b *** ***");
    }
}
