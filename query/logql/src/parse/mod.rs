//! Text into a tree that is sound.
//!
//! The grammar is read by hand, operators by how close they bind. From the loosest: `or`; `and` and `unless`; comparisons;
//! `+` and `-`; `*`, `/` and `%`; `^`, from right to left. Tokens are made by the lexer of TraceQL, whose dialects this is one of.
//!
//! Source: "Query reference", <https://grafana.com/docs/loki/latest/query/>, and its pages on log queries, metric queries
//! and binary operators.

mod vector;
mod over_time;
mod stages;
mod conditions;
mod log;
mod limits;

use std::ops::{Deref, DerefMut};

use meshlake_schema::budget::{Allowance, Holding};
use meshlake_schema::go_regex::{QUERY_REGEX_BYTES_MAX, Unfit};
use meshlake_traceql::cursor::{Cursor, Parsed};
use meshlake_traceql::lex::{self, Dialect, Mistake, Token, unquoted};

use crate::error::Error;
use crate::tree::Query;
use limits::{BYTES_MAX, DEPTH_MAX, TOKENS_MAX};

const LOGQL: Dialect = Dialect {
    signs: &[
        "--keep-empty",
        "--strict",
        "|=",
        "|~",
        "|>",
        "!=",
        "!~",
        "!>",
        "==",
        "=~",
        ">=",
        "<=",
        "=",
        ">",
        "<",
        "|",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
    ],
    joins_words: None,
    has_paths: false,
    has_sizes: true,
    comment: "#",
    bytes_max: BYTES_MAX,
    tokens_max: TOKENS_MAX,
    depth_max: DEPTH_MAX,
};

/// The tree of a query.
///
/// ```
/// let query = meshlake_logql::parse(r#"sum by (app) (rate({app="a"} |= "x" | json | status >= 500 [5m])) > 1"#).unwrap();
/// let tree = r#"(sum by (app) (rate({app="a"} |= "x" | json | status>=500 [5m])) > 1)"#;
/// assert_eq!(query.to_string(), tree);
/// let error = meshlake_logql::parse("{app=\"a\"} |= 5").unwrap_err();
/// assert_eq!(error.to_string(), "parse error at line 1, col 14: unexpected 5, expected a text or ip(..)");
/// ```
///
/// # Errors
/// [`Error::Invalid`] of the first mistake, and of a text over 32 KiB, 1,000 tokens or 64 levels, and of regular expressions that
/// take more than [`QUERY_REGEX_BYTES_MAX`] together.
pub fn parse(text: &str) -> Result<Query, Error> {
    let expressions = Allowance::new(QUERY_REGEX_BYTES_MAX, None);
    let read = || Parser(Cursor::new(text, &LOGQL, Holding::new(&expressions))?).query();
    read().map_err(|mistake: Mistake| Error::at(text, mistake.at, mistake.text))
}

/// The cursor, by a name of its own: what LogQL reads are methods of it.
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
    fn query(mut self) -> Parsed<Query> {
        if self.peek() == Token::End {
            return Err(Mistake::new(0, "the query is empty; a query selects streams, as {app=\"a\"}"));
        }
        let query = if self.begins_log() { Query::Log(self.log()?) } else { Query::Metric(self.vector()?) };
        if self.peek() == Token::End { Ok(query) } else { Err(self.unexpected("an operator or the end")) }
    }

    /// Whether what comes is a query for lines, perhaps in parentheses.
    fn begins_log(&self) -> bool {
        self.rest().find(|token| *token != Token::Sign("(")) == Some(Token::Sign("{"))
    }

    /// The next word as words that mean something are compared, which Loki reads in any case: Grafana writes `OR` into the query that
    /// leads from a trace to its logs.
    fn keyword(&self) -> Option<String> {
        self.word().map(str::to_ascii_lowercase)
    }

    /// The same, if a parenthesis follows.
    fn called(&self) -> Option<String> {
        self.function().map(str::to_ascii_lowercase)
    }

    fn takes_keyword(&mut self, keyword: &str) -> bool {
        let comes = self.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if comes {
            self.take();
        }
        comes
    }

    fn label(&mut self) -> Parsed<String> {
        let word = self.word().ok_or_else(|| self.unexpected("the name of a label"))?;
        self.take();
        Ok(word.to_owned())
    }

    /// A text in quotes.
    fn quoted(&mut self, expected: &str) -> Parsed<String> {
        if self.peek() != Token::Text {
            return Err(self.unexpected(expected));
        }
        let placed = self.take();
        unquoted(self.written(placed)).map_err(|message| Mistake::new(placed.start, message))
    }

    /// A text in quotes that is made something else, with its place if it cannot be.
    fn made<T>(&mut self, make: impl FnOnce(String) -> Result<T, String>) -> Parsed<T> {
        let at = self.start();
        let text = self.quoted("a text")?;
        make(text).map_err(|message| Mistake::new(at, message))
    }

    /// A regular expression in quotes.
    fn expression<T>(
        &mut self,
        compile: impl FnOnce(String, &mut Holding<'_>) -> Result<T, Unfit>,
    ) -> Parsed<T> {
        let at = self.start();
        let text = self.quoted("a text")?;
        self.compiled(at, |held| compile(text, held))
    }

    /// A number with a sign or without.
    fn number(&mut self) -> Parsed<f64> {
        let at = self.start();
        let sign = if self.takes("-") { -1.0 } else { 1.0 };
        if sign > 0.0 {
            self.takes("+");
        }
        if !matches!(self.peek(), Token::Integer | Token::Float) {
            return Err(self.unexpected("a number"));
        }
        let placed = self.take();
        let number = self.written(placed).parse().ok().filter(|number: &f64| number.is_finite());
        number.map(|number| sign * number).ok_or_else(|| Mistake::new(at, "the number is too large"))
    }

    /// A length of time above 0, or of any sign.
    fn length(&mut self, may_be_negative: bool) -> Parsed<i64> {
        let sign = if may_be_negative && self.takes("-") { -1 } else { 1 };
        if self.peek() != Token::Duration {
            return Err(self.unexpected("a length of time, as 5m"));
        }
        let placed = self.take();
        let nanos = lex::duration(self.written(placed)).filter(|nanos| may_be_negative || *nanos > 0);
        nanos.map(|nanos| sign * nanos).ok_or_else(|| Mistake::new(placed.start, "the length of time is 0"))
    }
}
