//! What stands between operators outside of braces: spansets, numbers of spansets, series.
//!
//! `>` and `<` say "child of" between spansets and compare numbers: which it is shows when both sides are known.

use super::combine::{binds, is_writable};
use super::{Mistake, Parsed, Parser};
use crate::cursor::Parse as _;
use crate::lex::Token;
use crate::tree::{Aggregate, Aggregation, Function, Scalar, Series, Spansets, Structure};
use crate::value::{Arithmetic, Comparison, Value};

pub(super) enum Item {
    Spans(Spansets),
    Scalar(Scalar),
    Series(Series),
}

impl Item {
    fn word(&self) -> &'static str {
        match self {
            Item::Spans(_) => "spans",
            Item::Scalar(_) => "a number",
            Item::Series(_) => "series",
        }
    }
}

/// How close logical, structural and comparing operators bind.
const LOGICAL_BINDS: u8 = 1;
const RELATION_BINDS: u8 = 2;

/// How close a sign binds to what it stands before.
const SIGN_BINDS: u8 = 5;

fn sign_binds(sign: &str) -> Option<u8> {
    if matches!(sign, "&&" | "||") {
        return Some(LOGICAL_BINDS);
    }
    if Structure::of_sign(sign).is_some() || Comparison::of_word(sign).is_some() {
        return Some(RELATION_BINDS);
    }
    Arithmetic::of_word(sign).map(binds)
}

impl Parser<'_> {
    /// Items and operators that bind at least that close.
    pub(super) fn item(&mut self, least: u8) -> Parsed<Item> {
        self.deeper(|parser| {
            let mut left = parser.single_item()?;
            while let Token::Sign(sign) = parser.peek() {
                let Some(binds) = sign_binds(sign).filter(|found| *found >= least) else { break };
                let at = parser.take().start;
                let right = parser.item(if sign == "^" { binds } else { binds + 1 })?;
                left = combine(sign, at, left, right)?;
            }
            Ok(left)
        })
    }

    fn single_item(&mut self) -> Parsed<Item> {
        let start = self.start();
        if self.takes("{") {
            return Ok(Item::Spans(Spansets::Filter(self.filter()?)));
        }
        if self.takes("(") {
            return self.parenthesis();
        }
        if self.takes("-") {
            if let Some(number) = self.negative_number()? {
                return Ok(Item::Scalar(Scalar::Literal(number)));
            }
            return match self.item(SIGN_BINDS)? {
                Item::Scalar(scalar) => Ok(Item::Scalar(negated(scalar))),
                Item::Series(series) => {
                    let sides = [Series::Number(-1.0), series].map(Box::new);
                    let [minus_one, series] = sides;
                    Ok(Item::Series(Series::Arithmetic(Arithmetic::Multiply, minus_one, series)))
                }
                Item::Spans(_) => Err(Mistake::new(start, "- takes numbers, and no spans")),
            };
        }
        if let Some(number) = self.number("")? {
            return Ok(Item::Scalar(Scalar::Literal(number)));
        }
        self.aggregate()
    }

    fn aggregate(&mut self) -> Parsed<Item> {
        let start = self.start();
        let Some(name) = self.function() else {
            return Err(match self.word() {
                Some(word) => {
                    Mistake::new(start, format!("unknown word {word}; a condition stands in braces"))
                }
                None => self.unexpected("{, ( or a function"),
            });
        };
        let Some(aggregation) = Aggregation::of_word(name) else {
            let message = match name {
                "topk" | "bottomk" => format!("{name}() ranks series, as in {{ }} | rate() | {name}(5)"),
                "by" | "coalesce" | "select" => format!("{name}() is a stage by itself, between |"),
                name if Function::is_word(name) => {
                    format!("{name}() makes series of spans, as in {{ }} | {name}()")
                }
                name => format!("unknown function {name}"),
            };
            return Err(Mistake::new(start, message));
        };
        self.take();
        self.take();
        let of = match aggregation {
            Aggregation::Count => None,
            _ => Some(self.measure(&format!("{name}()"))?),
        };
        self.expect(")")?;
        if self.word() == Some("by") {
            let message = format!("{name}() is of a spanset; by() before it makes one for each value");
            return Err(Mistake::new(self.start(), message));
        }
        Ok(Item::Scalar(Scalar::Aggregate(Aggregate { aggregation, of })))
    }
}

