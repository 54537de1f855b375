//! What an operator makes of the expressions beside it, and which it cannot stand between.

use super::names::whole_id;
use super::{Mistake, Parsed};
use crate::cursor::Cursor;
use crate::pattern::Pattern;
use crate::tree::{Expr, Field, Type};
use crate::value::{Arithmetic, Comparison, Value};

/// An expression and where it begins.
pub(super) struct Read {
    pub expr: Expr,
    pub at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    And,
    Or,
    Compare(Comparison),
    Matches { is_negated: bool },
    Arithmetic(Arithmetic),
}

impl Operator {
    pub(super) fn of_sign(sign: &str) -> Option<Operator> {
        match sign {
            "&&" => Some(Operator::And),
            "||" => Some(Operator::Or),
            "=~" => Some(Operator::Matches { is_negated: false }),
            "!~" => Some(Operator::Matches { is_negated: true }),
            sign => Comparison::of_word(sign)
                .map(Operator::Compare)
                .or_else(|| Arithmetic::of_word(sign).map(Operator::Arithmetic)),
        }
    }

    pub(super) fn binds(self) -> u8 {
        match self {
            Operator::And | Operator::Or => 1,
            Operator::Compare(_) | Operator::Matches { .. } => 2,
            Operator::Arithmetic(operator) => binds(operator),
        }
    }

    /// How close operators of its right side bind at least.
    pub(super) fn right_side(self) -> u8 {
        if self == Operator::Arithmetic(Arithmetic::Power) { self.binds() } else { self.binds() + 1 }
    }
}

/// How close arithmetic binds, among expressions and among aggregates.
pub(super) fn binds(operator: Arithmetic) -> u8 {
    match operator {
        Arithmetic::Add | Arithmetic::Subtract => 3,
        Arithmetic::Multiply | Arithmetic::Divide | Arithmetic::Remainder => 4,
        Arithmetic::Power => 5,
    }
}

/// The expression of an operator, which stands at `at`, and its sides; `cursor` is behind them.
pub(super) fn combine(
    cursor: &mut Cursor<'_>,
    operator: Operator,
    at: usize,
    left: Read,
    right: Read,
) -> Parsed<Read> {
    let start = left.at;
    let expr = match operator {
        Operator::And | Operator::Or => {
            let word = if operator == Operator::And { "&&" } else { "||" };
            let [left, right] = [condition(left, word)?, condition(right, word)?];
            let [left, right] = [left, right].map(|side| Box::new(side.expr));
            if operator == Operator::And { Expr::And(left, right) } else { Expr::Or(left, right) }
        }
        Operator::Compare(comparison) => compared(comparison, left, right)?,
        Operator::Matches { is_negated } => matched(cursor, is_negated, at, left, right)?,
        Operator::Arithmetic(operator) => {
            let [left, right] = [numeric(left, operator.word())?, numeric(right, operator.word())?];
            computed(operator, left, right)
        }
    };
    Ok(Read { expr, at: start })
}

/// What can be true: an attribute by itself is, if it is the value true.
pub(super) fn condition(read: Read, of_what: &str) -> Parsed<Read> {
    let is_attribute = matches!(read.expr, Expr::Field(Field::Attribute(_)));
    let kind = read.expr.kind();
    if is_attribute || kind == Type::Boolean {
        return Ok(read);
    }
    let message = format!("{of_what} takes conditions, and {} is {}", read.expr, kind.word());
    Err(Mistake::new(read.at, message))
}

fn numeric(read: Read, of_what: &str) -> Parsed<Expr> {
    let kind = read.expr.kind();
    if kind.is_numeric() {
        return Ok(read.expr);
    }
    let message = format!("{of_what} takes numbers, and {} is {}", read.expr, kind.word());
    Err(Mistake::new(read.at, message))
}

pub(super) fn negation(operand: Expr) -> Expr {
    match operand {
        Expr::Literal(Value::Boolean(value)) => Expr::Literal(Value::Boolean(!value)),
        other => Expr::Not(Box::new(other)),
    }
}

pub(super) fn negated(operand: Read, at: usize) -> Parsed<Read> {
    let operand = numeric(operand, "-")?;
    let expr = match &operand {
        Expr::Literal(value) => folded(value.negated()),
        _ => None,
    };
    Ok(Read { expr: expr.unwrap_or_else(|| Expr::Negative(Box::new(operand))), at })
}

