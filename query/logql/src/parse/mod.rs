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

use meshlake_traceql::lex::{self, Dialect, Mistake, Placed, Token, unquoted};

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
/// [`Error::Invalid`] of the first mistake, and of a text over 32 KiB, 1,000 tokens or 64 levels.
pub fn parse(text: &str) -> Result<Query, Error> {
    let read = || {
        let tokens = lex::tokens(text, &LOGQL)?;
        Parser { text, tokens, at: 0, depth: 0 }.query()
    };
    read().map_err(|mistake: Mistake| Error::at(text, mistake.at, mistake.text))
}

type Parsed<T> = Result<T, Mistake>;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn query(mut self) -> Parsed<Query> {
        if self.peek() == Token::End {
            return Err(Mistake::new(0, "the query is empty; a query selects streams, as {app=\"a\"}"));
        }
        let query = if self.begins_log() { Query::Log(self.log()?) } else { Query::Metric(self.vector()?) };
        if self.peek() == Token::End { Ok(query) } else { Err(self.unexpected("an operator or the end")) }
    }

    /// Whether what comes is a query for lines, perhaps in parentheses.
    fn begins_log(&self) -> bool {
        let tokens = self.tokens[self.at..].iter();
        let first = tokens.map(|placed| placed.token).find(|token| *token != Token::Sign("("));
        first == Some(Token::Sign("{"))
    }

    fn placed(&self) -> Placed {
        self.tokens[self.at]
    }

    fn peek(&self) -> Token {
        self.placed().token
    }

    fn peek_second(&self) -> Token {
        self.tokens.get(self.at + 1).map_or(Token::End, |placed| placed.token)
    }

    /// Where the next token begins.
    fn start(&self) -> usize {
        self.placed().start
    }

    fn written(&self, placed: Placed) -> &'a str {
        &self.text[placed.start..placed.end]
    }

    /// Takes the next token; the last one, the end, stays.
    fn take(&mut self) -> Placed {
        let placed = self.placed();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        placed
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Sign(next) if next == sign);
        if is_next {
            self.take();
        }
        is_next
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(sign)) }
    }

    /// The next word.
    fn word(&self) -> Option<&'a str> {
        (self.peek() == Token::Word).then(|| self.written(self.placed()))
    }

    /// The next word, if a parenthesis follows.
    fn function(&self) -> Option<&'a str> {
        self.word().filter(|_| self.peek_second() == Token::Sign("("))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_next = self.word() == Some(word);
        if is_next {
            self.take();
        }
        is_next
    }

    /// The next token cannot stand here.
    fn unexpected(&self, expected: &str) -> Mistake {
        const SHOWN_MAX: usize = 30;
        let placed = self.placed();
        let mut found = self.written(placed).to_owned();
        if found.chars().count() > SHOWN_MAX {
            found = found.chars().take(SHOWN_MAX).collect::<String>() + "...";
        }
        let found = if placed.token == Token::End { "the end".to_owned() } else { found };
        Mistake::new(placed.start, format!("unexpected {found}, expected {expected}"))
    }

    /// Reads what is one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_MAX {
            let message = format!("a query is nested at most {DEPTH_MAX} levels deep");
            return Err(Mistake::new(self.start(), message));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads what stands between commas; at least one.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.takes(",") {
            items.push(read(self)?);
        }
        Ok(items)
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
