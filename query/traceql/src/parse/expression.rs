//! Expressions over one span.

use super::combine::{Operator, Read, combine, condition, negated, negation};
use super::names::field_of;
use super::{Mistake, Parsed, Parser};
use crate::cursor::Parse as _;
use crate::lex::{Placed, Token, duration, unquoted};
use crate::tree::{Expr, Field, Intrinsic};
use crate::value::{Kind, Status, Value};

/// How close a sign binds to what it stands before: closer than all but a power.
const SIGN_BINDS: u8 = 5;

impl Parser<'_> {
    /// An expression of operators that bind at least that close.
    pub(super) fn expression(&mut self, least: u8) -> Parsed<Read> {
        self.deeper(|parser| {
            let mut left = parser.operand()?;
            while let Token::Sign(sign) = parser.peek() {
                let Some(operator) = Operator::of_sign(sign).filter(|found| found.binds() >= least) else {
                    break;
                };
                let at = parser.take().start;
                let right = parser.expression(operator.right_side())?;
                left = combine(parser, operator, at, left, right)?;
            }
            Ok(left)
        })
    }

    /// What stands in the braces of a filter, behind the opening one.
    pub(super) fn filter(&mut self) -> Parsed<Option<Expr>> {
        if self.takes("}") {
            return Ok(None);
        }
        let read = condition(self.expression(0)?, "a filter")?;
        self.expect("}")?;
        Ok(Some(read.expr))
    }

    /// An expression that is a number of each span.
    pub(super) fn measure(&mut self, of_what: &str) -> Parsed<Expr> {
        let read = self.expression(0)?;
        let kind = read.expr.kind();
        if !kind.is_numeric() {
            let message = format!("{of_what} takes numbers, and {} is {}", read.expr, kind.word());
            return Err(Mistake::new(read.at, message));
        }
        self.of_spans(read, of_what)
    }

    /// An expression that is not the same for all spans.
    pub(super) fn of_spans(&self, read: Read, of_what: &str) -> Parsed<Expr> {
        if read.expr.has_field(|_| true) {
            return Ok(read.expr);
        }
        let message = format!("{of_what} asks for something of each span, and {} is none", read.expr);
        Err(Mistake::new(read.at, message))
    }

    /// A field by itself.
    pub(super) fn field(&mut self) -> Parsed<Field> {
        let read = self.expression(0)?;
        match read.expr {
            Expr::Field(field) => Ok(field),
            other => {
                let message = format!("{other} is no attribute or intrinsic");
                Err(Mistake::new(read.at, message))
            }
        }
    }

    fn operand(&mut self) -> Parsed<Read> {
        let at = self.start();
        if self.takes("(") {
            let inner = self.expression(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.takes("!") {
            let operand = condition(self.expression(SIGN_BINDS)?, "!")?;
            return Ok(Read { expr: negation(operand.expr), at });
        }
        if self.takes("-") {
            if let Some(number) = self.negative_number()? {
                return Ok(Read { expr: Expr::Literal(number), at });
            }
            return negated(self.expression(SIGN_BINDS)?, at);
        }
        let expr = match self.peek() {
            Token::Path => {
                let placed = self.take();
                Expr::Field(field_of(self.written(placed), placed)?)
            }
            Token::Word => self.named()?,
            _ => match self.literal()? {
                Some(value) => Expr::Literal(value),
                None => return Err(self.unexpected("an attribute, an intrinsic or a value")),
            },
        };
        Ok(Read { expr, at })
    }

    /// A word that is a value or an intrinsic.
    fn named(&mut self) -> Parsed<Expr> {
        let placed = self.take();
        let word = self.written(placed);
        let value = match word {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            "nil" => Some(Value::Nil),
            "minInt" => Some(Value::Integer(i64::MIN)),
            "maxInt" => Some(Value::Integer(i64::MAX)),
            word => Status::of_word(word).map(Value::Status).or_else(|| Kind::of_word(word).map(Value::Kind)),
        };
        let intrinsic = || Intrinsic::named(word).map(|found| Expr::Field(Field::intrinsic(found)));
        value.map(Expr::Literal).or_else(intrinsic).ok_or_else(|| {
            let message = match word.split_once(':') {
                Some((scope, _)) => format!("{word} is no intrinsic of {scope}"),
                None => format!(
                    "unknown word {word}; an attribute is written .{word}, span.{word} or resource.{word}"
                ),
            };
            Mistake::new(placed.start, message)
        })
    }

    /// A text, number or duration.
    pub(super) fn literal(&mut self) -> Parsed<Option<Value<'static>>> {
        let placed = self.placed();
        let written = self.written(placed);
        if placed.token != Token::Text {
            return self.number("");
        }
        self.take();
        let text = unquoted(written).map_err(|message| Mistake::new(placed.start, message))?;
        Ok(Some(Value::Text(text.into())))
    }

    /// A number right behind a minus, unless the sign belongs to a power: -9223372036854775808 has no positive.
    pub(super) fn negative_number(&mut self) -> Parsed<Option<Value<'static>>> {
        if self.peek_second() == Token::Sign("^") { Ok(None) } else { self.number("-") }
    }

    /// A number or duration, if one comes next.
    pub(super) fn number(&mut self, sign: &str) -> Parsed<Option<Value<'static>>> {
        let placed = self.placed();
        let value = number_of(placed, sign, self.written(placed));
        let Some(value) = value else { return Ok(None) };
        self.take();
        let value = value.ok_or_else(|| {
            Mistake::new(placed.start, format!("{sign}{} is too large", self.written(placed)))
        })?;
        Ok(Some(value))
    }
}

/// The value of a number; none of what is none, and none inside for one that is too large.
fn number_of(placed: Placed, sign: &str, written: &str) -> Option<Option<Value<'static>>> {
    let signed = || format!("{sign}{written}");
    Some(match placed.token {
        Token::Integer => signed().parse().ok().map(Value::Integer),
        Token::Float => signed().parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float),
        Token::Duration => {
            duration(written).map(|nanos| Value::Duration(if sign.is_empty() { nanos } else { -nanos }))
        }
        _ => return None,
    })
}
