//! The gRPC status of a span, as the number that stats are counted by.

use std::borrow::Cow;

/// The tags that may hold the status, in the order in which they are looked at; the first one that is there counts.
pub const GRPC_STATUS_KEYS: [&str; 5] = [
    "rpc.grpc.status_code",
    "grpc.code",
    "rpc.grpc.status.code",
    "grpc.status.code",
    "rpc.response.status_code",
];

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALIDARGUMENT",
    "DEADLINEEXCEEDED",
    "NOTFOUND",
    "ALREADYEXISTS",
    "PERMISSIONDENIED",
    "RESOURCEEXHAUSTED",
    "FAILEDPRECONDITION",
    "ABORTED",
    "OUTOFRANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATALOSS",
    "UNAUTHENTICATED",
];

const NUMBERS: [&str; 17] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"];

/// The status as a decimal number: of a number as it is (also one that gRPC does not know), of a name in any case, with or without
/// underscores and with or without the prefix `StatusCode.`; empty for anything else.
#[must_use]
pub fn grpc_status_code(text: &str) -> Cow<'_, str> {
    if let Ok(number) = text.parse::<u32>() {
        return usize::try_from(number)
            .ok()
            .and_then(|number| NUMBERS.get(number))
            .map_or_else(|| Cow::Owned(number.to_string()), |&known| Cow::Borrowed(known));
    }
    let name = text.strip_prefix("StatusCode.").unwrap_or(text);
    if name.len() > 32 {
        return Cow::Borrowed("");
    }
    let mut name: String = name.chars().filter(|&c| c != '_').collect();
    name.make_ascii_uppercase();
    if name == "CANCELED" {
        return Cow::Borrowed(NUMBERS[1]);
    }
    NAMES
        .iter()
        .position(|&known| known == name)
        .map_or(Cow::Borrowed(""), |at| Cow::Borrowed(NUMBERS[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_resolved_as_the_agent_does() {
        for (text, wanted) in [
            ("5", "5"),
            ("17", "17"),
            ("NotFound", "5"),
            ("StatusCode.UNAVAILABLE", "14"),
            ("CANCELED", "1"),
            ("Cancelled", "1"),
            ("invalid_argument", "3"),
            ("DEADLINE_EXCEEDED", "4"),
            ("OK", "0"),
            ("nonsense", ""),
            ("", ""),
            ("-1", ""),
            ("99999999999", ""),
        ] {
            assert_eq!(grpc_status_code(text), wanted, "{text}");
        }
    }
}
