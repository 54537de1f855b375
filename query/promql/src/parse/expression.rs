//! Expressions: operators by precedence, and what they stand between.
//!
//! A chain of operators is read in a loop, not by recursion, so its length costs no stack here. Brackets, `offset`
//! and `@` belong to the operand right before them and bind closer than any operator.

use super::selector::begins_expression;
use super::token::{Keyword, Token};
use super::{Mistake, Parsed, Parser, unquoted};
use crate::tree::{Aggregation, Aggregator, Binary, Expr, Function, Node, Number, Operator, Sign, Span};

/// How close an operator binds; the power alone groups from the right.
fn precedence(operator: Operator) -> u8 {
    use Operator::{Add, And, Atan2, Divide, Modulo, Multiply, Or, Power, Subtract, Unless};
    match operator {
        Or => 1,
        And | Unless => 2,
        Add | Subtract => 4,
        Multiply | Divide | Modulo | Atan2 => 5,
        Power => 6,
        _ => 3,
    }
}

/// What a sign applies to: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`.
const AFTER_SIGN: u8 = 6;

impl Parser<'_, '_, '_> {
    /// An expression whose operators bind at least as close as `least`.
    pub(super) fn expression(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.operand()?;
        while let Token::Operator(operator) = self.peek()? {
            let closeness = precedence(operator);
            if closeness < least {
                break;
            }
            let operator_at = self.take().start;
            let (returns_bool, matching) = self.binary_modifiers()?;
            let least_right = if operator == Operator::Power { closeness } else { closeness + 1 };
            let right = if operator == Operator::Power {
                self.deeper(|parser| parser.expression(least_right))?
            } else {
                self.expression(least_right)?
            };
            let span = Span { start: left.span.start, end: right.span.end };
            let binary = Binary { operator, operator_at, left, right, returns_bool, matching };
            left = Expr { span, node: Node::Binary(Box::new(binary)) };
        }
        Ok(left)
    }

    /// A sign, or a primary with its brackets and modifiers.
    fn operand(&mut self) -> Parsed<Expr> {
        let sign = match self.peek()? {
            Token::Operator(Operator::Add) => Sign::Plus,
            Token::Operator(Operator::Subtract) => Sign::Minus,
            _ => {
                let primary = self.primary()?;
                return self.with_modifiers(primary);
            }
        };
        let start = self.take().start;
        let operand = self.deeper(|parser| parser.expression(AFTER_SIGN))?;
        let span = Span { start, end: operand.span.end };
        let node = match operand.node {
            Node::Number(number) if sign == Sign::Minus => {
                Node::Number(Number { value: -number.value, ..number })
            }
            Node::Number(number) => Node::Number(number),
            _ => Node::Sign(sign, Box::new(operand)),
        };
        Ok(Expr { span, node })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek()?;
        let is_called = self.peek_second() == Some(Token::Sign('('));
        match token {
            Token::Number | Token::Duration => {
                let span = self.span();
                Ok(Expr { span, node: Node::Number(self.number()?) })
            }
            Token::Text => {
                let span = self.take();
                let text = unquoted(self.word(span)).map_err(|error| Mistake::new(span.start, error))?;
                Ok(Expr { span, node: Node::Text(text) })
            }
            Token::Sign('(') => self.parenthesis(),
            Token::Aggregator(aggregator) if self.begins_aggregation() => {
                self.inside(("aggregation", ""), |parser| parser.aggregation(aggregator))
            }
            Token::Identifier if is_called => self.call(),
            Token::Keyword(keyword) if is_called && names_function(keyword) => self.call(),
            _ => self.selector(),
        }
    }

    fn parenthesis(&mut self) -> Parsed<Expr> {
        let start = self.take().start;
        let inner = self.deeper(|parser| parser.expression(0))?;
        if !self.takes(Token::Sign(')'))? {
            return Err(self.unexpected());
        }
        let span = Span { start, end: self.last_end() };
        Ok(Expr { span, node: Node::Parenthesis(Box::new(inner)) })
    }

    fn call(&mut self) -> Parsed<Expr> {
        let name = self.take();
        let arguments = self.arguments()?;
        let word = self.word(name);
        let function = Function::named(word).or_else(|| {
            Function::named(&word.to_ascii_lowercase()).filter(|_| {
                // Only words of the language are the same in all cases.
                Keyword::named(word).is_some()
            })
        });
        let unknown =
            || Mistake::new(name.start, format!("unknown function with name {}", crate::text::quoted(word)));
        let function = function.ok_or_else(unknown)?;
        let span = Span { start: name.start, end: self.last_end() };
        Ok(Expr { span, node: Node::Call(function, arguments) })
    }

    /// What stands in parentheses after a name.
    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        if !self.takes(Token::Sign('('))? {
            return Err(self.unexpected());
        }
        let mut arguments = Vec::new();
        if self.takes(Token::Sign(')'))? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.deeper(|parser| parser.expression(0))?);
            let comma = self.span().start;
            if self.takes(Token::Sign(','))? {
                if !begins_expression(self.peek()?) {
                    return Err(Mistake::new(comma, "trailing commas not allowed in function call args"));
                }
            } else if self.takes(Token::Sign(')'))? {
                return Ok(arguments);
            } else {
                return Err(self.unexpected());
            }
        }
    }

    /// The name of an aggregator is one of a metric as well, unless this follows.
    fn begins_aggregation(&self) -> bool {
        let by = [Keyword::By, Keyword::Without].map(|word| Some(Token::Keyword(word)));
        let next = self.peek_second();
        next == Some(Token::Sign('(')) || by.contains(&next)
    }

    fn aggregation(&mut self, aggregator: Aggregator) -> Parsed<Expr> {
        let start = self.take().start;
        let mut modifier = self.aggregation_modifier()?;
        let mut arguments = self.arguments()?;
        let end = self.last_end();
        if modifier.is_none() {
            modifier = self.aggregation_modifier()?;
        }
        let (without, grouping) = modifier.unwrap_or_default();
        if arguments.is_empty() {
            return Err(Mistake::new(start, "no arguments for aggregate expression provided"));
        }
        let wanted = 1 + usize::from(aggregator.parameter().is_some());
        if arguments.len() != wanted {
            let got = arguments.len();
            let text = "wrong number of arguments for aggregate expression provided";
            return Err(Mistake::new(start, format!("{text}, expected {wanted}, got {got}")));
        }
        let operand = arguments.pop().ok_or_else(|| Mistake::new(start, "no operand"))?;
        let parameter = arguments.pop();
        let aggregation = Aggregation { aggregator, grouping, without, parameter, operand };
        let span = Span { start, end: end.max(self.last_end()) };
        Ok(Expr { span, node: Node::Aggregation(Box::new(aggregation)) })
    }

    /// `by (..)` or `without (..)`.
    fn aggregation_modifier(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = match self.peek()? {
            Token::Keyword(Keyword::By) => false,
            Token::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.take();
        Ok(Some((without, self.label_names()?)))
    }

    /// A number, or the seconds of a duration.
    pub(super) fn number(&mut self) -> Parsed<Number> {
        let is_duration = self.peek()? == Token::Duration;
        let span = self.take();
        let word = self.word(span);
        let value = if is_duration { super::formula::seconds(word) } else { number(word) };
        let value = value.map_err(|error| Mistake::new(span.start, error))?;
        Ok(Number { value, is_duration })
    }
}

