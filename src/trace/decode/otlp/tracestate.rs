//! The probability with which the SDK's sampler kept a span, as it stands in the W3C trace state under the key `ot`.

/// Entries and bytes beyond which a trace state is none.
const ENTRIES_MAX: usize = 31;
const BYTES_MAX: usize = 1024;
/// Bytes of a key, of its parts before and after an `@`, and of a value.
const KEY_BYTES_MAX: usize = 256;
const TENANT_BYTES_MAX: usize = 241;
const SYSTEM_BYTES_MAX: usize = 14;
const VALUE_BYTES_MAX: usize = 256;

/// Hexadecimal digits of a rejection threshold, and the number of thresholds.
const THRESHOLD_DIGITS: usize = 14;
const THRESHOLDS: u64 = 1 << 56;

/// `p:63` says that the span was not sampled at all.
const EXPONENT_MAX: u32 = 62;

/// The probability, where the trace state is well-formed throughout and has one: `th`, the share of traces that are rejected, or `p`, the negative
/// exponent of two.
pub(super) fn probability(state: &str) -> Option<f64> {
    if state.len() > BYTES_MAX {
        return None;
    }
    let mut own = None;
    for (index, entry) in state.split(',').enumerate() {
        let entry = entry.trim_matches([' ', '\t']);
        if index >= ENTRIES_MAX {
            return None;
        }
        if entry.is_empty() {
            continue;
        }
        let (key, value) = entry.split_once('=')?;
        if !is_key(key) || !is_value(value) {
            return None;
        }
        if key == "ot" {
            own = Some(Own::parse(value)?);
        }
    }
    own?.probability()
}

/// What stands under `ot`.
#[derive(Default)]
struct Own<'a> {
    threshold: Option<u64>,
    exponent: Option<&'a str>,
}

impl<'a> Own<'a> {
    /// Nothing where any part of it is malformed.
    fn parse(text: &'a str) -> Option<Self> {
        let mut own = Self::default();
        for member in text.split(';') {
            let (key, value) = member.split_once(':')?;
            let is_fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let is_named = key.starts_with(|c: char| c.is_ascii_lowercase())
                && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            if !is_named || !value.chars().all(is_fit) {
                return None;
            }
            match key {
                "th" => own.threshold = Some(threshold(value)?),
                "rv" if value.len() != THRESHOLD_DIGITS => return None,
                "rv" if hexadecimal(value).is_none() => return None,
                "p" => own.exponent = own.exponent.or(Some(value)),
                _ => {}
            }
        }
        Some(own)
    }

    fn probability(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a probability")]
        if let Some(threshold) = self.threshold {
            return Some((THRESHOLDS - threshold) as f64 / THRESHOLDS as f64);
        }
        let exponent = self.exponent?;
        let digits = exponent.bytes().all(|b| b.is_ascii_digit());
        let exponent: u32 = exponent.parse().ok().filter(|_| digits)?;
        (exponent <= EXPONENT_MAX).then(|| 0.5_f64.powi(exponent.cast_signed()))
    }
}

/// Zeros at the end may be left out.
fn threshold(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > THRESHOLD_DIGITS {
        return None;
    }
    Some(hexadecimal(text)? << (4 * (THRESHOLD_DIGITS - text.len())))
}

fn hexadecimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u64::from_str_radix(text, 16).ok())?
}

fn is_key(key: &str) -> bool {
    let is_punctuated = |text: &str| {
        text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-*/".contains(c))
    };
    let starts_low = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase());
    match key.split_once('@') {
        Some((tenant, system)) => {
            let starts_well =
                tenant.starts_with(|c: char| c.is_ascii_digit()) || starts_low(tenant);
            starts_well
                && starts_low(system)
                && is_punctuated(tenant)
                && is_punctuated(system)
                && tenant.len() <= TENANT_BYTES_MAX
                && system.len() <= SYSTEM_BYTES_MAX
        }
        None => starts_low(key) && is_punctuated(key) && key.len() <= KEY_BYTES_MAX,
    }
}

fn is_value(value: &str) -> bool {
    let is_fit = |b: u8| matches!(b, b' '..=b'~') && b != b',' && b != b'=';
    !value.is_empty()
        && value.len() <= VALUE_BYTES_MAX
        && !value.ends_with(' ')
        && value.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::probability;

    #[test]
    fn thresholds_and_exponents_are_probabilities() {
        for (state, expect) in [
            ("ot=th:8", Some(0.5)),
            ("dd=s:2;o:rum , ot=th:c", Some(0.25)),
            ("ot=th:0", Some(1.0)),
            ("ot=p:4;r:1", Some(0.0625)),
            ("ot=p:62", Some(0.5_f64.powi(62))),
            ("ot=rv:abcdefabcdefab;th:4", Some(0.75)),
            ("ot=th:8,ot=th:c", Some(0.25)),
            ("a@b=1,0t@s=x,ot=p:0", Some(1.0)),
        ] {
            assert_eq!(probability(state), expect, "{state}");
        }
    }

    #[test]
    fn what_is_malformed_anywhere_says_nothing() {
        let long_key = format!("{}=1,ot=th:8", "k".repeat(257));
        let many = format!("{}ot=th:8", ",".repeat(31));
        for state in [
            "",
            "bad",
            "OT=th:8",
            "ot=",
            "ot=th:",
            "ot=th:800000000000001",
            "ot=th:zz;p:3",
            "ot=th:+8",
            "ot=x;th:8",
            "ot=th:8;",
            "ot=th:8;P:1",
            "ot=rv:1;th:8",
            "ot=p:63",
            "ot=p:x;p:3",
            "ot=p:-1",
            "ot=p:064",
            "ot=th:8,x",
            "ot=th:8,=1",
            "ot=th:8,a=b=c",
            "ot=th:8,é=1",
            "x@Y=1,ot=th:8",
            &long_key,
            &many,
        ] {
            assert_eq!(probability(state), None, "{state}");
        }
    }
}
