//! `PREPARE name [(types)] AS question` and `EXECUTE name [(values)]`, as people and scripts type what drivers do by messages.
//!
//! Limits: what is prepared is a question, and values are constants. PostgreSQL prepares INSERT as well, which reads nothing, and
//! takes expressions.
//!
//! Source: PostgreSQL 16, "PREPARE", "EXECUTE".

use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::casts::postgres_type_of;
use super::misread::{Misread, misread};
use super::postgres_type::PostgresType;
use super::question::Question;
use super::words::Words;
use crate::error::QueryError;
use crate::text_guard::NESTING_MAX;

impl<'a> Words<'a> {
    /// What follows `PREPARE`: the name, the types of parameters, and the question.
    pub fn prepared(&mut self) -> Result<(String, Vec<Option<PostgresType>>, Question), Misread> {
        let name = self.name()?;
        let types = match self.parentheses()? {
            Some(tokens) => self.listed(tokens, Parser::parse_data_type)?,
            None => Vec::new(),
        };
        let parameters = types.iter().map(|spelled| {
            let unknown = || QueryError::Invalid(format!("type \"{spelled}\" does not exist"));
            postgres_type_of(spelled).map(Some).ok_or_else(unknown)
        });
        let parameters = parameters.collect::<Result<Vec<Option<PostgresType>>, _>>()?;
        self.expect("as")?;
        let question = Question::read(self.text, &self.tokens[self.next..], &parameters)?;
        self.next = self.tokens.len();
        Ok((name, parameters, question))
    }

    /// What follows `EXECUTE`: the name, and the texts of the values.
    pub fn executed(&mut self) -> Result<(String, Vec<Option<String>>), Misread> {
        let name = self.name()?;
        let given = match self.parentheses()? {
            Some(tokens) => self.listed(tokens, Parser::parse_expr)?,
            None => Vec::new(),
        };
        let values = given.iter().map(|expr| {
            let other = || QueryError::Refused(format!("values of EXECUTE are constants, {expr} is none"));
            constant(expr).ok_or_else(other)
        });
        Ok((name, values.collect::<Result<_, _>>()?))
    }

    /// What is between parentheses, if there are any.
    fn parentheses(&mut self) -> Result<Option<&'a [TokenWithSpan]>, Misread> {
        if !self.accept_token(&Token::LParen) {
            return Ok(None);
        }
        let (start, mut depth) = (self.next, 1_usize);
        while let Some(token) = self.peek() {
            depth = match token {
                Token::LParen => depth + 1,
                Token::RParen => depth - 1,
                _ => depth,
            };
            self.next += 1;
            if depth == 0 {
                return Ok(Some(&self.tokens[start..self.next - 1]));
            }
        }
        Err(self.wrong(")"))
    }

    /// What `parse` finds between commas, to the end of `tokens`.
    fn listed<T>(
        &self,
        tokens: &[TokenWithSpan],
        parse: fn(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> Result<Vec<T>, Misread> {
        let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(NESTING_MAX);
        let mut parser = parser.with_tokens_with_locations(tokens.to_vec());
        let listed = parser.parse_comma_separated(parse);
        let listed = listed.and_then(|listed| parser.expect_token(&Token::EOF).map(|_| listed));
        listed.map_err(|error| misread(self.text, &error))
    }
}

/// The text of a constant; within, none is null.
fn constant(expr: &Expr) -> Option<Option<String>> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Null => Some(None),
            Value::Boolean(is) => Some(Some(is.to_string())),
            Value::Number(number, _) => Some(Some(number.clone())),
            other => other.clone().into_string().map(Some),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
                Some(Some(format!("-{}", value.value)))
            }
            _ => None,
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => constant(expr),
        Expr::TypedString(typed) => typed.value.value.clone().into_string().map(Some),
        _ => None,
    }
}
