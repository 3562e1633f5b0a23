//! The settings of what the app gets of ours, and which of our variables hold keys.

use super::keys::{self, Key};
use super::parse;
use super::read::Reader;

/// Whether the app gets the API key.
pub const HIDE_API_KEY: Key = Key {
    names: &["DD_PILLION_HIDE_API_KEY"],
    yaml: &["pillion.hide_api_key"],
    default: "false",
    meaning: "`true` leaves `DD_API_KEY`, and every other variable that may have a key in it, out of the app's environment. A tracer that sends by way of \
              pillion needs none; one that is to send some things by itself does.",
};

impl Reader<'_> {
    pub(super) fn hides_api_key(&mut self) -> bool {
        self.take(&HIDE_API_KEY, false, parse::boolean)
    }
}

/// The variables that have an API key in them, or say where one is.
pub fn names_of_keys() -> impl Iterator<Item = &'static str> {
    let all = keys::ALL.iter().flat_map(|(_, keys)| keys.iter());
    let names = all.flat_map(|key| key.names.iter().copied());
    names.filter(|name| {
        let is_ours = name.starts_with("DD_PILLION_");
        !is_ours && (name.contains("API_KEY") || name.ends_with("ADDITIONAL_ENDPOINTS"))
    })
}
