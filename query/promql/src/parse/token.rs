//! Text into tokens.
//!
//! All tokens are made before any is parsed, so that a query's size is known first. What cannot be read becomes a
//! last token that holds the error: it is told only if parsing gets that far, as an earlier mistake comes first.
//! What a colon, a letter or a slash means depends on the braces or brackets around it, so the reader keeps those.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/basics/>, error texts as a Prometheus 3 gives them.

use super::limits::TOKENS_MAX;
use super::numeral::{Numeral, numeral};
use crate::text::{quoted, quoted_char};
use crate::tree::{Aggregator, Operator, Span, words};

words! {
    /// Words that are neither names nor operators.
    Keyword {
        Bool = "bool", By = "by", Without = "without", On = "on", Ignoring = "ignoring",
        GroupLeft = "group_left", GroupRight = "group_right", Fill = "fill", FillLeft = "fill_left",
        FillRight = "fill_right", Offset = "offset", Anchored = "anchored", Smoothed = "smoothed",
        Start = "start", End = "end", Step = "step", Range = "range", MinOf = "min_of", MaxOf = "max_of",
    }
}

impl Keyword {
    /// Words that Prometheus reads as names of functions, and quotes as plain text.
    fn is_function(self) -> bool {
        use Keyword::{End, MaxOf, MinOf, Range, Start, Step};
        matches!(self, Start | End | Step | Range | MinOf | MaxOf)
    }

    /// Whether a formula of durations can begin with it.
    fn begins_formula(self) -> bool {
        matches!(self, Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Identifier,
    /// A name with a colon in it.
    MetricIdentifier,
    Keyword(Keyword),
    Aggregator(Aggregator),
    Operator(Operator),
    Text,
    Number,
    Duration,
    /// One of `( ) { } [ ] , : = @`.
    Sign(char),
    RegexMatch,
    RegexMismatch,
    End,
    Error,
}

/// A token, where it stands, and what it cannot be read for.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub token: Token,
    pub span: Span,
    pub error: Option<String>,
}

impl Placed {
    /// The token as Prometheus names it in an error.
    pub(super) fn described(&self, text: &str) -> String {
        let word = &text[self.span.start..self.span.end];
        match self.token {
            Token::End | Token::Error => "end of input".to_owned(),
            Token::Identifier => format!("identifier {}", quoted(word)),
            Token::MetricIdentifier => format!("metric identifier {}", quoted(word)),
            Token::Keyword(keyword) if keyword.is_function() => shortened(word),
            Token::Keyword(_) => format!("<{word}>"),
            Token::Aggregator(_) => format!("<aggr:{word}>"),
            Token::Operator(_) | Token::RegexMatch | Token::RegexMismatch | Token::Sign('@') => {
                format!("<op:{word}>")
            }
            Token::Text => format!("string {}", shortened(word)),
            Token::Number => format!("number {}", shortened(word)),
            Token::Duration => format!("duration {}", shortened(word)),
            Token::Sign(_) => shortened(word),
        }
    }
}

/// A word in quotes, its first ten letters if it is longer.
fn shortened(word: &str) -> String {
    const SHOWN_MAX: usize = 10;
    if word.len() <= SHOWN_MAX {
        return quoted(word);
    }
    quoted(&word.chars().take(SHOWN_MAX).collect::<String>()) + "..."
}

/// The tokens of `text`, the last being its end or an error; at most one more than [`TOKENS_MAX`].
pub(super) fn tokens(text: &str) -> Vec<Placed> {
    let mut reader = Reader { text, at: 0, start: 0, parentheses: 0, place: Place::Statement };
    let mut tokens = Vec::new();
    while tokens.len() <= TOKENS_MAX {
        let placed = reader.next();
        let is_last = matches!(placed.token, Token::End | Token::Error);
        tokens.push(placed);
        if is_last {
            break;
        }
    }
    tokens
}

/// What surrounds the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Statement,
    Braces,
    /// Inside of brackets; whether a colon was seen, and whether a duration was.
    Brackets {
        has_colon: bool,
        has_duration: bool,
    },
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the token begins that is being read.
    start: usize,
    parentheses: usize,
    place: Place,
}

type Read = Result<Token, String>;

