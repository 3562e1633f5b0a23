//! What a program that knows secrets writes: a key for each name, or a sentence without it.

use pillion::secret::backend;

pub(super) const OUTPUTS: &[&str] = &[
    r#"{"a": {"value": "0123456789abcdef", "error": null}, "b": {"value": "", "error": "no access"}}"#,
    r#"{"a": {"value": " k3y\n"}, "b": {}}"#,
    "null",
    "[1]",
];

pub(super) fn answer(data: &[u8]) {
    let Ok(all) = backend::answer(data, ["a", "b"].into_iter()) else { return };
    assert_eq!(all.len(), 2);
    for key in all.values().flatten() {
        assert!(!key.expose().is_empty() && key.source().is_none());
    }
}