fn names_function(keyword: Keyword) -> bool {
    use Keyword::{End, MaxOf, MinOf, Range, Start, Step};
    matches!(keyword, Start | End | Step | Range | MinOf | MaxOf)
}

/// A number as Go reads it: integers in bases 8 and 16 by their prefix, `_` between digits.
fn number(word: &str) -> Result<f64, String> {
    let digits = word.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let is_octal =
        lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let integer = if let Some(hexadecimal) = lower.strip_prefix("0x") {
        Some(i64::from_str_radix(hexadecimal, 16))
    } else if is_octal {
        Some(i64::from_str_radix(&lower, 8))
    } else {
        None
    };
    let syntax = || {
        format!(
            "error parsing number: strconv.ParseFloat: parsing {}: invalid syntax",
            crate::text::quoted(word)
        )
    };
    match integer {
        // To the nearest float, as a conversion does.
        Some(value) => value.map(|value| value as f64).map_err(|_| syntax()),
        None => match lower.parse() {
            Ok(value) if f64::is_infinite(value) && lower.contains(|c: char| c.is_ascii_digit()) => {
                let text = crate::text::quoted(word);
                Err(format!("error parsing number: strconv.ParseFloat: parsing {text}: value out of range"))
            }
            value => value.map_err(|_| syntax()),
        },
    }
}