impl Reader<'_> {
    fn next(&mut self) -> Placed {
        self.skip_space_and_comments();
        self.start = self.at;
        let read = match self.place {
            Place::Braces => self.in_braces(),
            _ => self.in_statement(),
        };
        let (token, error) = match read {
            Ok(token) => (token, None),
            Err(error) => (Token::Error, Some(error)),
        };
        Placed { token, span: Span { start: self.start, end: self.at }, error }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn takes(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let is_wanted = self.peek().is_some_and(wanted);
        if is_wanted {
            self.take();
        }
        is_wanted
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            if self.takes(|c| matches!(c, ' ' | '\t' | '\n' | '\r')) {
                continue;
            }
            if self.peek() != Some('#') {
                return;
            }
            while self.takes(|c| c != '\n' && c != '\r') {}
        }
    }

    fn in_statement(&mut self) -> Read {
        let in_brackets = matches!(self.place, Place::Brackets { .. });
        // Before the first duration in brackets, only what a formula can begin with may stand.
        let is_begun = !matches!(self.place, Place::Brackets { has_duration: false, .. });
        let Some(c) = self.take() else {
            return match (self.parentheses, in_brackets) {
                _ if !is_begun => Err("unexpected end of input in duration expression".to_owned()),
                (1.., _) => Err("unclosed left parenthesis".to_owned()),
                (0, true) => Err("unclosed left bracket".to_owned()),
                (0, false) => Ok(Token::End),
            };
        };
        match c {
            c if !is_begun && "\"'`<>=!@{[".contains(c) => {
                Err(format!("unexpected character in duration expression: {}", quoted_char(Some(c))))
            }
            '0'..='9' => self.number_or_duration(),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number_or_duration(),
            '"' | '\'' | '`' => self.quoted_text(c),
            ':' if in_brackets => self.colon(),
            c if in_brackets && (is_name_start(c) || !"()],+-*/%^<>=!@".contains(c)) => self.formula_word(c),
            c if is_name_start(c) || c == ':' => Ok(self.word()),
            _ => self.sign(c),
        }
    }

    fn sign(&mut self, c: char) -> Read {
        let followed = |reader: &mut Self, by: char| reader.takes(|next| next == by);
        Ok(match c {
            '+' => Token::Operator(Operator::Add),
            '-' => Token::Operator(Operator::Subtract),
            '*' => Token::Operator(Operator::Multiply),
            '/' => Token::Operator(Operator::Divide),
            '%' => Token::Operator(Operator::Modulo),
            '^' => Token::Operator(Operator::Power),
            '<' if followed(self, '=') => Token::Operator(Operator::LessOrEqual),
            '<' if followed(self, '/') => Token::Operator(Operator::TrimUpper),
            '<' => Token::Operator(Operator::Less),
            '>' if followed(self, '=') => Token::Operator(Operator::GreaterOrEqual),
            '>' if followed(self, '/') => Token::Operator(Operator::TrimLower),
            '>' => Token::Operator(Operator::Greater),
            '=' if followed(self, '=') => Token::Operator(Operator::Equal),
            '=' if self.peek() == Some('~') => {
                return Err(format!("unexpected character after '=': {}", quoted_char(Some('~'))));
            }
            '!' if followed(self, '=') => Token::Operator(Operator::NotEqual),
            '!' => {
                let next = self.take();
                return Err(format!("unexpected character after '!': {}", quoted_char(next)));
            }
            '(' | ')' | '[' | ']' | '{' => return self.bracket(c),
            ',' | '=' | '@' => Token::Sign(c),
            c => return Err(format!("unexpected character: {}", quoted_char(Some(c)))),
        })
    }

    fn bracket(&mut self, c: char) -> Read {
        match c {
            '(' => self.parentheses += 1,
            ')' if self.parentheses == 0 => {
                // Prometheus has the place after it.
                self.start = self.at;
                return Err(format!("unexpected right parenthesis {}", quoted_char(Some(c))));
            }
            ')' => self.parentheses -= 1,
            '[' if self.place != Place::Statement => {
                return Err(format!("unexpected left bracket {}", quoted_char(Some(c))));
            }
            '[' => self.place = Place::Brackets { has_colon: false, has_duration: false },
            ']' if self.place == Place::Statement => {
                return Err(format!("unexpected right bracket {}", quoted_char(Some(c))));
            }
            ']' => self.place = Place::Statement,
            _ => self.place = Place::Braces,
        }
        Ok(Token::Sign(c))
    }

    fn colon(&mut self) -> Read {
        match &mut self.place {
            Place::Brackets { has_duration: false, .. } => {
                self.start = self.at;
                Err("unexpected colon before duration in duration expression".to_owned())
            }
            Place::Brackets { has_colon: true, .. } => {
                Err(format!("unexpected colon {}", quoted_char(Some(':'))))
            }
            Place::Brackets { has_colon, .. } => {
                *has_colon = true;
                Ok(Token::Sign(':'))
            }
            _ => Ok(Token::Sign(':')),
        }
    }

    /// A word inside of brackets: only those of formulas mean something.
    fn formula_word(&mut self, first: char) -> Read {
        while self.takes(|c| c.is_ascii_alphabetic() || c == '_') {}
        let keyword = Keyword::named(&self.text[self.start..self.at]).filter(|word| word.begins_formula());
        match (keyword, &mut self.place) {
            (Some(keyword), Place::Brackets { has_duration, .. }) => {
                *has_duration = true;
                Ok(Token::Keyword(keyword))
            }
            (_, Place::Brackets { has_duration: true, .. }) => {
                let c = quoted_char(Some(first));
                Err(format!("unexpected character: {c}, expected {}", quoted_char(Some(':'))))
            }
            _ => Err(format!("unexpected character in duration expression: {}", quoted_char(Some(first)))),
        }
    }

    fn in_braces(&mut self) -> Read {
        let Some(c) = self.take() else { return Err("unexpected end of input inside braces".to_owned()) };
        match c {
            c if is_name_start(c) => {
                while self.takes(is_name_part) {}
                Ok(Token::Identifier)
            }
            ',' => Ok(Token::Sign(',')),
            '"' | '\'' | '`' => self.quoted_text(c),
            '=' if self.takes(|c| c == '~') => Ok(Token::RegexMatch),
            '=' => Ok(Token::Sign('=')),
            '!' => match self.take() {
                Some('~') => Ok(Token::RegexMismatch),
                Some('=') => Ok(Token::Operator(Operator::NotEqual)),
                other => Err(format!("unexpected character after '!' inside braces: {}", quoted_char(other))),
            },
            '{' => Err(format!("unexpected left brace {}", quoted_char(Some(c)))),
            '}' => {
                self.place = Place::Statement;
                Ok(Token::Sign('}'))
            }
            c => Err(format!("unexpected character inside braces: {}", quoted_char(Some(c)))),
        }
    }

    fn word(&mut self) -> Token {
        while self.takes(|c| is_name_part(c) || c == ':') {}
        let word = &self.text[self.start..self.at];
        if let Some(token) = self.reserved(word) {
            return token;
        }
        if word.contains(':') { Token::MetricIdentifier } else { Token::Identifier }
    }

    fn reserved(&self, word: &str) -> Option<Token> {
        if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan") {
            return Some(Token::Number);
        }
        let keyword = Keyword::named(word).filter(|keyword| {
            // `fill` became a word late: it is a name unless it is called.
            let is_fill = matches!(keyword, Keyword::Fill | Keyword::FillLeft | Keyword::FillRight);
            !is_fill || self.text[self.at..].trim_start().starts_with('(')
        });
        let keyword = keyword.map(Token::Keyword);
        let aggregator = || Aggregator::named(word).map(Token::Aggregator);
        keyword.or_else(aggregator).or_else(|| Operator::named(word).map(Token::Operator))
    }

    /// A string: with escapes in quotes of either kind, without in backticks.
    fn quoted_text(&mut self, quote: char) -> Read {
        loop {
            match self.take() {
                Some('\\') if quote != '`' => {
                    self.take();
                }
                None if quote == '`' => return Err("unterminated raw string".to_owned()),
                None => return Err("unterminated quoted string".to_owned()),
                Some('\n') if quote != '`' => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
        }
        super::unquoted(&self.text[self.start..self.at])?;
        Ok(Token::Text)
    }

    fn number_or_duration(&mut self) -> Read {
        self.at = self.start;
        if let Place::Brackets { has_duration, .. } = &mut self.place {
            *has_duration = true;
        }
        let rest = &self.text[self.start..];
        let (length, token) = match numeral(rest) {
            Numeral::Number(length) => (length, Ok(Token::Number)),
            Numeral::Duration(length) => (length, Ok(Token::Duration)),
            Numeral::Neither(length) => {
                (length, Err(format!("bad number or duration syntax: {}", quoted(&rest[..length]))))
            }
        };
        self.at += length;
        token
    }
}

/// Letters of all languages, as newer Prometheus takes them.
pub(super) fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (!c.is_ascii() && c.is_alphabetic())
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit() || c == '.'
}
