//! Variables: whatever they hold, there are settings, a sentence for each value that is of no use, and the API key in none of it.

use std::sync::Arc;

use pillion::config::{Env, Mode, keys, read as read_settings};
use pillion::ledger::Ledger;
use pillion::pipeline::Pipeline;

use super::{chosen, text};

/// The first byte chooses the variable.
pub(super) const VALUES: &[&str] = &[
    "\u{6}datadoghq.eu",
    "\u{7}https://user:pass@[::1]:443/x?y",
    "\u{8}http://proxy:3128",
    "\u{a}.suffix, 10.0.0.0/8 * [::1]",
    "\u{d}zstd",
    "\u{e}1.5 MiB",
    "\u{f}1m30s",
    "\u{12}team:a,b:c d:e",
    "\u{1a}0.0.0.0",
    "\u{27}service|operation=0.5,a|b=1",
    "\u{7f}[\"a\", \"b,c\"]",
    "\u{7f}^GET /health$,\"(GET|POST) /a,b\"",
    "\u{7f}[{\"name\": \"http.url\", \"pattern\": \"token=[^&]*\", \"repl\": \"token=?\"}]",
    "\u{7f}obfuscate_and_normalize",
    "\u{7f} 'yes' ",
    "\u{7f}12.5",
];

pub(super) fn read(data: &[u8]) {
    let ([choice], value) = chosen(data);
    let value = text(value);
    let names: Vec<&str> =
        keys::ALL.iter().flat_map(|(_, keys)| *keys).flat_map(|key| key.names).copied().collect();
    // One variable, or all of them at once.
    let pairs: Vec<(&str, &str)> = match names.get(usize::from(choice)) {
        Some(name) => vec![("DD_API_KEY", "0123456789abcdef-secret"), (name, &value)],
        None => names.iter().map(|name| (*name, &*value)).collect(),
    };
    for mode in [Mode::Wrapper, Mode::Sidecar] {
        let (settings, problems) = read_settings(&Env::of(&pairs), mode);
        for problem in &problems {
            assert!(!problem.to_string().is_empty());
        }
        let shown = format!("{settings:?} {problems:?}");
        assert!(!shown.contains("0123456789abcdef-secret"), "the API key is shown");
        assert!(shown.len() <= value.len() * 200 * names.len() + 100_000);
        let outlet = Box::new(|payload: pillion::relay::Payload| payload.body);
        drop(Pipeline::new(settings.pipeline, Arc::new(Ledger::default()), outlet, None, 0));
    }
}
