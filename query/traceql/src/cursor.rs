//! A place among the tokens of a text, for parsers that are written by hand.
//!
//! What every such parser asks of its tokens is here once, and so are the bounds of what it builds: how deep, and what its
//! regular expressions take. A parser of a language derefs to its cursor and gains [`Parse`].

use std::ops::DerefMut;

use meshlake_schema::budget::Holding;
use meshlake_schema::go_regex::Unfit;

use crate::lex::{self, Dialect, Mistake, Placed, Token};

/// What is read, or the first mistake.
pub type Parsed<T> = Result<T, Mistake>;

/// A text's tokens, and which is next.
pub struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    depth_max: usize,
    /// What the expressions that were compiled take.
    held: Holding<'a>,
}

impl<'a> Cursor<'a> {
    /// Before the first token. What regular expressions take is added to `held`.
    ///
    /// # Errors
    /// Those of [`lex::tokens`].
    pub fn new(text: &'a str, dialect: &Dialect, held: Holding<'a>) -> Parsed<Cursor<'a>> {
        let tokens = lex::tokens(text, dialect)?;
        Ok(Cursor { text, tokens, at: 0, depth: 0, depth_max: dialect.depth_max, held })
    }

    /// The next token.
    pub fn placed(&self) -> Placed {
        self.placed_at(0)
    }

    /// The token that so many others stand before; the end behind the last.
    pub fn placed_at(&self, ahead: usize) -> Placed {
        self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    pub fn peek(&self) -> Token {
        self.placed().token
    }

    /// The token after the next.
    pub fn peek_second(&self) -> Token {
        self.placed_at(1).token
    }

    /// The tokens that come, the end too.
    pub fn rest(&self) -> impl Iterator<Item = Token> {
        self.tokens[self.at..].iter().map(|placed| placed.token)
    }

    /// Where the next token begins.
    pub fn start(&self) -> usize {
        self.placed().start
    }

    /// The text of a token.
    pub fn written(&self, placed: Placed) -> &'a str {
        &self.text[placed.start..placed.end]
    }

    /// Takes the next token; the last one, the end, stays.
    pub fn take(&mut self) -> Placed {
        let placed = self.placed();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        placed
    }

    /// Takes the sign if it is next.
    pub fn takes(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Sign(next) if next == sign);
        if is_next {
            self.take();
        }
        is_next
    }

    /// Takes the word if it is next.
    pub fn takes_word(&mut self, word: &str) -> bool {
        let is_next = self.word() == Some(word);
        if is_next {
            self.take();
        }
        is_next
    }

    /// Takes the sign.
    ///
    /// # Errors
    /// Another token is next.
    pub fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(sign)) }
    }

    /// The next word.
    pub fn word(&self) -> Option<&'a str> {
        (self.peek() == Token::Word).then(|| self.written(self.placed()))
    }

    /// The next word, if a parenthesis follows.
    pub fn function(&self) -> Option<&'a str> {
        self.word().filter(|_| self.peek_second() == Token::Sign("("))
    }

    /// The next token cannot stand here.
    pub fn unexpected(&self, expected: &str) -> Mistake {
        const SHOWN_MAX: usize = 30;
        let placed = self.placed();
        let mut found = self.written(placed).to_owned();
        if found.chars().count() > SHOWN_MAX {
            found = found.chars().take(SHOWN_MAX).collect::<String>() + "...";
        }
        let found = if placed.token == Token::End { "the end".to_owned() } else { found };
        Mistake::new(placed.start, format!("unexpected {found}, expected {expected}"))
    }

    /// What is made of a regular expression that stands at `at`.
    ///
    /// # Errors
    /// It is none, or those of the query take too much together.
    pub fn compiled<T>(
        &mut self,
        at: usize,
        compile: impl FnOnce(&mut Holding<'a>) -> Result<T, Unfit>,
    ) -> Parsed<T> {
        compile(&mut self.held).map_err(|unfit| {
            Mistake::new(
                at,
                match unfit {
                    Unfit::Wrong(message) => message,
                    Unfit::Spent(spent) => {
                        format!("the regular expressions of the query take too much: {spent}")
                    }
                },
            )
        })
    }
}

/// What a parser gains that derefs to its cursor.
pub trait Parse<'a>: DerefMut<Target = Cursor<'a>> + Sized {
    /// Reads what is one level deeper.
    ///
    /// # Errors
    /// Those of `read`, and that it is too deep.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == self.depth_max {
            let message = format!("a query is nested at most {} levels deep", self.depth_max);
            return Err(Mistake::new(self.start(), message));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads what stands between commas; at least one.
    ///
    /// # Errors
    /// Those of `read`.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.takes(",") {
            items.push(read(self)?);
        }
        Ok(items)
    }
}

impl<'a, P: DerefMut<Target = Cursor<'a>>> Parse<'a> for P {}
