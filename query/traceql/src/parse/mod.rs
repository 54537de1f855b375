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

use crate::error::Error;
use crate::lex::{self, Dialect, Mistake, Placed, Token};
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
/// [`Error::Invalid`] of the first mistake, and of a text over 32 KiB, 2,000 tokens or 64 levels.
pub fn parse(text: &str) -> Result<Query, Error> {
    let read = || {
        let tokens = lex::tokens(text, &TRACEQL)?;
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
    fn placed(&self) -> Placed {
        self.tokens[self.at]
    }

    fn peek(&self) -> Token {
        self.placed().token
    }

    /// The token after the next.
    fn peek_second(&self) -> Token {
        self.tokens.get(self.at + 1).map_or(Token::End, |placed| placed.token)
    }

    /// Where the next token begins.
    fn start(&self) -> usize {
        self.placed().start
    }

    /// The text of a token.
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

    /// Reads what stands between commas, up to a closing parenthesis; at least one.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.takes(",") {
            items.push(read(self)?);
        }
        self.expect(")")?;
        Ok(items)
    }
}
