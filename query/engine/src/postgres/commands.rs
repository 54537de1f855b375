//! What the text of a client of PostgreSQL asks for, statement by statement.
//!
//! Such clients send more than questions: they open transactions, change settings, declare cursors, copy. Those few
//! forms are read here from the tokens, by hand: `sqlparser` knows half of them, and of those half their options. All
//! else is a question, and goes the way of every question.
//!
//! Source: PostgreSQL 16, "SQL Commands".

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::copy_format::{CopyFormat, copy_format};
use super::misread::{Misread, position_of};
use super::postgres_type::PostgresType;
use super::question::Question;
use super::words::Words;
use crate::error::QueryError;
use crate::planning::on_big_stack;
use crate::text_guard::{TEXT_BYTES_MAX, at_most, check_tokens};

/// Statements of one text. Clients send a handful at once; guess, not measured.
const STATEMENTS_MAX: usize = 100;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Rows are asked for, or something that only an engine can refuse.
    Rows(Question),
    /// `SET`; without a value, the default comes back.
    Set {
        name: String,
        value: Option<String>,
        /// Until the transaction ends.
        is_local: bool,
    },
    /// `SET TRANSACTION`, `SET SESSION CHARACTERISTICS`: we have one kind of transaction.
    SetTransaction,
    Show(String),
    /// All settings, without a name.
    Reset(Option<String>),
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Release,
    RollbackTo,
    Discard,
    Declare {
        name: String,
        /// Values in the binary format.
        is_binary: bool,
        /// Lives on when its transaction ends.
        is_held: bool,
        question: Question,
    },
    Fetch {
        cursor: String,
        /// All, without a number.
        rows: Option<u64>,
        /// `MOVE`: the rows are only counted.
        is_move: bool,
    },
    /// Every cursor, without a name.
    Close(Option<String>),
    /// `COPY ... TO STDOUT`.
    Copy {
        question: Question,
        format: CopyFormat,
    },
    /// `PREPARE`, with the types that it gives to `$1`, `$2` and so on.
    Prepare {
        name: String,
        parameters: Vec<Option<PostgresType>>,
        question: Question,
    },
    /// `EXECUTE`, with the texts of its values.
    Execute {
        name: String,
        values: Vec<Option<String>>,
    },
    /// Every prepared statement, without a name.
    Deallocate(Option<String>),
    /// `UNLISTEN`: there is nothing to listen to.
    Unlisten,
}

/// The statements of `sql`; none of an empty text. `parameters` are the types that the client gives to `$1`, `$2` and
/// so on, as far as it does.
///
/// # Errors
/// [`QueryError::Refused`] for what is over the bounds of a statement, or for more than 100 of them;
/// [`QueryError::Invalid`] for text that is no statement.
pub async fn read(sql: &str, parameters: Vec<Option<PostgresType>>) -> Result<Vec<Command>, Misread> {
    at_most(sql.len(), TEXT_BYTES_MAX, "bytes")?;
    let tokens =
        Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().map_err(|error| Misread {
            position: position_of(sql, error.location.line, error.location.column),
            error: QueryError::Invalid(format!("SQL does not parse: {error}")),
        })?;
    let mut statements: Vec<Vec<TokenWithSpan>> = vec![Vec::new()];
    for token in tokens {
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => statements.push(Vec::new()),
            _ => statements.last_mut().expect("there is always one").push(token),
        }
    }
    statements.retain(|tokens| !tokens.is_empty());
    at_most(statements.len(), STATEMENTS_MAX, "statements")?;
    for tokens in &statements {
        check_tokens(tokens.iter().map(|token| &token.token))?;
    }
    let text = sql.to_owned();
    // The parser recurses.
    let read = on_big_stack(async move {
        Ok(statements.iter().map(|tokens| command(&text, tokens, &parameters)).collect::<Result<Vec<_>, _>>())
    });
    read.await?
}

fn command(
    text: &str,
    tokens: &[TokenWithSpan],
    parameters: &[Option<PostgresType>],
) -> Result<Command, Misread> {
    let mut words = Words { text, tokens, parameters, next: 0 };
    let first = words.word().unwrap_or_default();
    let command = match first.as_str() {
        "set" => words.set()?,
        "show" if !words.shows_tables() => Command::Show(words.setting_name()?),
        "reset" if words.accept("all") => Command::Reset(None),
        "reset" => Command::Reset(Some(words.setting_name()?)),
        "begin" | "start" => words.ending(Command::Begin),
        "commit" | "end" => words.ending(Command::Commit),
        "rollback" | "abort" => words.rollback(),
        "savepoint" => words.ending(Command::Savepoint),
        "release" => words.ending(Command::Release),
        "discard" => words.ending(Command::Discard),
        "declare" => words.declare()?,
        "fetch" => words.fetch(false)?,
        "move" => words.fetch(true)?,
        "close" => Command::Close(words.name_or_all()?),
        "copy" => words.copy()?,
        "prepare" => {
            let (name, parameters, question) = words.prepared()?;
            Command::Prepare { name, parameters, question }
        }
        "execute" => {
            let (name, values) = words.executed()?;
            Command::Execute { name, values }
        }
        "deallocate" => {
            words.accept("prepare");
            Command::Deallocate(words.name_or_all()?)
        }
        "unlisten" => words.ending(Command::Unlisten),
        // The parser knows it, and passes over what follows.
        "table" => {
            let all = ["SELECT", "*", "FROM"].map(|word| match word {
                "*" => TokenWithSpan::wrap(Token::Mul),
                keyword => TokenWithSpan::wrap(Token::make_keyword(keyword)),
            });
            let tokens = [&all, &tokens[1..]].concat();
            return Ok(Command::Rows(Question::read(text, &tokens, parameters)?));
        }
        _ => return Ok(Command::Rows(Question::read(text, tokens, parameters)?)),
    };
    words.at_end()?;
    Ok(command)
}

