//! Whether a tree is sound: kinds of operands and arguments, and what goes with what.
//!
//! The first mistake in the order in which Prometheus looks for them is told, in its words.

use super::{Mistake, Parsed};
use crate::labels::METRIC_NAME;
use crate::text::quoted;
use crate::tree::function::More;
use crate::tree::{Aggregation, Binary, Cardinality, Expr, Function, Kind, Node, Selector};

pub(super) fn check(expr: &Expr) -> Parsed<()> {
    let refuse = |text: String| Err(Mistake::new(expr.span.start, text));
    match &expr.node {
        Node::Number(_) | Node::Text(_) => Ok(()),
        Node::Selector(selector) => check_selector(expr, selector),
        Node::Range(selector, _) => check_selector(expr, selector),
        Node::Parenthesis(inner) => check(inner),
        Node::Sign(_, operand) => {
            check(operand)?;
            match operand.kind() {
                Kind::Scalar | Kind::Vector => Ok(()),
                other => refuse(format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                    quoted(other.documented())
                )),
            }
        }
        Node::Subquery(subquery) => {
            check(&subquery.operand)?;
            match subquery.operand.kind() {
                Kind::Vector => Ok(()),
                other => {
                    let name = other.name();
                    refuse(format!("subquery is only allowed on instant vector, got {name} instead"))
                }
            }
        }
        Node::Aggregation(aggregation) => check_aggregation(aggregation),
        Node::Binary(binary) => check_binary(expr, binary),
        Node::Call(function, arguments) => check_call(expr, function, arguments),
    }
}

fn expect(expr: &Expr, wanted: Kind, context: &str) -> Parsed<()> {
    check(expr)?;
    let (wanted_text, got) = (wanted.documented(), expr.kind().documented());
    if expr.kind() == wanted {
        return Ok(());
    }
    Err(Mistake::new(expr.span.start, format!("expected type {wanted_text} in {context}, got {got}")))
}

fn check_selector(expr: &Expr, selector: &Selector) -> Parsed<()> {
    let refuse = |text: String| Err(Mistake::new(expr.span.start, text));
    if let Some(name) = &selector.name {
        let others = &selector.matchers[..selector.matchers.len() - 1];
        return match others.iter().find(|matcher| matcher.name == METRIC_NAME) {
            Some(other) => {
                let (name, other) = (quoted(name), quoted(&other.value));
                refuse(format!("metric name must not be set twice: {name} or {other}"))
            }
            None => Ok(()),
        };
    }
    if selector.matchers.iter().all(|matcher| matcher.matches("")) {
        return refuse("vector selector must contain at least one non-empty matcher".to_owned());
    }
    Ok(())
}

fn check_aggregation(aggregation: &Aggregation) -> Parsed<()> {
    expect(&aggregation.operand, Kind::Vector, "aggregation expression")?;
    match (aggregation.aggregator.parameter(), &aggregation.parameter) {
        (Some(kind), Some(parameter)) => expect(parameter, kind, "aggregation parameter"),
        _ => Ok(()),
    }
}

fn check_binary(expr: &Expr, binary: &Binary) -> Parsed<()> {
    check(&binary.left)?;
    check(&binary.right)?;
    let (operator, matching) = (binary.operator, &binary.matching);
    let kinds = [binary.left.kind(), binary.right.kind()];
    let at_operator = |text: String| Err(Mistake::new(binary.operator_at, text));
    if binary.returns_bool && !operator.is_comparison() {
        return at_operator("bool modifier can only be used on comparison operators".to_owned());
    }
    if operator.is_comparison() && !binary.returns_bool && kinds == [Kind::Scalar; 2] {
        return at_operator("comparisons between scalars must use BOOL modifier".to_owned());
    }
    let on_both = matching.labels.iter().find(|label| matching.on && matching.include.contains(label));
    if let Some(label) = on_both {
        let label = quoted(label);
        return at_operator(format!("label {label} must not occur in ON and GROUP clause at once"));
    }
    for (side, kind) in [&binary.left, &binary.right].into_iter().zip(kinds) {
        if !matches!(kind, Kind::Scalar | Kind::Vector) {
            let text = "binary expression must contain only scalar and instant vector types";
            return Err(Mistake::new(side.span.start, text));
        }
    }
    let refuse = |text: String| Err(Mistake::new(expr.span.start, text));
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    let word = quoted(operator.text());
    if kinds != [Kind::Vector; 2] {
        if !matching.labels.is_empty() {
            return refuse("vector matching only allowed between instant vectors".to_owned());
        }
        if fills {
            return refuse("filling in missing series only allowed between instant vectors".to_owned());
        }
    } else if operator.is_set() {
        if matching.cardinality != Cardinality::OneToOne {
            return refuse(format!("no grouping allowed for {word} operation"));
        }
        if fills {
            return refuse("filling in missing series not allowed for set operators".to_owned());
        }
    }
    if kinds.contains(&Kind::Scalar) && operator.is_set() {
        return refuse(format!("set operator {word} not allowed in binary scalar expression"));
    }
    Ok(())
}

fn check_call(expr: &Expr, function: &Function, arguments: &[Expr]) -> Parsed<()> {
    let refuse = |text: String| Err(Mistake::new(expr.span.start, text));
    let (name, got) = (quoted(function.name), arguments.len());
    let wanted = function.arguments.len();
    match function.more {
        More::None if got != wanted => {
            return refuse(format!("expected {wanted} argument(s) in call to {name}, got {got}"));
        }
        More::UpTo(_) | More::Many if got + 1 < wanted => {
            return refuse(format!(
                "expected at least {} argument(s) in call to {name}, got {got}",
                wanted - 1
            ));
        }
        More::UpTo(more) if got > wanted - 1 + more => {
            return refuse(format!(
                "expected at most {} argument(s) in call to {name}, got {got}",
                wanted - 1 + more
            ));
        }
        _ => {}
    }
    for (at, argument) in arguments.iter().enumerate() {
        if function.name == "info" && at == 1 {
            check_info_labels(expr, argument)?;
            continue;
        }
        let Some(kind) = function.argument(at) else { continue };
        expect(argument, kind, &format!("call to function {name}"))?;
    }
    Ok(())
}

/// The second argument of `info` is matchers only, and they may match everything.
fn check_info_labels(call: &Expr, labels: &Expr) -> Parsed<()> {
    let Node::Selector(selector) = &labels.node else {
        let got = labels.kind();
        if got != Kind::Vector {
            let text = format!(
                "expected type instant vector in call to function \"info\", got {}",
                got.documented()
            );
            return Err(Mistake::new(call.span.start, text));
        }
        return Err(Mistake::new(labels.span.start, "expected label selectors only"));
    };
    if selector.name.is_some() {
        let text = "expected label selectors only, got vector selector instead";
        return Err(Mistake::new(labels.span.start, text));
    }
    Ok(())
}
