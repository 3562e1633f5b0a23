//! Lines of metrics: `name:value|type|@rate|#tags|T<seconds>` (spec: metrics-logs 1.3).

use super::{Lists, Wrong, cut, fields, tags};
use crate::metrics::Kind;

/// A line with values of a metric. Its numbers and tags are in the [`Lists`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::dogstatsd) struct Metric<'a> {
    pub(in crate::dogstatsd) name: &'a str,
    pub(in crate::dogstatsd) kind: Kind,
    /// The member, of a set; there are no numbers then.
    pub(in crate::dogstatsd) member: &'a str,
    /// 1 where none is given. Any number: what makes no sense is for who takes it.
    pub(in crate::dogstatsd) rate: f64,
    /// Seconds since 1970.
    pub(in crate::dogstatsd) timestamp_s: Option<u64>,
}

/// Reads a line. Names are not looked into: users have such with spaces and quotes, and the agent takes them.
pub(super) fn read<'a>(
    line: &'a str,
    has_timestamps: bool,
    lists: &mut Lists<'a>,
) -> Result<Metric<'a>, Wrong> {
    let (first, rest) = line.split_once('|').ok_or(Wrong::NoType)?;
    let (name, value) = first.split_once(':').ok_or(Wrong::NoValue)?;
    if name.is_empty() {
        return Err(Wrong::NoName);
    }
    if value.is_empty() {
        return Err(Wrong::NoValue);
    }
    let (kind, rest) = cut(rest, '|');
    let kind = match kind {
        "c" => Kind::Count,
        "g" => Kind::Gauge,
        "d" => Kind::Distribution,
        "h" => Kind::Histogram,
        "ms" => Kind::Timing,
        "s" => Kind::Set,
        _ => return Err(Wrong::Type),
    };
    let mut metric = Metric { name, kind, member: "", rate: 1.0, timestamp_s: None };
    if kind == Kind::Set {
        metric.member = value;
    } else {
        numbers(value, &mut lists.numbers)?;
    }
    for field in fields(rest) {
        match field.as_bytes().first() {
            Some(b'#') => tags(behind_first(field), &mut lists.tags),
            Some(b'@') => metric.rate = behind_first(field).parse().map_err(|_| Wrong::Rate)?,
            Some(b'T') if has_timestamps => {
                let time = behind_first(field).parse().ok().filter(|time| *time >= 1);
                metric.timestamp_s = Some(time.ok_or(Wrong::Timestamp)?);
            }
            _ => {}
        }
    }
    Ok(metric)
}

/// The numbers of a value; empty ones between colons are passed over.
///
/// Rust reads what Go does (decimals, exponents, `inf`, `nan`, in any case) but for hexadecimal, which no client writes.
fn numbers(value: &str, numbers: &mut Vec<f64>) -> Result<(), Wrong> {
    for number in value.split(':').filter(|number| !number.is_empty()) {
        numbers.push(number.parse().map_err(|_| Wrong::Number)?);
    }
    if numbers.is_empty() { Err(Wrong::NoValue) } else { Ok(()) }
}

