//! Service checks: `_sc|<name>|<status>|…` (spec: metrics-logs 1.5).

use super::{Lists, Wrong, cut, fields, tags};
use crate::metrics::sample::{Check, Status};

/// Reads a line. A field with a value that makes no sense is passed over.
pub(super) fn read<'a>(line: &'a str, lists: &mut Lists<'a>) -> Result<Check<'a>, Wrong> {
    let (_, rest) = cut(line, '|');
    let (name, rest) = cut(rest.unwrap_or_default(), '|');
    if name.is_empty() {
        return Err(Wrong::NoName);
    }
    let (status, rest) = cut(rest.unwrap_or_default(), '|');
    let status = match status {
        "0" => Status::Ok,
        "1" => Status::Warning,
        "2" => Status::Critical,
        "3" => Status::Unknown,
        _ => return Err(Wrong::Status),
    };
    let mut check = Check { name, status, timestamp_s: None, host: "", message: "", tags: &[] };
    for field in fields(rest) {
        if let Some(list) = field.strip_prefix('#') {
            tags(list, &mut lists.tags);
            continue;
        }
        match field.split_once(':') {
            Some(("d", time)) => check.timestamp_s = time.parse().ok().or(check.timestamp_s),
            Some(("h", host)) => check.host = host,
            Some(("m", message)) => check.message = message,
            _ => {}
        }
    }
    Ok(check)
}

#[cfg(test)]
mod tests {
    use super::{Check, Lists, Status, Wrong, read};

    fn of(line: &str) -> Result<(Check<'_>, Vec<&str>), Wrong> {
        let mut lists = Lists::default();
        let check = read(line, &mut lists)?;
        Ok((check, lists.tags))
    }

    #[test]
    fn every_field_is_read_in_any_order() {
        let plain = Check {
            name: "a b",
            status: Status::Ok,
            timestamp_s: None,
            host: "",
            message: "",
            tags: &[],
        };
        assert_eq!(of("_sc|a b|0").unwrap(), (plain, vec![]));
        let (check, tags) =
            of("_sc|a|2|m:down: yes|#x:1,y|d:12|h:box|c:ci-1|e:x|card:low|d:no").unwrap();
        assert_eq!(
            (check.status, check.message, check.host),
            (Status::Critical, "down: yes", "box")
        );
        assert_eq!((check.timestamp_s, tags), (Some(12), vec!["x:1", "y"]));
        assert_eq!(of("_sc|a|1").unwrap().0.status, Status::Warning);
        assert_eq!(of("_sc|a|3").unwrap().0.status, Status::Unknown);
    }

    #[test]
    fn a_check_has_a_name_and_one_of_four_states() {
        for (line, wrong) in [
            ("_sc|", Wrong::NoName),
            ("_sc||0", Wrong::NoName),
            ("_sc|a", Wrong::Status),
            ("_sc|a|", Wrong::Status),
            ("_sc|a|4", Wrong::Status),
            ("_sc|a|00", Wrong::Status),
            ("_sc|a|OK", Wrong::Status),
        ] {
            assert_eq!(of(line).unwrap_err(), wrong, "{line}");
        }
    }
}
