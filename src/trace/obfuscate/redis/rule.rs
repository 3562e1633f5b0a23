//! Which arguments of a Redis command hold values.

use crate::trace::obfuscate::upper::is;

/// What becomes of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Shown,
    /// A `?` takes its place.
    Hidden,
    /// The `?` of the argument before stands for it, too.
    Gone,
}

/// Which arguments are hidden. Arguments are counted from 0.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// None.
    Nothing,
    /// All from this one on, behind one `?`.
    From(usize),
    /// This one.
    One(usize),
    /// The one at `first`, and each one `step` further.
    Each {
        /// The first one.
        first: usize,
        /// The distance to the next.
        step: usize,
    },
    /// The value of `CONFIG SET name value`; whether the first argument is `SET`.
    Config(bool),
    /// The value of each `SET type offset value`; where the last `SET` stands, 0 for nowhere.
    BitField(usize),
    /// The member of each pair behind the key and the flags; where the pairs start.
    SortedSet(usize),
}

/// Commands and their rules (spec: trace-agent 7.2).
const RULES: &[(Rule, &[&str])] = &[
    (Rule::From(0), &["AUTH", "MIGRATE", "HELLO"]),
    (
        Rule::From(1),
        &["ACL", "GEOHASH", "GEOPOS", "GEODIST", "LPUSH", "RPUSH", "SREM", "ZREM", "SADD"],
    ),
    (
        Rule::One(1),
        &[
            "APPEND",
            "GETSET",
            "LPUSHX",
            "GEORADIUSBYMEMBER",
            "RPUSHX",
            "SET",
            "SETNX",
            "SISMEMBER",
            "ZRANK",
            "ZREVRANK",
            "ZSCORE",
        ],
    ),
    (
        Rule::One(2),
        &[
            "HSETNX", "LREM", "LSET", "SETBIT", "SETEX", "PSETEX", "SETRANGE", "ZINCRBY", "SMOVE",
            "RESTORE",
        ],
    ),
    (Rule::One(3), &["LINSERT"]),
    (Rule::Each { first: 3, step: 3 }, &["GEOADD"]),
    (Rule::Each { first: 2, step: 2 }, &["HSET", "HMSET"]),
    (Rule::Each { first: 1, step: 2 }, &["MSET", "MSETNX"]),
    (Rule::Config(false), &["CONFIG"]),
    (Rule::BitField(0), &["BITFIELD"]),
    (Rule::SortedSet(1), &["ZADD"]),
];

impl Rule {
    /// That of the command `name`, whatever its case.
    pub(super) fn of(name: &str) -> Self {
        RULES
            .iter()
            .find(|(_, names)| names.iter().any(|own| is(name, own)))
            .map_or(Self::Nothing, |(rule, _)| *rule)
    }

    /// The fate of the next argument, which has this index.
    pub(super) fn fate(&mut self, index: usize, argument: &str) -> Fate {
        let hidden = match self {
            Self::Nothing => false,
            Self::From(first) if index > *first => return Fate::Gone,
            Self::From(first) => index == *first,
            Self::One(only) => index == *only,
            Self::Each { first, step } => index >= *first && (index - *first).is_multiple_of(*step),
            Self::Config(is_set) => {
                *is_set |= index == 0 && is(argument, "SET");
                *is_set && index == 2
            }
            Self::BitField(set) => {
                if is(argument, "SET") {
                    *set = index;
                }
                *set > 0 && index == *set + 3
            }
            Self::SortedSet(pairs) => {
                if index == *pairs && ["NX", "XX", "CH", "INCR"].contains(&argument) {
                    *pairs += 1;
                    return Fate::Shown;
                }
                index > *pairs && (index - *pairs) % 2 == 1
            }
        };
        if hidden { Fate::Hidden } else { Fate::Shown }
    }
}
