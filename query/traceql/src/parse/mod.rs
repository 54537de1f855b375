//! Text into a tree that is sound.
//!
//! The grammar is read by hand, operators by how close they bind, types checked as soon as both sides of an operator are
//! known: so a mistake is told where it is and in words of whoever wrote it. From the loosest: `&&` and `||`, which bind
//! alike and from left to right as in Tempo; comparisons and structural operators; `+` and `-`; `*`, `/` and `%`; `^`,
//! from right to left. What can be computed without a span is.
//!
//! Source: the pages and proposals named in `tree/field.rs`, and "TraceQL metrics functions",
//! <https://grafana.com/docs/tempo/latest/metrics-from-traces/metrics-queries/functions/>.

mod query;
mod over_time;
mod pipeline;
mod items;
mod expression;
mod combine;
mod names;
mod limits;

use std::ops::{Deref, DerefMut};

use meshlake_schema::budget::{Allowance, Holding};
use meshlake_schema::go_regex::QUERY_REGEX_BYTES_MAX;

use crate::cursor::{Cursor, Parse as _, Parsed};
use crate::error::Error;
use crate::lex::{Dialect, Mistake};
use crate::tree::Query;
use limits::{BYTES_MAX, DEPTH_MAX, TOKENS_MAX};

const TRACEQL: Dialect = Dialect {
    signs: &[
        "!>>", "!<<", "&>>", "&<<", ">>", "<<", "!>", "!<", "!~", "&>", "&<", "&~", "&&", "||", ">=", "<=",
        "!=", "=~", "{", "}", "(", ")", ",", "|", "=", "<", ">", "~", "!", "+", "-", "*", "/", "%", "^",
    ],
    joins_words: Some(':'),
    has_paths: true,
    has_sizes: false,
    comment: "//",
    bytes_max: BYTES_MAX,
    tokens_max: TOKENS_MAX,
    depth_max: DEPTH_MAX,
};

/// The tree of a query.
///
/// ```
/// let query = meshlake_traceql::parse("{ name = \"GET /\" } >> { status = error } | count() > 2").unwrap();
/// assert_eq!(query.to_string(), "({ (name = \"GET /\") } >> { (status = error) }) | (count() > 2)");
/// let error = meshlake_traceql::parse("{ duration > \"1s\" }").unwrap_err();
/// assert_eq!(error.to_string(), "1:14: duration is a duration and never compared with a text");
/// ```
///
/// # Errors
/// [`Error::Invalid`] of the first mistake, and of a text over 32 KiB, 2,000 tokens or 64 levels, and of regular expressions that
/// take more than [`QUERY_REGEX_BYTES_MAX`] together.
pub fn parse(text: &str) -> Result<Query, Error> {
    let expressions = Allowance::new(QUERY_REGEX_BYTES_MAX, None);
    let read = || Parser(Cursor::new(text, &TRACEQL, Holding::new(&expressions))?).query();
    read().map_err(|mistake: Mistake| Error::at(text, mistake.at, mistake.text))
}

/// The cursor, by a name of its own: what TraceQL reads are methods of it.
struct Parser<'a>(Cursor<'a>);

impl<'a> Deref for Parser<'a> {
    type Target = Cursor<'a>;

    fn deref(&self) -> &Cursor<'a> {
        &self.0
    }
}

impl<'a> DerefMut for Parser<'a> {
    fn deref_mut(&mut self) -> &mut Cursor<'a> {
        &mut self.0
    }
}

impl Parser<'_> {
    /// What stands between commas, up to a closing parenthesis; at least one.
    fn enclosed<T>(&mut self, read: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let items = self.list(read)?;
        self.expect(")")?;
        Ok(items)
    }
}