fn negated(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Literal(value) if is_writable(&value.negated()) => Scalar::Literal(value.negated()),
        other => Scalar::Negative(Box::new(other)),
    }
}

fn combine(sign: &str, at: usize, left: Item, right: Item) -> Parsed<Item> {
    let mistake = |message: String| Err(Mistake::new(at, message));
    let words = (left.word(), right.word());
    match (left, right) {
        (Item::Spans(left), Item::Spans(right)) => match combined_spans(sign, left, right) {
            Some(spansets) => Ok(Item::Spans(spansets)),
            None => mistake(format!("{sign} does not stand between spansets")),
        },
        (Item::Scalar(left), Item::Scalar(right)) => combined_scalars(sign, left, right).or_else(mistake),
        (Item::Spans(_), _) | (_, Item::Spans(_)) => {
            mistake(format!("{sign} stands between {} and {}", words.0, words.1))
        }
        (left, right) => combined_series(sign, left, right).map(Item::Series).or_else(mistake),
    }
}

fn combined_spans(sign: &str, left: Spansets, right: Spansets) -> Option<Spansets> {
    let [left, right] = [left, right].map(Box::new);
    match sign {
        "&&" => Some(Spansets::And(left, right)),
        "||" => Some(Spansets::Or(left, right)),
        sign => Structure::of_sign(sign).map(|structure| Spansets::Structure(structure, left, right)),
    }
}

fn combined_scalars(sign: &str, left: Scalar, right: Scalar) -> Result<Item, String> {
    if let Some(comparison) = Comparison::of_word(sign) {
        if left.is_constant() && right.is_constant() {
            return Err(format!("{left} {sign} {right} asks for nothing of any span"));
        }
        return Ok(Item::Spans(Spansets::Compare { comparison, left, right }));
    }
    let Some(operator) = Arithmetic::of_word(sign) else {
        return Err(format!("{sign} does not stand between numbers"));
    };
    if let (Scalar::Literal(a), Scalar::Literal(b)) = (&left, &right) {
        let result = operator.apply(a, b);
        if is_writable(&result) {
            return Ok(Item::Scalar(Scalar::Literal(result)));
        }
    }
    let [left, right] = [left, right].map(Box::new);
    Ok(Item::Scalar(Scalar::Arithmetic(operator, left, right)))
}

/// At least one side is series.
fn combined_series(sign: &str, left: Item, right: Item) -> Result<Series, String> {
    if let Some(comparison) = Comparison::of_word(sign) {
        return match (left, right) {
            (Item::Series(of), Item::Scalar(Scalar::Literal(limit))) => Ok(threshold(comparison, &limit, of)),
            (Item::Scalar(Scalar::Literal(limit)), Item::Series(of)) => {
                Ok(threshold(comparison.swapped(), &limit, of))
            }
            _ => Err("series are compared with a number only".to_owned()),
        };
    }
    match Arithmetic::of_word(sign) {
        Some(operator) if operator != Arithmetic::Remainder && operator != Arithmetic::Power => {
            let [left, right] = [operand(left)?, operand(right)?].map(Box::new);
            Ok(Series::Arithmetic(operator, left, right))
        }
        _ => Err(format!("{sign} does not stand between series; +, -, * and / do")),
    }
}

fn operand(item: Item) -> Result<Series, String> {
    match item {
        Item::Series(series) => Ok(series),
        Item::Scalar(Scalar::Literal(value)) => Ok(Series::Number(plain_number(&value))),
        _ => Err("series are computed with series and numbers only".to_owned()),
    }
}

pub(super) fn threshold(comparison: Comparison, limit: &Value<'_>, of: Series) -> Series {
    Series::Threshold { comparison, limit: plain_number(limit), of: Box::new(of) }
}

/// A number beside series, in which durations are seconds.
fn plain_number(value: &Value<'_>) -> f64 {
    const NANOS_PER_SECOND: f64 = 1e9;
    let number = value.number().unwrap_or_default();
    if matches!(value, Value::Duration(_)) { number / NANOS_PER_SECOND } else { number }
}
