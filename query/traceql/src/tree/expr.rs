//! Expressions over one span, as they stand in braces, `by()` and aggregates.

use super::field::Field;
use super::kind::Type;
use crate::pattern::Pattern;
use crate::value::{Arithmetic, Comparison, Value};

/// An expression over one span.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Literal(Value<'static>),
    Field(Field),
    Negative(Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `=~` and `!~`.
    Matches {
        is_negated: bool,
        operand: Box<Expr>,
        pattern: Pattern,
    },
    /// `!= nil` and `= nil`.
    Exists {
        is_negated: bool,
        operand: Box<Expr>,
    },
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

impl Expr {
    pub fn kind(&self) -> Type {
        match self {
            Expr::Literal(value) => match value {
                Value::Nil => Type::Nil,
                Value::Text(_) => Type::Text,
                Value::Integer(_) | Value::Float(_) => Type::Number,
                Value::Boolean(_) => Type::Boolean,
                Value::Duration(_) => Type::Duration,
                Value::Status(_) => Type::Status,
                Value::Kind(_) => Type::Kind,
                Value::List(_) => Type::Any,
            },
            Expr::Field(field) => field.kind(),
            Expr::Negative(inner) if inner.kind() == Type::Duration => Type::Duration,
            Expr::Negative(_) => Type::Number,
            Expr::Arithmetic(operator, left, right) => {
                let [left, right] = [left, right].map(|side| side.kind() == Type::Duration);
                if operator.gives_duration(left, right) { Type::Duration } else { Type::Number }
            }
            _ => Type::Boolean,
        }
    }

    /// Calls for each field in it.
    pub fn for_each_field<'e>(&'e self, visit: &mut dyn FnMut(&'e Field)) {
        match self {
            Expr::Literal(_) => {}
            Expr::Field(field) => visit(field),
            Expr::Negative(inner) | Expr::Not(inner) => inner.for_each_field(visit),
            Expr::Matches { operand, .. } | Expr::Exists { operand, .. } => operand.for_each_field(visit),
            Expr::Arithmetic(_, left, right)
            | Expr::Compare(_, left, right)
            | Expr::And(left, right)
            | Expr::Or(left, right) => {
                left.for_each_field(visit);
                right.for_each_field(visit);
            }
        }
    }

    /// Whether one of its fields is as asked.
    pub fn has_field(&self, is_wanted: impl Fn(&Field) -> bool) -> bool {
        let mut found = false;
        self.for_each_field(&mut |field| found |= is_wanted(field));
        found
    }
}
