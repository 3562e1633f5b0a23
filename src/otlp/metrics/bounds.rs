//! Bounds and quantiles as the text of a tag, in the agent's way.

/// `0`, `2.0`, `0.95`, `1e+06`, `inf`: the shortest digits, with a fraction in any case but for 0, and with an exponent below 10^-4 and from 10^6.
pub(super) fn text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if (1e-4..1e6).contains(&size) {
        return if number.fract() == 0.0 { format!("{number}.0") } else { format!("{number}") };
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn numbers_are_written_as_the_agent_does() {
        for (number, expect) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1.0"),
            (-25.0, "-25.0"),
            (0.95, "0.95"),
            (0.0001, "0.0001"),
            (0.00005, "5e-05"),
            (999_999.0, "999999.0"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(number), expect);
        }
    }
}
