//! Text into a syntax tree that is sound.
//!
//! The grammar is read by hand, one function a construct, operators by precedence: errors can be told in
//! Prometheus's words, and depth is bounded (docs/decisions/010).

mod check;
mod expression;
mod modifiers;
mod selector;
mod formula;
mod token;
mod numeral;
mod limits;

use meshlake_schema::budget::{Allowance, Holding, Spent};

use crate::error::Error;
use crate::matcher::Matcher;
use crate::text::position;
use crate::tree::{Expr, Node, Span};
use limits::{DEPTH_MAX, TEXT_BYTES_MAX, TOKENS_MAX};
use token::{Placed, Token};

/// The tree of a query, whatever its regular expressions take.
///
/// ```
/// let tree = meshlake_promql::parse("sum(rate(http_requests_total[5m])) by (job)").unwrap();
/// assert_eq!(tree.to_string(), "sum by (job) (rate(http_requests_total[5m]))");
/// let error = meshlake_promql::parse("sum(foo").unwrap_err();
/// assert_eq!(error.to_string(), "1:8: parse error: unclosed left parenthesis");
/// ```
///
/// # Errors
/// [`Error::BadData`], with line and column as Prometheus gives them, of the first mistake; also of a text over
/// 10 KiB, 500 tokens or 50 levels.
pub fn parse(text: &str) -> Result<Expr, Error> {
    let plenty = Allowance::new(usize::MAX, None);
    parse_within(text, &mut Holding::new(&plenty))
}

/// The tree of a query, within a budget: what its regular expressions take of memory is added to `held`.
///
/// # Errors
/// As [`parse`]; [`Error::Timeout`] and [`Error::Execution`] when time or memory are spent.
pub fn parse_within(text: &str, held: &mut Holding<'_>) -> Result<Expr, Error> {
    let mut parser = Parser::new(text, held)?;
    let tree = parser.whole_query().map_err(|mistake| mistake.told(text))?;
    check::check(&tree).map_err(|mistake| mistake.told(text))?;
    Ok(tree)
}

/// The matchers of a selector alone, as `match[]` gives them, whatever their regular expressions take.
///
/// # Errors
/// As [`parse`].
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, Error> {
    let plenty = Allowance::new(usize::MAX, None);
    parse_selector_within(text, &mut Holding::new(&plenty))
}

/// The same within a budget.
///
/// # Errors
/// As [`parse_within`].
pub fn parse_selector_within(text: &str, held: &mut Holding<'_>) -> Result<Vec<Matcher>, Error> {
    let mut parser = Parser::new(text, held)?;
    let told = |mistake: Mistake| mistake.told(text);
    let selector = parser.selector().and_then(|expr| parser.expect_end().map(|()| expr)).map_err(told)?;
    match selector.node {
        Node::Selector(selector) => Ok(selector.matchers),
        _ => Ok(Vec::new()),
    }
}

/// The seconds of a duration as `1h30m`: units from the largest to the smallest, each at most once.
///
/// # Errors
/// What is wrong with it, in Prometheus's words.
pub fn duration_seconds(text: &str) -> Result<f64, String> {
    if text.is_empty() { Err("empty duration string".to_owned()) } else { formula::seconds(text) }
}

/// Something wrong at a place of the text, or no budget to read on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    at: usize,
    text: String,
    spent: Option<Spent>,
}

impl Mistake {
    fn new(at: usize, text: impl Into<String>) -> Mistake {
        Mistake { at, text: text.into(), spent: None }
    }

    fn told(self, query: &str) -> Error {
        if let Some(spent) = self.spent {
            return spent.into();
        }
        Error::BadData(format!("{}: parse error: {}", position(query, self.at), self.text))
    }
}

type Parsed<T> = Result<T, Mistake>;

struct Parser<'a, 'h, 'b> {
    text: &'a str,
    /// What regular expressions take.
    held: &'h mut Holding<'b>,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    /// Constructs that are open and name themselves in an error, the innermost last: what is being read, and what
    /// could have come.
    open: Vec<(&'static str, &'static str)>,
}

