//! The tokens of a statement, read from the front.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::misread::{Misread, position_of};
use super::postgres_type::PostgresType;
use crate::error::QueryError;

/// The tokens of a statement, read from the front.
pub struct Words<'a> {
    pub text: &'a str,
    pub tokens: &'a [TokenWithSpan],
    pub parameters: &'a [Option<PostgresType>],
    pub next: usize,
}

impl<'a> Words<'a> {
    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next).map(|token| &token.token)
    }

    /// The next token, if it is a word without quotes, in lower case.
    pub fn word(&mut self) -> Option<String> {
        let word = self.peek_word()?;
        self.next += 1;
        Some(word)
    }

    pub fn peek_word(&self) -> Option<String> {
        match self.peek()? {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_lowercase()),
            _ => None,
        }
    }

    pub fn accept(&mut self, word: &str) -> bool {
        let found = self.peek_word().is_some_and(|next| next == word);
        self.next += usize::from(found);
        found
    }

    pub fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    pub fn expect(&mut self, word: &str) -> Result<(), Misread> {
        if self.accept(word) { Ok(()) } else { Err(self.wrong(&word.to_ascii_uppercase())) }
    }

    /// A name, in lower case unless it has quotes.
    pub fn name(&mut self) -> Result<String, Misread> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.next += 1;
                let name = &word.value;
                Ok(if word.quote_style.is_some() { name.clone() } else { name.to_ascii_lowercase() })
            }
            _ => Err(self.wrong("a name")),
        }
    }

    pub fn name_or_all(&mut self) -> Result<Option<String>, Misread> {
        if self.accept("all") { Ok(None) } else { self.name().map(Some) }
    }

    pub fn at_end(&self) -> Result<(), Misread> {
        if self.next >= self.tokens.len() { Ok(()) } else { Err(self.wrong("the end of the statement")) }
    }

    pub fn wrong(&self, wanted: &str) -> Misread {
        let token = self.tokens.get(self.next);
        let found = token.map_or("the end".to_owned(), |token| token.token.to_string());
        let start = token.map(|token| token.span.start);
        let position = start.and_then(|start| position_of(self.text, start.line, start.column));
        let error = QueryError::Invalid(format!("SQL does not parse: expected {wanted}, found {found}"));
        Misread { error, position }
    }

    /// What a setting is set to: words, numbers and texts between commas.
    pub fn value(&mut self) -> Result<Option<String>, Misread> {
        if self.accept("default") || (self.tokens.len() == self.next + 1 && self.accept("local")) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        loop {
            let is_negative = self.accept_token(&Token::Minus);
            let part = match self.peek() {
                Some(Token::Word(word)) => word.value.clone(),
                Some(Token::Number(number, _)) => number.clone(),
                Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => text.clone(),
                _ => return Err(self.wrong("a value")),
            };
            self.next += 1;
            parts.push(if is_negative { format!("-{part}") } else { part });
            if !self.accept_token(&Token::Comma) {
                return Ok(Some(parts.join(", ")));
            }
        }
    }
}
