//! Which spans are calls from the app to the agent beside it: what its tracer and its metrics client do is not what the app does.

use super::Notes;
use crate::trace::keys::Meaning;

/// Addresses that the app reaches the agent at, as URLs begin.
const ADDRESSES: [&str; 2] = ["http://127.0.0.1:8124", "http://127.0.0.1:8125"];

/// The host of these, and their ports.
const HOST: &str = "127.0.0.1";
const PORTS: [&str; 2] = ["8124", "8125"];

/// What look-ups say that end within the container.
const LOOKED_UP: [&str; 2] = ["0.0.0.0", HOST];

impl Notes {
    /// Looks at an attribute that names the other end of a call.
    pub(super) fn note_call(&mut self, meaning: Meaning, text: &str) {
        let begins = |with: &[&str]| with.iter().any(|beginning| text.starts_with(beginning));
        match meaning {
            Meaning::HttpUrl => self.is_own_call |= begins(&ADDRESSES),
            Meaning::DnsAddress => self.is_own_call |= begins(&LOOKED_UP),
            Meaning::TcpRemoteHost => self.has_own_host = text == HOST,
            Meaning::TcpRemotePort => self.has_own_port = begins(&PORTS),
            _ => {}
        }
    }

    /// Whether the span is a call to the agent.
    pub(super) fn is_call_to_us(&self) -> bool {
        self.is_own_call || self.has_own_host && self.has_own_port
    }
}