impl<'a, 'h, 'b> Parser<'a, 'h, 'b> {
    fn new(text: &'a str, held: &'h mut Holding<'b>) -> Result<Self, Error> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("query of {} bytes is longer than {TEXT_BYTES_MAX}", text.len());
            return Err(Mistake::new(0, message).told(text));
        }
        let tokens = token::tokens(text);
        if tokens.len() > TOKENS_MAX {
            let at = tokens[TOKENS_MAX].span.start;
            return Err(Mistake::new(at, format!("query has more than {TOKENS_MAX} tokens")).told(text));
        }
        Ok(Parser { text, held, tokens, at: 0, depth: 0, open: Vec::new() })
    }

    fn whole_query(&mut self) -> Parsed<Expr> {
        if self.peek()? == Token::End {
            return Err(Mistake::new(0, "no expression found in input"));
        }
        let tree = self.expression(0)?;
        self.expect_end()?;
        Ok(tree)
    }

    fn expect_end(&mut self) -> Parsed<()> {
        if self.peek()? == Token::End { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The next token; an error if it could not be read.
    fn peek(&self) -> Parsed<Token> {
        let placed = &self.tokens[self.at];
        match &placed.error {
            Some(error) => Err(Mistake::new(placed.span.start, error.clone())),
            None => Ok(placed.token),
        }
    }

    /// The token after the next, whether it could be read or not.
    fn peek_second(&self) -> Option<Token> {
        self.tokens.get(self.at + 1).map(|placed| placed.token)
    }

    fn span(&self) -> Span {
        self.tokens[self.at].span
    }

    /// Where the last token that was taken ends.
    fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |last| self.tokens[last].span.end)
    }

    /// Takes the next token; the last one, the end, stays.
    fn take(&mut self) -> Span {
        let span = self.span();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        span
    }

    fn takes(&mut self, wanted: Token) -> Parsed<bool> {
        let is_wanted = self.peek()? == wanted;
        if is_wanted {
            self.take();
        }
        Ok(is_wanted)
    }

    fn word(&self, span: Span) -> &'a str {
        &self.text[span.start..span.end]
    }

    /// The next token cannot stand here.
    fn unexpected(&self) -> Mistake {
        let (context, expected) = self.open.last().copied().unwrap_or_default();
        self.unexpected_in(context, expected)
    }

    fn unexpected_in(&self, context: &str, expected: &str) -> Mistake {
        let placed = &self.tokens[self.at];
        if let Some(error) = &placed.error {
            return Mistake::new(placed.span.start, error.clone());
        }
        let mut text = format!("unexpected {}", placed.described(self.text));
        if !context.is_empty() {
            text += &format!(" in {context}");
        }
        if !expected.is_empty() {
            text += &format!(", expected {expected}");
        }
        Mistake::new(placed.span.start, text)
    }

    /// Reads what is one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_MAX {
            return Err(Mistake::new(
                self.span().start,
                format!("query is nested deeper than {DEPTH_MAX} levels"),
            ));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads what names itself in errors.
    fn inside<T>(
        &mut self,
        construct: (&'static str, &'static str),
        read: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.open.push(construct);
        let result = read(self);
        self.open.pop();
        result
    }
}

/// The text inside of quotes, escapes resolved as Go resolves them.
fn unquoted(text: &str) -> Result<String, String> {
    let inside = &text[1..text.len() - 1];
    if text.starts_with('`') || !inside.contains('\\') {
        return Ok(inside.to_owned());
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            unescape(&mut chars, &mut bytes)?;
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    String::from_utf8(bytes).map_err(|_| "escape sequence is invalid UTF-8".to_owned())
}

fn unescape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), String> {
    const BYTE_MAX: u32 = 0xff;
    let first = chars.next();
    let (base, digits) = match first {
        Some('x') => (16, 2),
        Some('u') => (16, 4),
        Some('U') => (16, 8),
        Some('0'..='7') => (8, 3),
        Some(c) => {
            let byte = match c {
                'a' => 7,
                'b' => 8,
                'f' => 12,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 11,
                '\\' | '\'' | '"' => c as u8,
                c => return Err(format!("unknown escape sequence U+{:04X} '{c}'", u32::from(c))),
            };
            bytes.push(byte);
            return Ok(());
        }
        None => return Err("escape sequence not terminated".to_owned()),
    };
    let mut code = if base == 8 { first.and_then(|c| c.to_digit(8)).unwrap_or(0) } else { 0 };
    for _ in usize::from(base == 8)..digits {
        let c = chars.next().ok_or("escape sequence not terminated")?;
        let digit = c.to_digit(base);
        let digit = digit
            .ok_or_else(|| format!("illegal character U+{:04X} '{c}' in escape sequence", u32::from(c)))?;
        code = code.wrapping_mul(base) | digit;
    }
    let is_byte = matches!(first, Some('x' | '0'..='7'));
    let invalid = || "escape sequence is an invalid Unicode code point".to_owned();
    if is_byte {
        bytes.push(u8::try_from(code.min(BYTE_MAX + 1)).map_err(|_| invalid())?);
    } else {
        let c = char::from_u32(code).ok_or_else(invalid)?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
