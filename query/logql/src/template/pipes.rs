//! What stands in braces into pipes: commands, and the terms that they are made of.

use super::functions::Function;
use super::tree::{Command, Pipe, Term};
use super::value::Value;
use meshlake_traceql::lex::unquoted;

/// `if`, `with`, `range` and parentheses inside one another.
pub const DEPTH_MAX: usize = 32;

/// Reads one action.
pub struct Pipes<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Those that are there.
    variables: &'t [String],
}

impl<'t> Pipes<'t> {
    pub fn new(text: &'t str, variables: &'t [String]) -> Self {
        Pipes { text, at: 0, depth: 0, variables }
    }

    /// All of it as a pipe.
    ///
    /// # Errors
    /// What is wrong.
    pub fn whole(mut self) -> Result<Pipe, String> {
        let pipe = self.pipe()?;
        self.end()?;
        Ok(pipe)
    }

    /// The name in quotes that it goes on with.
    ///
    /// # Errors
    /// When there is none.
    pub fn name(&mut self, clause: &str) -> Result<String, String> {
        self.space();
        match self.rest().chars().next() {
            Some(quote @ ('"' | '`')) => self.text(quote),
            _ => Err(format!("unexpected {:?} in {clause} clause", self.rest())),
        }
    }

    /// What is left as a pipe, if anything is.
    ///
    /// # Errors
    /// What is wrong.
    pub fn behind(mut self) -> Result<Option<Pipe>, String> {
        self.space();
        if self.rest().is_empty() { Ok(None) } else { self.whole().map(Some) }
    }

    /// # Errors
    /// When anything is left.
    pub fn end(&mut self) -> Result<(), String> {
        self.space();
        if self.rest().is_empty() { Ok(()) } else { Err(format!("unexpected {:?}", self.rest())) }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn pipe(&mut self) -> Result<Pipe, String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let mut commands = vec![self.command()?];
        while self.rest().starts_with('|') {
            self.at += 1;
            commands.push(self.command()?);
        }
        self.depth -= 1;
        Ok(Pipe(commands))
    }

    /// Up to a bar, a closing parenthesis or the end.
    fn command(&mut self) -> Result<Command, String> {
        let mut terms = Vec::new();
        loop {
            self.space();
            if self.rest().is_empty() || self.rest().starts_with(['|', ')']) {
                break;
            }
            terms.push(self.term()?);
        }
        match terms.first() {
            None => Err("missing value for command".to_owned()),
            Some(Term::Call(function)) => {
                let function = Some(*function);
                terms.remove(0);
                Ok(Command { function, terms })
            }
            Some(_) if terms.len() > 1 => Err("can't give argument to non-function".to_owned()),
            Some(_) => Ok(Command { function: None, terms }),
        }
    }

    fn term(&mut self) -> Result<Term, String> {
        let rest = self.rest();
        let first = rest.chars().next().ok_or("missing value")?;
        match first {
            '"' | '`' => self.text(first).map(|text| Term::Literal(Value::Text(text))),
            '\'' => self.character_term(),
            '(' => {
                self.at += 1;
                let pipe = self.pipe()?;
                if !self.rest().starts_with(')') {
                    return Err("unclosed left paren".to_owned());
                }
                self.at += 1;
                Ok(Term::Pipe(pipe, self.fields()?))
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                if !rest[1..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                    self.at += 1;
                    return Ok(Term::Dot(Vec::new()));
                }
                self.fields().map(Term::Dot)
            }
            '$' => {
                self.at += 1;
                let name = self.word();
                if !name.is_empty() && self.variables.iter().all(|known| known != name) {
                    return Err(format!("undefined variable \"${name}\""));
                }
                Ok(Term::Variable(name.to_owned(), self.fields()?))
            }
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number_term(),
            c if c.is_alphabetic() || c == '_' => {
                let name = self.word();
                Ok(match name {
                    "true" => Term::Literal(Value::Boolean(true)),
                    "false" => Term::Literal(Value::Boolean(false)),
                    "nil" => Term::Literal(Value::Nil),
                    name => {
                        Term::Call(Function::named(name).ok_or(format!("function {name:?} not defined"))?)
                    }
                })
            }
            c => Err(format!("unexpected {c:?} in command")),
        }
    }

    fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn fields(&mut self) -> Result<Vec<String>, String> {
        let mut fields = Vec::new();
        while self.rest().starts_with('.') {
            self.at += 1;
            let name = self.word();
            if name.is_empty() {
                return Err("a field's name is missing behind the dot".to_owned());
            }
            fields.push(name.to_owned());
        }
        Ok(fields)
    }

    fn text(&mut self, quote: char) -> Result<String, String> {
        let rest = self.rest();
        let mut is_escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if c == quote && !is_escaped {
                self.at += at + 1;
                return unquoted(&rest[..=at]);
            }
            is_escaped = c == '\\' && quote == '"' && !is_escaped;
        }
        Err("unterminated quoted string".to_owned())
    }

    fn number_term(&mut self) -> Result<Term, String> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += word.len();
        let plain = word.replace('_', "");
        let number = integer(&plain).map(Value::Integer).or_else(|| plain.parse().ok().map(Value::Float));
        number.map(Term::Literal).ok_or_else(|| format!("bad number syntax: {word:?}"))
    }

    /// A character stands for its code.
    fn character_term(&mut self) -> Result<Term, String> {
        let rest = self.rest();
        let inner = &rest[1..];
        let skipped = if inner.starts_with('\\') { 2 } else { 1 };
        let end = inner.char_indices().skip(skipped).find(|(_, c)| *c == '\'').map(|(at, _)| at);
        let end = end.ok_or("unterminated character constant")?;
        self.at += end + 2;
        let text = match &inner[..end] {
            "\\'" => "'".to_owned(),
            "\"" => "\"".to_owned(),
            inner => unquoted(&format!("\"{inner}\""))?,
        };
        match text.chars().collect::<Vec<_>>().as_slice() {
            [c] => Ok(Term::Literal(Value::Integer(i64::from(u32::from(*c))))),
            _ => Err(format!("malformed character constant: {:?}", &rest[..end + 2])),
        }
    }
}

/// A whole number as Go writes them: with a sign, in base 2, 8, 10 or 16.
fn integer(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word.strip_prefix('+').unwrap_or(word)),
    };
    let prefixes = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)];
    let prefixed = prefixes.into_iter().find_map(|(prefix, base)| Some((digits.strip_prefix(prefix)?, base)));
    let octal = || digits.strip_prefix('0').filter(|digits| !digits.is_empty()).map(|digits| (digits, 8));
    let (digits, base) = prefixed.or_else(octal).unwrap_or((digits, 10));
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}
