//! JSON bodies and queries (MongoDB, Elasticsearch, OpenSearch, execution plans of databases): the structure and the keys stay, every value
//! becomes `"?"`.
//!
//! Values under some keys may be kept as they are, others are SQL of which only the values are hidden. Several documents may follow each
//! other. What is no JSON ends the output: `...` stands for it and for all that follows.

mod literal;
mod nest;
mod unquote;
mod walk;

use nest::Nest;
use walk::Walk;

use super::Outcome;
use super::settings;

/// Hides the values in a SQL text, as `sql` does: the buffer holds the new text where the outcome is [`Outcome::Changed`]. Nothing where the
/// text can't be parsed.
pub type Sql<'a> = dyn FnMut(&str, &mut String) -> Option<Outcome> + 'a;

/// What is written where a SQL text can't be parsed.
const UNPARSABLE_SQL: &str =
    "Datadog-agent failed to obfuscate SQL string. Enable agent debug logs for more info.";

/// The end of what could not be read to its end.
const CUT: &str = "...";

/// Hides values in JSON by one set of rules. It keeps buffers from call to call: one bit per level of nesting, a key, a SQL text.
#[derive(Debug)]
pub struct Json {
    keep: Vec<String>,
    sql: Vec<String>,
    work: Work,
}

/// Memory that is used again.
#[derive(Debug, Default)]
struct Work {
    nest: Nest,
    key: String,
    plain_sql: String,
    hidden_sql: String,
}

impl Json {
    /// By these settings. Whether they say that anything is to be done at all is the caller's concern.
    #[must_use]
    pub fn new(settings: &settings::Json) -> Self {
        Self {
            keep: settings.keep_values.clone(),
            sql: settings.obfuscate_sql_values.clone(),
            work: Work::default(),
        }
    }

    /// Writes `text` with its values hidden (spec: trace-agent 7.3). White space between tokens goes, but stays after a document.
    pub fn obfuscate(&mut self, text: &str, sql: &mut Sql<'_>, out: &mut String) -> Outcome {
        out.clear();
        if !text.is_empty() && Walk::new(self, text, out).run(sql).is_err() {
            out.push_str(CUT);
        }
        Outcome::of(text, out)
    }
}

#[cfg(test)]
mod tests;
