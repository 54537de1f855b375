//! A tree written as text, as Prometheus writes it: one line, with spaces as it sets them.
//!
//! What is written reads back as the same tree; matchers come sorted, a default matching is left out.

use std::fmt::{self, Display, Formatter, Result};

use super::{
    Aggregation, At, Binary, Cardinality, Edges, Expr, Formula, Length, Matching, Node, Number, Selector,
    Sign, Subquery,
};
use crate::labels::METRIC_NAME;
use crate::matcher::Comparison;
use crate::text;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.node {
            Node::Number(number) => number.fmt(f),
            Node::Text(value) => f.write_str(&text::quoted(value)),
            Node::Selector(selector) => selector.fmt(f),
            Node::Range(selector, range) => {
                write_matchers(f, selector)?;
                write!(f, "[{range}]{}", edges(selector.edges))?;
                write_time(f, selector.at, &selector.offset)
            }
            Node::Subquery(subquery) => subquery.fmt(f),
            Node::Call(function, arguments) => {
                f.write_str(function.name)?;
                f.write_str("(")?;
                for (at, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Node::Aggregation(aggregation) => aggregation.fmt(f),
            Node::Binary(binary) => binary.fmt(f),
            Node::Sign(Sign::Plus, operand) => write!(f, "+{operand}"),
            Node::Sign(Sign::Minus, operand) => write!(f, "-{operand}"),
            Node::Parenthesis(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.is_duration {
            return f.write_str(&text::plain(self.value));
        }
        let sign = if self.value < 0.0 { "-" } else { "" };
        write!(f, "{sign}{}", text::duration((self.value.abs() * 1e3) as i64))
    }
}

impl Display for Length {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Length::Milliseconds(length) if *length < 0 => write!(f, "-{}", text::duration(-length)),
            Length::Milliseconds(length) => f.write_str(&text::duration(*length)),
            Length::Formula(_, formula) => formula.fmt(f),
        }
    }
}

impl Display for Formula {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Formula::Seconds(number) => number.fmt(f),
            Formula::Step => f.write_str("step()"),
            Formula::Range => f.write_str("range()"),
            Formula::Least(a, b) => write!(f, "min_of({a}, {b})"),
            Formula::Greatest(a, b) => write!(f, "max_of({a}, {b})"),
            Formula::Negative(a) => write!(f, "-{a}"),
            Formula::Binary(operator, a, b) => write!(f, "{a} {} {b}", operator.text()),
            Formula::Parenthesis(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_matchers(f, self)?;
        write_at(f, self.at)?;
        f.write_str(edges(self.edges))?;
        write_offset(f, &self.offset)
    }
}

fn write_matchers(f: &mut Formatter<'_>, selector: &Selector) -> Result {
    let name = selector.name.as_deref().unwrap_or_default();
    f.write_str(name)?;
    let is_name = |matcher: &&crate::matcher::Matcher| {
        matcher.name == METRIC_NAME
            && matcher.comparison == Comparison::Equal
            && matcher.value == name
            && !name.is_empty()
    };
    let others = selector.matchers.iter().filter(|matcher| !is_name(matcher));
    let mut others: Vec<String> = others.map(ToString::to_string).collect();
    others.sort();
    if others.is_empty() {
        return if name.is_empty() { f.write_str("{}") } else { Ok(()) };
    }
    write!(f, "{{{}}}", others.join(","))
}

fn edges(edges: Option<Edges>) -> &'static str {
    match edges {
        None => "",
        Some(Edges::Anchored) => " anchored",
        Some(Edges::Smoothed) => " smoothed",
    }
}

fn write_time(f: &mut Formatter<'_>, at: Option<At>, offset: &Length) -> Result {
    write_at(f, at)?;
    write_offset(f, offset)
}

fn write_at(f: &mut Formatter<'_>, at: Option<At>) -> Result {
    match at {
        None => Ok(()),
        Some(At::Time(time)) => write!(f, " @ {:.3}", time as f64 / 1e3),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: &Length) -> Result {
    if *offset == Length::ZERO { Ok(()) } else { write!(f, " offset {offset}") }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}[{}:", self.operand, self.range)?;
        if let Some(step) = &self.step {
            step.fmt(f)?;
        }
        f.write_str("]")?;
        write_time(f, self.at, &self.offset)
    }
}

impl Display for Aggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.head())?;
        if let Some(parameter) = &self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{})", self.operand)
    }
}

impl Aggregation {
    /// What stands before the parenthesis.
    pub(super) fn head(&self) -> String {
        let aggregator = self.aggregator.text();
        if self.without {
            format!("{aggregator} without ({}) ", label_list(&self.grouping))
        } else if self.grouping.is_empty() {
            aggregator.to_owned()
        } else {
            format!("{aggregator} by ({}) ", label_list(&self.grouping))
        }
    }
}

fn label_list(labels: &[String]) -> String {
    let quoted = labels
        .iter()
        .map(|label| if crate::labels::is_plain_name(label) { label.clone() } else { text::quoted(label) });
    quoted.collect::<Vec<_>>().join(", ")
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, self.between(), self.right)
    }
}

impl Binary {
    /// The operator with what belongs to it.
    pub(super) fn between(&self) -> String {
        let returns_bool = if self.returns_bool { " bool" } else { "" };
        format!("{}{returns_bool}{}", self.operator.text(), self.matching)
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let is_one_to_one = self.cardinality == Cardinality::OneToOne;
        if !self.labels.is_empty() || self.on || !is_one_to_one {
            let word = if self.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", label_list(&self.labels))?;
        }
        if !is_one_to_one {
            let side = if self.cardinality == Cardinality::ManyToOne { "left" } else { "right" };
            write!(f, " group_{side} ({})", label_list(&self.include))?;
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left == right => write!(f, " fill ({})", text::short(left)),
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", text::short(left))?;
                }
                right.map_or(Ok(()), |right| write!(f, " fill_right ({})", text::short(right)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;

    /// Texts as Prometheus 3 answers them to `format_query` on one line.
    #[test]
    fn a_tree_is_written_as_prometheus_writes_it() {
        let check = |query: &str, want: &str| {
            let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            assert_eq!(tree.to_string(), want, "{query}");
            assert_eq!(parse(want).unwrap().to_string(), want, "{want} reads back as itself");
        };
        check("sum(foo)by(a,\"b.c\")", "sum by (a, \"b.c\") (foo)");
        check("sum without() (foo)", "sum without () (foo)");
        check("topk(5,foo{b=\"1\",a!~'x'})", "topk(5, foo{a!~\"x\",b=\"1\"})");
        check("{\"a.b\",c=\"d\"}", "{__name__=\"a.b\",c=\"d\"}");
        check("foo[5m] offset 1h @ 12.5", "foo[5m] @ 12.500 offset 1h");
        check("foo @ end() offset -1d", "foo @ end() offset -1d");
        check("rate(foo[1h:5m] @ start())[1d:]", "rate(foo[1h:5m] @ start())[1d:]");
        check("a+b*-c^2", "a + b * -c ^ 2");
        check("(a) OR on(x) b", "(a) or on (x) b");
        check("a ==bool 1", "a == bool 1");
        check("a/ignoring(x)group_left(y)fill_left(1)b", "a / ignoring (x) group_left (y) fill_left (1) b");
        check("1e3 + 5m + -0x1F", "1000 + 5m + -31");
        check("foo[5m+step()]", "foo[5m + step()]");
        check("foo[5m] anchored", "foo[5m] anchored");
        check("Inf+NaN", "+Inf + NaN");
        check("label_replace(up,'a','$1','b','(.*)')", "label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")");
    }
}
