//! Lengths of time: durations, and formulas of them that know the question's step and range.

use super::token::{Keyword, Token};
use super::{Mistake, Parsed, Parser};
use crate::tree::{Formula, Length, Number, Operator, Span};

/// Seconds that a length may have: 2^63 ns, about 292 years, which Prometheus can hold.
const SECONDS_END: f64 = 9_223_372_036.854_775;

impl Parser<'_, '_, '_> {
    /// A length in brackets; a plain one has to be positive.
    pub(super) fn length(&mut self, is_positive: bool) -> Parsed<Length> {
        let start = self.span().start;
        let formula = self.formula(0)?;
        self.length_of(formula, start, is_positive)
    }

    /// The length after `offset`: outside of parentheses no operator belongs to it, as `a offset 5m ^ 2` is
    /// `(a offset 5m) ^ 2`, but for those right after a parenthesis.
    pub(super) fn offset_length(&mut self) -> Parsed<Length> {
        let start = self.span().start;
        let mut is_negative = false;
        while let Token::Operator(sign @ (Operator::Add | Operator::Subtract)) = self.peek()? {
            is_negative ^= sign == Operator::Subtract;
            self.take();
        }
        let formula = self.term()?;
        self.length_of(if is_negative { negative(formula) } else { formula }, start, false)
    }

    fn length_of(&self, formula: Formula, start: usize, is_positive: bool) -> Parsed<Length> {
        let Formula::Seconds(Number { value, .. }) = formula else {
            return Ok(Length::Formula(Span { start, end: self.last_end() }, formula));
        };
        if value.is_nan() || value.abs() > SECONDS_END {
            return Err(Mistake::new(start, "duration out of range"));
        }
        if is_positive && value <= 0.0 {
            return Err(Mistake::new(start, "duration must be greater than 0"));
        }
        Ok(Length::Milliseconds(milliseconds(value)))
    }

    /// A formula whose operators bind at least as close as `least`.
    fn formula(&mut self, least: u8) -> Parsed<Formula> {
        let mut left = match self.peek()? {
            Token::Operator(sign @ (Operator::Add | Operator::Subtract)) => {
                self.take();
                let operand = self.deeper(|parser| parser.formula(3))?;
                if sign == Operator::Subtract { negative(operand) } else { operand }
            }
            _ => self.term()?,
        };
        while let Token::Operator(operator) = self.peek()? {
            let closeness = match operator {
                Operator::Add | Operator::Subtract => 1,
                Operator::Multiply | Operator::Divide | Operator::Modulo => 2,
                Operator::Power => 3,
                _ => break,
            };
            if closeness < least {
                break;
            }
            let operator_at = self.take().start;
            let next = if operator == Operator::Power { closeness } else { closeness + 1 };
            let right = self.deeper(|parser| parser.formula(next))?;
            let is_zero = matches!(right, Formula::Seconds(Number { value: 0.0, .. }));
            match operator {
                Operator::Divide if is_zero => return Err(Mistake::new(operator_at, "division by zero")),
                Operator::Modulo if is_zero => return Err(Mistake::new(operator_at, "modulo by zero")),
                _ => left = Formula::Binary(operator, Box::new(left), Box::new(right)),
            }
        }
        Ok(left)
    }

    fn term(&mut self) -> Parsed<Formula> {
        match self.peek()? {
            Token::Number | Token::Duration => Ok(Formula::Seconds(self.number()?)),
            Token::Sign('(') => {
                self.take();
                let inner = self.deeper(|parser| parser.formula(0))?;
                self.sign(')')?;
                Ok(Formula::Parenthesis(Box::new(inner)))
            }
            Token::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.take();
                self.sign('(')?;
                self.sign(')')?;
                Ok(if keyword == Keyword::Step { Formula::Step } else { Formula::Range })
            }
            Token::Keyword(keyword @ (Keyword::MinOf | Keyword::MaxOf)) => {
                self.take();
                self.sign('(')?;
                let first = Box::new(self.deeper(|parser| parser.formula(0))?);
                self.sign(',')?;
                let second = Box::new(self.deeper(|parser| parser.formula(0))?);
                self.sign(')')?;
                Ok(if keyword == Keyword::MinOf {
                    Formula::Least(first, second)
                } else {
                    Formula::Greatest(first, second)
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn sign(&mut self, sign: char) -> Parsed<()> {
        if self.takes(Token::Sign(sign))? { Ok(()) } else { Err(self.unexpected()) }
    }
}

fn negative(formula: Formula) -> Formula {
    match formula {
        Formula::Seconds(number) => Formula::Seconds(Number { value: -number.value, ..number }),
        other => Formula::Negative(Box::new(other)),
    }
}

/// Whole milliseconds of seconds that were rounded to nanoseconds.
fn milliseconds(seconds: f64) -> i64 {
    const NANOSECONDS_EACH: i64 = 1_000_000;
    (seconds * 1e9).round() as i64 / NANOSECONDS_EACH
}

/// The seconds of a duration: units from the largest to the smallest, each at most once.
pub(super) fn seconds(word: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 7] = [
        ("y", 31_536_000.0),
        ("w", 604_800.0),
        ("d", 86_400.0),
        ("h", 3_600.0),
        ("m", 60.0),
        ("s", 1.0),
        ("ms", 1e-3),
    ];
    let invalid = || format!("not a valid duration string: {}", crate::text::quoted(word));
    let mut rest = word;
    let mut units = UNITS.iter();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            let [unit, word] = [unit, word].map(crate::text::quoted);
            return Err(format!("unknown unit {unit} in duration {word}"));
        }
        let (_, length) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let count = number.parse::<u64>().map_err(|_| invalid())? as f64;
        total += count * length;
        rest = after;
    }
    if total > SECONDS_END { Err("duration out of range".to_owned()) } else { Ok(total) }
}
