//! A tree written as text: one line, each operator in its parentheses, so that nobody has to know which binds closer.

use std::fmt::{self, Display, Formatter, Result};

use super::{
    Aggregate, Attribute, Body, Expr, Field, Function, Intrinsic, OverTime, Pipeline, Query, Scalar, Scope,
    Series, Spansets, Stage,
};
use crate::lex::{Quoted, is_path_char};
use crate::value::{Arithmetic, Value};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.body {
            Body::Spans(pipeline) => pipeline.fmt(f)?,
            Body::Series(series) => series.fmt(f)?,
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        let hints: Vec<String> =
            self.hints.iter().map(|hint| format!("{} = {}", hint.name, hint.value)).collect();
        write!(f, " with ({})", hints.join(", "))
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_list(f, &self.stages, " | ")
    }
}

fn write_list<T: Display>(f: &mut Formatter<'_>, items: &[T], between: &str) -> Result {
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at > 0 { between } else { "" })?;
    }
    Ok(())
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Stage::Spansets(spansets) => spansets.fmt(f),
            Stage::By(expr) => write!(f, "by({expr})"),
            Stage::Coalesce => f.write_str("coalesce()"),
            Stage::Select(fields) => {
                f.write_str("select(")?;
                write_list(f, fields, ", ")?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Spansets {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Spansets::Filter(None) => f.write_str("{ }"),
            Spansets::Filter(Some(expr)) => write!(f, "{{ {expr} }}"),
            Spansets::Compare { comparison, left, right } => {
                write!(f, "({left} {} {right})", comparison.word())
            }
            Spansets::Pipeline(pipeline) => write!(f, "({pipeline})"),
            Spansets::And(left, right) => write!(f, "({left} && {right})"),
            Spansets::Or(left, right) => write!(f, "({left} || {right})"),
            Spansets::Structure(structure, left, right) => {
                write!(f, "({left} {}{} {right})", structure.prefix(), structure.relation.word())
            }
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Scalar::Literal(value) => value.fmt(f),
            Scalar::Aggregate(aggregate) => aggregate.fmt(f),
            Scalar::Pipeline(pipeline, scalar) => write!(f, "({pipeline} | {scalar})"),
            Scalar::Negative(inner) => write!(f, "-({inner})"),
            Scalar::Arithmetic(Arithmetic::Power, left, right) => match **left {
                Scalar::Literal(_) => write!(f, "(({left}) ^ {right})"),
                _ => write!(f, "({left} ^ {right})"),
            },
            Scalar::Arithmetic(operator, left, right) => write!(f, "({left} {} {right})", operator.word()),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.aggregation.word())?;
        if let Some(of) = &self.of {
            of.fmt(f)?;
        }
        f.write_str(")")
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::Literal(value) => value.fmt(f),
            Expr::Field(field) => field.fmt(f),
            Expr::Negative(inner) => write!(f, "-({inner})"),
            Expr::Not(inner) => write!(f, "!({inner})"),
            // A sign binds less close than a power.
            Expr::Arithmetic(Arithmetic::Power, left, right) => match **left {
                Expr::Literal(_) => write!(f, "(({left}) ^ {right})"),
                _ => write!(f, "({left} ^ {right})"),
            },
            Expr::Arithmetic(operator, left, right) => write!(f, "({left} {} {right})", operator.word()),
            Expr::Compare(comparison, left, right) => write!(f, "({left} {} {right})", comparison.word()),
            Expr::Matches { is_negated, operand, pattern } => {
                let sign = if *is_negated { "!~" } else { "=~" };
                write!(f, "({operand} {sign} {})", Quoted(pattern.text()))
            }
            Expr::Exists { is_negated, operand } => {
                write!(f, "({operand} {} nil)", if *is_negated { "=" } else { "!=" })
            }
            Expr::And(left, right) => write!(f, "({left} && {right})"),
            Expr::Or(left, right) => write!(f, "({left} || {right})"),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Field::Attribute(attribute) => attribute.fmt(f),
            Field::Intrinsic { intrinsic, of_parent } => {
                write!(f, "{}{}", if *of_parent { "parent." } else { "" }, intrinsic.word())
            }
        }
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let parent = if self.of_parent { "parent" } else { "" };
        let dot = if self.of_parent && self.scope != Scope::Any { "." } else { "" };
        write!(f, "{parent}{dot}{}.", self.scope.word())?;
        if self.is_plain() {
            return f.write_str(&self.key);
        }
        write!(f, "\"{}\"", self.key.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

impl Attribute {
    /// Whether its key reads back without quotes.
    fn is_plain(&self) -> bool {
        let first = self.key.chars().next();
        let is_number = first.is_none_or(|c| c.is_ascii_digit());
        // Behind `parent.` alone a key can look like an intrinsic or a scope.
        let is_bare_parent = self.of_parent && self.scope == Scope::Any;
        let first_part = self.key.split('.').next().unwrap_or_default();
        let looks_like_other = is_bare_parent
            && (Intrinsic::of_parent(&self.key).is_some() || Scope::of_word(first_part).is_some());
        let has_path_chars = self.key.chars().all(is_path_char);
        has_path_chars && !is_number && !looks_like_other && !self.key.ends_with('.') && first != Some('.')
    }
}

impl Display for Series {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Series::OverTime(over_time) => write!(f, "({over_time})"),
            Series::Ranked { is_top, count, of } => {
                write!(f, "({of} | {}({count}))", if *is_top { "topk" } else { "bottomk" })
            }
            Series::Threshold { comparison, limit, of } => {
                write!(f, "({of} {} {})", comparison.word(), Value::Float(*limit))
            }
            Series::Arithmetic(operator, left, right) => write!(f, "({left} {} {right})", operator.word()),
            Series::Number(number) => Value::Float(*number).fmt(f),
        }
    }
}

impl Display for OverTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {}", self.spans, self.function)?;
        if self.by.is_empty() {
            return Ok(());
        }
        f.write_str(" by (")?;
        write_list(f, &self.by, ", ")?;
        f.write_str(")")
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.word())?;
        match self {
            Function::Rate | Function::CountOverTime => {}
            Function::Over(_, expr) | Function::HistogramOverTime(expr) => expr.fmt(f)?,
            Function::QuantileOverTime(expr, quantiles) => {
                expr.fmt(f)?;
                for quantile in quantiles {
                    write!(f, ", {quantile}")?;
                }
            }
            Function::Compare { selection, values_max, within } => {
                Spansets::Filter(selection.clone()).fmt(f)?;
                write!(f, ", {values_max}")?;
                if let Some((start, end)) = within {
                    write!(f, ", {start}, {end}")?;
                }
            }
        }
        f.write_str(")")
    }
}
