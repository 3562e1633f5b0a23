//! Metrics that users do not want, by their names: those that come, and the series that are made of histograms.

/// Names of metrics, or what they begin with, sorted. None of them: nothing is blocked.
#[derive(Debug, Default)]
pub struct Blocked {
    sorted: Vec<String>,
    by_prefix: bool,
}

impl Blocked {
    /// These names, or those that begin so. Empty ones count for nothing.
    pub fn new(names: &[String], by_prefix: bool) -> Self {
        let mut sorted = names.to_vec();
        sorted.retain(|text| !text.is_empty());
        sorted.sort_unstable();
        // Of prefixes that begin with each other, the shortest says it all: so only one can be what a name begins with.
        sorted.dedup_by(|later, kept| later == kept || by_prefix && later.starts_with(&**kept));
        Self { sorted, by_prefix }
    }

    /// Whether nothing is blocked.
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether a name is blocked.
    pub fn has(&self, name: &str) -> bool {
        let place = self.sorted.partition_point(|text| text.as_str() <= name);
        let before = place.checked_sub(1).and_then(|place| self.sorted.get(place));
        before.is_some_and(|text| text == name || self.by_prefix && name.starts_with(&**text))
    }
}

#[cfg(test)]
mod tests {
    use super::Blocked;

    #[test]
    fn names_are_blocked_whole_or_by_what_they_begin_with() {
        let list = || ["a.b", "a", "c.d", "c.d", "", "cx"].map(str::to_owned).to_vec();
        let whole = Blocked::new(&list(), false);
        let by_prefix = Blocked::new(&list(), true);
        for (name, is_whole, is_prefix) in [
            ("a", true, true),
            ("a.b", true, true),
            ("a.c", false, true),
            ("az", false, true),
            ("c", false, false),
            ("c.d", true, true),
            ("c.de", false, true),
            ("cx", true, true),
            ("cy", false, false),
            ("", false, false),
            ("zz", false, false),
        ] {
            assert_eq!((whole.has(name), by_prefix.has(name)), (is_whole, is_prefix), "{name}");
        }
        assert!(!Blocked::new(&[], true).has("a"));
    }
}