impl Words<'_> {
    /// A setting's name, with its dots; the long forms of a few.
    fn setting_name(&mut self) -> Result<String, Misread> {
        if self.accept("time") {
            self.expect("zone")?;
            return Ok("timezone".to_owned());
        }
        if self.accept("transaction") {
            self.expect("isolation")?;
            self.expect("level")?;
            return Ok("transaction_isolation".to_owned());
        }
        if self.accept("session") {
            self.expect("authorization")?;
            return Ok("session_authorization".to_owned());
        }
        let mut name = self.name()?;
        while self.accept_token(&Token::Period) {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name.to_ascii_lowercase())
    }

    /// `command`, whatever else its statement says: its options mean nothing here.
    fn ending(&mut self, command: Command) -> Command {
        self.next = self.tokens.len();
        command
    }

    /// `SHOW TABLES`, `SHOW COLUMNS FROM`: questions of our own.
    fn shows_tables(&self) -> bool {
        let shown = self.peek_word().unwrap_or_default();
        matches!(shown.as_str(), "tables" | "columns" | "functions") && self.tokens.len() >= 2
    }

    fn set(&mut self) -> Result<Command, Misread> {
        let is_local = self.accept("local");
        if !is_local && self.accept("session") && self.accept("characteristics") {
            return Ok(self.ending(Command::SetTransaction));
        }
        if self.accept("transaction") {
            return Ok(self.ending(Command::SetTransaction));
        }
        if self.accept("names") {
            return Ok(Command::Set { name: "client_encoding".to_owned(), value: self.value()?, is_local });
        }
        let is_zone = self.peek_word().is_some_and(|word| word == "time");
        let name = self.setting_name()?;
        if !is_zone && !self.accept("to") && !self.accept_token(&Token::Eq) {
            return Err(self.wrong("TO or ="));
        }
        Ok(Command::Set { name, value: self.value()?, is_local })
    }

    fn rollback(&mut self) -> Command {
        let is_partial = self.tokens.iter().any(|token| is_keyword(&token.token, Keyword::TO));
        self.ending(if is_partial { Command::RollbackTo } else { Command::Rollback })
    }

    fn declare(&mut self) -> Result<Command, Misread> {
        let name = self.name()?;
        let is_binary = self.accept("binary");
        while self.accept("insensitive") || self.accept("asensitive") || self.accept("no") {}
        if self.accept("scroll") && !is_keyword(&self.tokens[self.next - 2].token, Keyword::NO) {
            return Err(QueryError::Refused("cursors go forward only: NO SCROLL".to_owned()).into());
        }
        self.expect("cursor")?;
        let is_held = self.accept("with");
        if is_held || self.accept("without") {
            self.expect("hold")?;
        }
        self.expect("for")?;
        let question = Question::read(self.text, &self.tokens[self.next..], self.parameters)?;
        self.next = self.tokens.len();
        Ok(Command::Declare { name, is_binary, is_held, question })
    }

    fn fetch(&mut self, is_move: bool) -> Result<Command, Misread> {
        let rows = if self.accept("next") {
            Some(1)
        } else if self.accept("all") {
            None
        } else if self.accept("forward") {
            if self.accept("all") { None } else { Some(self.count()?.unwrap_or(1)) }
        } else if ["prior", "first", "last", "absolute", "relative", "backward"]
            .iter()
            .any(|word| self.accept(word))
        {
            return Err(QueryError::Refused("cursors go forward only".to_owned()).into());
        } else {
            Some(self.count()?.unwrap_or(1))
        };
        if !self.accept("from") {
            self.accept("in");
        }
        Ok(Command::Fetch { cursor: self.name()?, rows, is_move })
    }

    fn count(&mut self) -> Result<Option<u64>, Misread> {
        match self.peek() {
            Some(Token::Number(number, _)) => {
                let rows = number.parse().map_err(|_| self.wrong("a number of rows"))?;
                self.next += 1;
                Ok(Some(rows))
            }
            Some(Token::Minus) => Err(QueryError::Refused("cursors go forward only".to_owned()).into()),
            _ => Ok(None),
        }
    }

    /// `COPY (question) TO STDOUT`, `COPY table [(columns)] TO STDOUT`, with options of both spellings.
    fn copy(&mut self) -> Result<Command, Misread> {
        let is_to = |token: &TokenWithSpan| is_keyword(&token.token, Keyword::TO);
        let end = self.tokens.iter().rposition(is_to);
        let Some(to) = end.filter(|to| *to > self.next) else {
            return Err(
                QueryError::Refused("read-only: only COPY ... TO STDOUT is allowed".to_owned()).into()
            );
        };
        let source = &self.tokens[self.next..to];
        let (first, last) = (&source[0].token, &source[source.len() - 1].token);
        let question = match (first, last) {
            (Token::LParen, Token::RParen) => {
                Question::read(self.text, &source[1..source.len() - 1], self.parameters)?
            }
            _ => Question::of_table(source)?,
        };
        self.next = to + 1;
        if !self.accept("stdout") {
            return Err(
                QueryError::Refused("read-only: only COPY ... TO STDOUT is allowed".to_owned()).into()
            );
        }
        Ok(Command::Copy { question, format: copy_format(self)? })
    }
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}
