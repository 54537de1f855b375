//! A query as a whole, with its hints.

use super::pipeline::Whole;
use super::{Mistake, Parsed, Parser};
use crate::lex::Token;
use crate::tree::{Body, Hint, Query};
use crate::value::Value;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Parsed<Query> {
        if self.peek() == Token::End {
            return Err(Mistake::new(0, "the query is empty; { } selects all spans"));
        }
        let start = self.start();
        let body = match self.pipeline()? {
            Whole::Spans(pipeline) => Body::Spans(pipeline),
            Whole::Series(series) => Body::Series(series),
            Whole::Scalar(..) => {
                let message = "a number of a spanset has to be compared, as in count() > 2";
                return Err(Mistake::new(start, message));
            }
        };
        let hints = if self.word() == Some("with") { self.hints()? } else { Vec::new() };
        if self.peek() != Token::End {
            return Err(self.unexpected("an operator, | or the end"));
        }
        Ok(Query { body, hints })
    }

    fn hints(&mut self) -> Parsed<Vec<Hint>> {
        self.take();
        self.expect("(")?;
        self.enclosed(|parser| {
            let Some(name) = parser.word() else { return Err(parser.unexpected("the name of a hint")) };
            parser.take();
            parser.expect("=")?;
            let value = match parser.word() {
                Some(word @ ("true" | "false")) => {
                    parser.take();
                    Some(Value::Boolean(word == "true"))
                }
                _ if parser.takes("-") => parser.number("-")?,
                _ => parser.literal()?,
            };
            let value =
                value.ok_or_else(|| parser.unexpected("true, false, a number, a duration or a text"))?;
            Ok(Hint { name: name.to_owned(), value })
        })
    }
}
