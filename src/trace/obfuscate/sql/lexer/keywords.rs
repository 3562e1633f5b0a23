//! The words that mean something to the lexer.

use super::scan::Kind;

/// What a word is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyword {
    /// In capitals.
    word: &'static str,
    pub(super) kind: Kind,
    /// The name of a table follows.
    pub(super) precedes_table: bool,
}

const COMMANDS: &str = "SELECT INSERT DELETE CREATE ALTER DROP GRANT REVOKE COMMIT BEGIN TRUNCATE MERGE EXECUTE EXEC EXPLAIN USE VACUUM";
const TABLE_COMMANDS: &str = "JOIN UPDATE STRAIGHT_JOIN CLONE";
const TABLE_KEYWORDS: &str = "FROM INTO TABLE EXISTS ONLY";
const KEYWORDS: &str = "ADD ALL AND ANY ASC BETWEEN BY CASE CHECK COLUMN CONSTRAINT DATABASE DECLARE DEFAULT DESC DISTINCT ELSE END ESCAPE \
     FOREIGN GROUP HAVING IN INDEX INNER IS KEY LATERAL LEFT LIKE LIMIT NOT ON OR ORDER OUT OUTER PRIMARY REPLACE RETURNS RIGHT ROLLBACK \
     ROWNUM SET SOME TOP UNION UNIQUE VALUES VIEW WHERE CUBE ROLLUP LITERAL WINDOW ANALYZE ILIKE USING ASSERTION DOMAIN CLUSTER COPY PLPGSQL \
     TRIGGER TEMPORARY UNLOGGED RECURSIVE RETURNING OFFSET OF SKIP IF";

const LISTS: [(&str, Kind, bool); 9] = [
    (COMMANDS, Kind::Command, false),
    (TABLE_COMMANDS, Kind::Command, true),
    (TABLE_KEYWORDS, Kind::Keyword, true),
    (KEYWORDS, Kind::Keyword, false),
    ("TRUE FALSE", Kind::Boolean, false),
    ("NULL", Kind::Null, false),
    ("PROCEDURE PROC", Kind::Procedure, false),
    ("WITH", Kind::With, false),
    ("AS", Kind::As, false),
];

const NONE: Keyword = Keyword { word: "", kind: Kind::Word, precedes_table: false };
const WORD_BYTES_MAX: usize = 13;
const SLOTS: usize = 512;

/// An open hash table, filled when this is compiled.
static TABLE: [Keyword; SLOTS] = table();

const fn table() -> [Keyword; SLOTS] {
    let mut table = [NONE; SLOTS];
    let mut list = 0;
    while list < LISTS.len() {
        let (mut words, kind, precedes_table) = LISTS[list];
        while !words.is_empty() {
            let (word, rest) = first_word(words);
            let mut slot = slot(word.as_bytes());
            while !table[slot].word.is_empty() {
                slot = (slot + 1) % SLOTS;
            }
            table[slot] = Keyword { word, kind, precedes_table };
            words = rest;
        }
        list += 1;
    }
    table
}

/// The first of some words, and the others.
const fn first_word(words: &'static str) -> (&'static str, &'static str) {
    let mut end = 0;
    while end < words.len() && words.as_bytes()[end] != b' ' {
        end += 1;
    }
    let (word, rest) = words.split_at(end);
    (word, rest.trim_ascii_start())
}

/// Where a word of at least two bytes is looked for first. Capitals and small letters don't differ.
const fn slot(word: &[u8]) -> usize {
    let [first, second, .., last] = *word else {
        return word.len();
    };
    let sum = (first as usize & 0x1f) * 37 + (second as usize & 0x1f) * 101;
    (sum + (last as usize & 0x1f) * 11 + word.len() * 7) % SLOTS
}

/// What `word`, of ASCII letters and `_`, means, if anything.
#[inline]
pub(super) fn find(word: &[u8]) -> Option<&'static Keyword> {
    if word.len() < 2 || word.len() > WORD_BYTES_MAX {
        return None;
    }
    let mut slot = slot(word);
    loop {
        let keyword = &TABLE[slot];
        if keyword.word.is_empty() {
            return None;
        }
        if word.eq_ignore_ascii_case(keyword.word.as_bytes()) {
            return Some(keyword);
        }
        slot = (slot + 1) % SLOTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case() {
        for (words, kind, precedes_table) in LISTS {
            for word in words.split(' ') {
                assert!(word.len() <= WORD_BYTES_MAX, "{word}");
                for spelling in [word.to_owned(), word.to_lowercase()] {
                    let found = find(spelling.as_bytes()).expect(word);
                    assert_eq!(
                        (found.kind, found.precedes_table),
                        (kind, precedes_table),
                        "{word}"
                    );
                }
            }
        }
        for word in ["", "a", "_", "selec", "selects", "straight_joins", "a_", "__"] {
            assert!(find(word.as_bytes()).is_none(), "{word}");
        }
    }
}
