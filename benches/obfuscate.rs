//! Cost of hiding values in SQL: nanoseconds per query, for each mode without a cache, and for the default mode with one.
//! `cargo bench --bench obfuscate`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints its result")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use pillion::trace::obfuscate::Outcome;
use pillion::trace::obfuscate::sql::{Mode, Settings, Sql};

/// Queries as tracers send them: with values, with placeholders, and the long ones that object mappers write.
const QUERIES: [(&str, &str); 5] = [
    (
        "values, 100 B",
        "SELECT id, name, email FROM users WHERE status = 'active' AND age > 21 ORDER BY created_at LIMIT 100",
    ),
    (
        "placeholders, 100 B",
        "SELECT id, name, email FROM customers WHERE status = ? AND age > ? ORDER BY created_at DESC LIMIT ??",
    ),
    (
        "insert, 180 B",
        "INSERT INTO orders (id, customer_id, total, note) VALUES (1001, 42, 19.99, 'first'), (1002, 43, 5.00, 'it''s \
         second'), (1003, 44, 7.25, NULL) ON CONFLICT (id) DO NOTHING RETURNING id",
    ),
    (
        "mapper, 420 B",
        "SELECT \"orders\".\"id\" AS t0_r0, \"orders\".\"total\" AS t0_r1, \"customers\".\"id\" AS t1_r0, \"customers\".\"name\" AS \
         t1_r1 FROM \"orders\" LEFT OUTER JOIN \"customers\" ON \"customers\".\"id\" = \"orders\".\"customer_id\" WHERE \
         \"orders\".\"deleted_at\" IS NULL AND \"customers\".\"region\" IN ('eu', 'us', 'ap') AND \"orders\".\"total\" BETWEEN 10 AND \
         1000 /* controller:orders,action:index */ ORDER BY \"orders\".\"id\" ASC LIMIT 25 OFFSET 50",
    ),
    ("short, 8 B", "COMMIT 1"),
];

/// The least over rounds of the time for one call of `work`: other programs only add to it.
fn nanoseconds(mut work: impl FnMut()) -> u128 {
    const CALLS: u32 = 20_000;
    let rounds = (0..15).map(|_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            work();
        }
        start.elapsed()
    });
    rounds.min().unwrap_or_default().as_nanos() / u128::from(CALLS)
}

fn main() {
    let modes = [
        ("legacy", Mode::Legacy),
        ("obfuscate_only", Mode::ObfuscateOnly),
        ("normalize_only", Mode::NormaliseOnly),
        ("obfuscate_and_normalize", Mode::ObfuscateAndNormalise),
    ];
    for (name, mode) in modes {
        measure(name, Sql::new(Settings { mode, ..Settings::default() }));
    }
    measure("legacy, cached", Sql::with_cache(Settings::default(), 5_000_000));
    measure_misses("legacy", Sql::new(Settings::default()));
    measure_misses("legacy, cached", Sql::with_cache(Settings::default(), 5_000_000));
}

/// The same queries over and over.
fn measure(mode: &str, mut sql: Sql) {
    let mut out = String::new();
    for (name, query) in QUERIES {
        let time = nanoseconds(|| {
            let outcome = sql.obfuscate(black_box(query), "postgresql", &mut out).unwrap();
            black_box(outcome == Outcome::Changed);
        });
        println!("{mode:24} {name:20} {time:5} ns");
    }
}

/// Queries of which each is another one.
fn measure_misses(mode: &str, mut sql: Sql) {
    let (mut out, mut number) = (String::new(), 0_u64);
    let mut query = QUERIES[0].1.to_owned();
    let place = query.find("21").unwrap();
    let time = nanoseconds(|| {
        number += 1;
        query.truncate(place);
        write!(query, "{number} ORDER BY created_at LIMIT 100").unwrap();
        sql.obfuscate(black_box(&query), "postgresql", &mut out).unwrap();
    });
    println!("{mode:24} {:20} {time:5} ns", "never the same");
}
