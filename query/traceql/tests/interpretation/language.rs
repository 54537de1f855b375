//! Queries made by chance, as a tree of the test's own, and their text.

use std::fmt::{self, Display, Formatter};

use crate::data::{Dice, KEYS, Plain, TEXTS};

#[derive(Debug, Clone)]
pub enum Expr {
    Value(Plain),
    Field(String),
    Minus(Box<Expr>),
    /// Arithmetic, comparisons, `&&` and `||`, by their signs.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// By the pattern.
    Matches(bool, Box<Expr>, &'static str),
    Not(Box<Expr>),
}

#[derive(Debug, Clone)]
pub enum Set {
    Filter(Option<Expr>),
    Compare(&'static str, Number, Number),
    Pipeline(Vec<Stage>),
    Binary(&'static str, Box<Set>, Box<Set>),
}

#[derive(Debug, Clone)]
pub enum Number {
    Value(Plain),
    Count,
    Of(&'static str, Expr),
    Binary(&'static str, Box<Number>, Box<Number>),
    Left(Vec<Stage>, Box<Number>),
}

#[derive(Debug, Clone)]
pub enum Stage {
    Set(Set),
    By(Expr),
    Coalesce,
    Select(Vec<String>),
}

pub const PATTERNS: [&str; 4] = ["x", "x|y", "x.*", ".*"];
pub const STRUCTURE: [&str; 15] =
    [">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~"];
const ORDERS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];
const SCOPES: [&str; 8] =
    ["", "span", "resource", "event", "link", "instrumentation", "parent", "parent.resource"];
const TEXT_FIELDS: [&str; 10] = [
    "name",
    "statusMessage",
    "span:id",
    "span:parentID",
    "rootName",
    "rootServiceName",
    "event:name",
    "link:spanID",
    "instrumentation:name",
    "parent.name",
];
const NUMBER_FIELDS: [&str; 5] =
    ["childCount", "nestedSetParent", "nestedSetLeft", "nestedSetRight", "parent.childCount"];
const DURATION_FIELDS: [&str; 4] = ["duration", "traceDuration", "event:timeSinceStart", "parent.duration"];

fn attribute(dice: &mut Dice) -> Expr {
    Expr::Field(format!("{}.{}", dice.pick(&SCOPES), dice.pick(&KEYS)))
}

fn field(dice: &mut Dice, names: &[&str]) -> Expr {
    Expr::Field(dice.pick(names).to_owned())
}

pub fn number(dice: &mut Dice, depth: usize) -> Expr {
    match dice.below(if depth == 0 { 6 } else { 9 }) {
        0 => Expr::Value(Plain::Int(dice.below(5) as i64 - 2)),
        1 => Expr::Value(Plain::Nanos(500 * dice.below(6) as i64)),
        2 => Expr::Value(Plain::Float(dice.below(5) as f64 / 2.0)),
        3 => attribute(dice),
        4 => field(dice, &NUMBER_FIELDS),
        5 => field(dice, &DURATION_FIELDS),
        6 => Expr::Minus(Box::new(number(dice, depth - 1))),
        _ => {
            let sides = [number(dice, depth - 1), number(dice, depth - 1)].map(Box::new);
            let [left, right] = sides;
            Expr::Binary(dice.pick(&["+", "-", "*", "/", "%"]), left, right)
        }
    }
}

fn text(dice: &mut Dice) -> Expr {
    match dice.below(3) {
        0 => Expr::Value(Plain::Text(dice.pick(&TEXTS).to_owned())),
        1 => attribute(dice),
        _ => field(dice, &TEXT_FIELDS),
    }
}

fn binary(sign: &'static str, left: Expr, right: Expr) -> Expr {
    Expr::Binary(sign, Box::new(left), Box::new(right))
}

pub fn condition(dice: &mut Dice, depth: usize) -> Expr {
    let equality = ["=", "!="];
    match dice.below(if depth == 0 { 9 } else { 13 }) {
        0 | 1 => binary(dice.pick(&ORDERS), text(dice), text(dice)),
        2 | 3 => binary(dice.pick(&ORDERS), number(dice, 1), number(dice, 1)),
        4 => binary(
            dice.pick(&equality),
            Expr::Field("status".to_owned()),
            Expr::Value(Plain::Status(dice.below(3) as i64)),
        ),
        5 => binary(
            dice.pick(&equality),
            Expr::Field("kind".to_owned()),
            Expr::Value(Plain::Kind(dice.below(6) as i64)),
        ),
        6 => {
            let operand = if dice.one_in(2) { attribute(dice) } else { field(dice, &TEXT_FIELDS) };
            let operand = if dice.one_in(4) { number(dice, 0) } else { operand };
            binary(dice.pick(&equality), operand, Expr::Value(Plain::Nil))
        }
        7 => Expr::Matches(dice.one_in(2), Box::new(text(dice)), dice.pick(&PATTERNS)),
        8 => attribute(dice),
        9 => Expr::Not(Box::new(condition(dice, depth - 1))),
        10 => binary("&&", condition(dice, depth - 1), condition(dice, depth - 1)),
        _ => binary("||", condition(dice, depth - 1), condition(dice, depth - 1)),
    }
}

pub fn set(dice: &mut Dice, depth: usize) -> Set {
    match dice.below(if depth == 0 { 4 } else { 12 }) {
        0 => Set::Filter(None),
        1..4 => Set::Filter(Some(condition(dice, 2))),
        4 => compare(dice, depth - 1),
        5 => Set::Pipeline(stages(dice, depth - 1)),
        6 | 7 => {
            let sign = dice.pick(&["&&", "||"]);
            Set::Binary(sign, Box::new(set(dice, depth - 1)), Box::new(set(dice, depth - 1)))
        }
        _ => {
            let sign = dice.pick(&STRUCTURE);
            Set::Binary(sign, Box::new(set(dice, depth - 1)), Box::new(set(dice, depth - 1)))
        }
    }
}

fn compare(dice: &mut Dice, depth: usize) -> Set {
    let limit = match dice.below(3) {
        0 => Number::Value(Plain::Int(dice.below(6) as i64)),
        1 => Number::Value(Plain::Nanos(1_000 * dice.below(4) as i64)),
        _ => whole_number(dice, depth),
    };
    let sides = (whole_number(dice, depth), limit);
    Set::Compare(dice.pick(&ORDERS), sides.0, sides.1)
}

fn whole_number(dice: &mut Dice, depth: usize) -> Number {
    match dice.below(if depth == 0 { 4 } else { 6 }) {
        0 | 1 => Number::Count,
        2 | 3 => {
            let of = if dice.one_in(2) { attribute(dice) } else { field(dice, &DURATION_FIELDS) };
            Number::Of(dice.pick(&["min", "max", "avg", "sum"]), of)
        }
        4 => {
            let sides = [whole_number(dice, depth - 1), whole_number(dice, depth - 1)].map(Box::new);
            let [left, right] = sides;
            Number::Binary(dice.pick(&["+", "-", "*"]), left, right)
        }
        _ => Number::Left(stages(dice, depth - 1), Box::new(whole_number(dice, 0))),
    }
}

pub fn stages(dice: &mut Dice, depth: usize) -> Vec<Stage> {
    let count = 1 + dice.below(3);
    (0..count)
        .map(|_| match dice.below(10) {
            0 | 1 => {
                let names = ["name", "status", "kind", "rootName", "duration", "event:name"];
                let by = if dice.one_in(2) { attribute(dice) } else { field(dice, &names) };
                Stage::By(if dice.one_in(5) { binary("=", by, attribute(dice)) } else { by })
            }
            2 => Stage::Coalesce,
            3 => Stage::Select(vec![attribute(dice).to_string()]),
            4 => Stage::Set(compare(dice, depth)),
            _ => Stage::Set(set(dice, depth)),
        })
        .collect()
}

impl Display for Plain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Plain::Nil => f.write_str("nil"),
            Plain::Text(text) => write!(f, "\"{text}\""),
            Plain::Int(value) => write!(f, "{value}"),
            Plain::Float(value) => write!(f, "{value:.1}"),
            Plain::Bool(value) => write!(f, "{value}"),
            Plain::Nanos(value) => write!(f, "{value}ns"),
            Plain::Status(code) => f.write_str(["unset", "ok", "error"][*code as usize]),
            Plain::Kind(code) => f.write_str(
                ["unspecified", "internal", "server", "client", "producer", "consumer"][*code as usize],
            ),
            Plain::List(_) => unreachable!("a list is not written"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Value(value) => write!(f, "{value}"),
            Expr::Field(field) => f.write_str(field),
            Expr::Minus(inner) => write!(f, "-({inner})"),
            Expr::Binary(sign, left, right) => write!(f, "({left} {sign} {right})"),
            Expr::Matches(is_negated, operand, pattern) => {
                write!(f, "({operand} {} \"{pattern}\")", if *is_negated { "!~" } else { "=~" })
            }
            Expr::Not(inner) => write!(f, "!({inner})"),
        }
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Set::Filter(None) => f.write_str("{}"),
            Set::Filter(Some(expr)) => write!(f, "{{{expr}}}"),
            Set::Compare(sign, left, right) => write!(f, "({left} {sign} {right})"),
            Set::Pipeline(stages) => write!(f, "({})", text_of(stages)),
            Set::Binary(sign, left, right) => write!(f, "({left} {sign} {right})"),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Number::Value(value) => write!(f, "{value}"),
            Number::Count => f.write_str("count()"),
            Number::Of(name, expr) => write!(f, "{name}({expr})"),
            Number::Binary(sign, left, right) => write!(f, "({left} {sign} {right})"),
            Number::Left(stages, number) => write!(f, "({} | {number})", text_of(stages)),
        }
    }
}

pub fn text_of(stages: &[Stage]) -> String {
    let stage = |stage: &Stage| match stage {
        Stage::Set(set) => set.to_string(),
        Stage::By(expr) => format!("by({expr})"),
        Stage::Coalesce => "coalesce()".to_owned(),
        Stage::Select(fields) => format!("select({})", fields.join(", ")),
    };
    stages.iter().map(stage).collect::<Vec<_>>().join(" | ")
}