/// The literal of a result that can be written.
fn folded(result: Value<'static>) -> Option<Expr> {
    is_writable(&result).then_some(Expr::Literal(result))
}

pub(super) fn is_writable(number: &Value<'_>) -> bool {
    match number {
        Value::Integer(_) => true,
        Value::Float(value) => value.is_finite(),
        Value::Duration(nanos) => *nanos != i64::MIN,
        _ => false,
    }
}

fn computed(operator: Arithmetic, left: Expr, right: Expr) -> Expr {
    let result = match (&left, &right) {
        (Expr::Literal(a), Expr::Literal(b)) => folded(operator.apply(a, b)),
        _ => None,
    };
    result.unwrap_or_else(|| Expr::Arithmetic(operator, Box::new(left), Box::new(right)))
}

fn compared(comparison: Comparison, left: Read, right: Read) -> Parsed<Expr> {
    check_comparison(comparison, &left, &right)?;
    let is_nil = |read: &Read| read.expr.kind() == Type::Nil;
    if is_nil(&left) || is_nil(&right) {
        let is_negated = comparison == Comparison::Equal;
        let operand = if is_nil(&right) { left.expr } else { right.expr };
        return Ok(match operand {
            Expr::Literal(value) => Expr::Literal(Value::Boolean((value == Value::Nil) == is_negated)),
            operand => Expr::Exists { is_negated, operand: Box::new(operand) },
        });
    }
    let (mut left, mut right) = (left.expr, right.expr);
    if let (Expr::Literal(a), Expr::Literal(b)) = (&left, &right) {
        return Ok(Expr::Literal(Value::Boolean(comparison.holds(a, b))));
    }
    complete_id(&left, &mut right);
    complete_id(&right, &mut left);
    Ok(Expr::Compare(comparison, Box::new(left), Box::new(right)))
}

fn check_comparison(comparison: Comparison, left: &Read, right: &Read) -> Parsed<()> {
    let is_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let [a, b] = [left, right].map(|side| side.expr.kind());
    let knows_order = |kind: Type| kind.is_numeric() || kind == Type::Text;
    for (side, kind) in [(left, a), (right, b)] {
        if !is_equality && !knows_order(kind) {
            let message = format!("{} is {} and compared with = and != only", side.expr, kind.word());
            return Err(Mistake::new(side.at, message));
        }
    }
    let is_open = [a, b].iter().any(|kind| matches!(kind, Type::Any | Type::Nil));
    if is_open || a == b || a.is_numeric() && b.is_numeric() {
        return Ok(());
    }
    let message = format!("{} is {} and never compared with {}", left.expr, a.word(), b.word());
    Err(Mistake::new(right.at, message))
}

/// Leading zeros of an id count for nothing, and neither does the case of its digits.
fn complete_id(field: &Expr, literal: &mut Expr) {
    let Expr::Field(Field::Intrinsic { intrinsic, .. }) = field else { return };
    let Some(digits) = intrinsic.id_digits() else { return };
    if let Expr::Literal(Value::Text(id)) = literal
        && let Some(whole) = whole_id(id, digits)
    {
        *id = whole.into();
    }
}

fn matched(cursor: &mut Cursor<'_>, is_negated: bool, at: usize, left: Read, right: Read) -> Parsed<Expr> {
    let sign = if is_negated { "!~" } else { "=~" };
    let kind = left.expr.kind();
    if !matches!(kind, Type::Any | Type::Text) {
        let message = format!("{sign} takes texts, and {} is {}", left.expr, kind.word());
        return Err(Mistake::new(left.at, message));
    }
    let Expr::Literal(Value::Text(text)) = right.expr else {
        let message = format!("{sign} takes a regular expression in quotes behind it");
        return Err(Mistake::new(if right.at > at { right.at } else { at }, message));
    };
    let pattern = cursor.compiled(right.at, |held| Pattern::within(text.into_owned(), held))?;
    if let Expr::Literal(Value::Text(text)) = &left.expr {
        return Ok(Expr::Literal(Value::Boolean(pattern.is_match(text) != is_negated)));
    }
    Ok(Expr::Matches { is_negated, operand: Box::new(left.expr), pattern })
}