/// A field without its first byte, which is an ASCII character.
fn behind_first(field: &str) -> &str {
    field.get(1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Lists, Metric, Wrong, read};

    /// What is read of a line: the metric, its numbers and its tags.
    type Read<'a> = (Metric<'a>, Vec<f64>, Vec<&'a str>);

    fn of(line: &str) -> Result<Read<'_>, Wrong> {
        let mut lists = Lists::default();
        let metric = read(line, true, &mut lists)?;
        Ok((metric, lists.numbers, lists.tags))
    }

    fn plain(name: &str, kind: Kind) -> Metric<'_> {
        Metric { name, kind, member: "", rate: 1.0, timestamp_s: None }
    }

    #[test]
    fn values_are_read_by_type() {
        let check = |line: &str, kind, expect: &[f64]| {
            let (metric, numbers, tags) = of(line).unwrap();
            assert_eq!((metric, &*numbers, tags.len()), (plain("a", kind), expect, 0), "{line}");
        };
        check("a:1|c", Kind::Count, &[1.0]);
        check("a:-1.5|g", Kind::Gauge, &[-1.5]);
        check("a:1e3|h", Kind::Histogram, &[1000.0]);
        check("a:.5|ms", Kind::Timing, &[0.5]);
        check("a:+5.E-1|d", Kind::Distribution, &[0.5]);
        check("a:1:2:3|d", Kind::Distribution, &[1.0, 2.0, 3.0]);
        check("a:21::22|c", Kind::Count, &[21.0, 22.0]);
        check("a::1:|c", Kind::Count, &[1.0]);
        check("a:inf:-Infinity|g", Kind::Gauge, &[f64::INFINITY, f64::NEG_INFINITY]);
        assert!(of("a:NaN|g").unwrap().1[0].is_nan());
    }

    #[test]
    fn a_set_has_one_member_colons_included() {
        for member in ["b:c", ":", "1:2", "é"] {
            let line = format!("a:{member}|s");
            let (metric, numbers, _) = of(&line).unwrap();
            assert_eq!(metric, Metric { member, ..plain("a", Kind::Set) });
            assert_eq!(numbers.len(), 0);
        }
    }

    #[test]
    fn what_can_not_be_read_is_refused_whole() {
        for (line, wrong) in [
            ("", Wrong::NoType),
            ("a", Wrong::NoType),
            ("a:1", Wrong::NoType),
            ("a|c", Wrong::NoValue),
            ("a:|c", Wrong::NoValue),
            ("a::|c", Wrong::NoValue),
            (":1|c", Wrong::NoName),
            ("a:1|", Wrong::Type),
            ("a:1|x", Wrong::Type),
            ("a:1|cc", Wrong::Type),
            ("a:1|C", Wrong::Type),
            ("a:x|c", Wrong::Number),
            ("a:1:x|c", Wrong::Number),
            ("a: 1|c", Wrong::Number),
            ("a:1|c|@x", Wrong::Rate),
            ("a:1|c|@", Wrong::Rate),
            ("a:1|c|T0", Wrong::Timestamp),
            ("a:1|c|T", Wrong::Timestamp),
            ("a:1|c|T-1", Wrong::Timestamp),
            ("a:1|c|T1.5", Wrong::Timestamp),
        ] {
            assert_eq!(of(line).unwrap_err(), wrong, "{line}");
        }
    }

    #[test]
    fn fields_stand_in_any_order_and_the_last_of_a_kind_counts() {
        let line =
            "a.b:1|c|c:ci-1,in-2|#x:1,,y,ü:é|@0.5|e:it-false,cn-web|T1700000000|card:high|z|@0.25|";
        let (metric, _, tags) = of(line).unwrap();
        assert_eq!((metric.rate, metric.timestamp_s), (0.25, Some(1_700_000_000)));
        assert_eq!(tags, ["x:1", "y", "ü:é"]);
        assert_eq!(of("a:1|c|#x|#y:1").unwrap().2, ["y:1"]);
        assert_eq!(of("a:1|c|#x|#").unwrap().2.len(), 0);
        assert_eq!(of("a:1|c|@0").unwrap().0.rate, 0.0);
        assert_eq!(of("a:1|c|@7").unwrap().0.rate, 7.0);
    }

    #[test]
    fn a_timestamp_is_passed_over_where_none_is_wanted() {
        let mut lists = Lists::default();
        assert_eq!(read("a:1|c|Tx", false, &mut lists).unwrap(), plain("a", Kind::Count));
    }

    #[test]
    fn a_name_may_be_anything_that_is_not_empty() {
        let line = "codeheap 'non-nmethods'.usage:0.3054|g|#a:b";
        assert_eq!(of(line).unwrap().0, plain("codeheap 'non-nmethods'.usage", Kind::Gauge));
    }
}
