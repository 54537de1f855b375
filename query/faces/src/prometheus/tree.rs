//! The tree of a query as JSON, as `parse_query` answers it. Source: answers of Prometheus 0.316.0.

use meshlake_query::promql::tree::function::More;
use meshlake_query::promql::tree::{
    Aggregation, At, Binary, Cardinality, Edges, Formula, Length, Node, Number, Selector, Sign, Subquery,
};
use meshlake_query::promql::{Expr, Function, Kind, Matcher, value_text};
use serde_json::{Value, json};

/// The tree; its depth is bounded where a query is read.
pub fn tree(expr: &Expr) -> Value {
    match &expr.node {
        Node::Number(number) => json!({"type": "numberLiteral", "val": value_text(number.value)}),
        Node::Text(text) => json!({"type": "stringLiteral", "val": text}),
        Node::Selector(selector) => selected("vectorSelector", selector),
        Node::Range(selector, range) => {
            let mut tree = selected("matrixSelector", selector);
            tree["range"] = json!(millis(range));
            tree["rangeExpr"] = formula_of(range);
            tree
        }
        Node::Subquery(subquery) => of_subquery(subquery),
        Node::Call(function, arguments) => json!({
            "type": "call",
            "func": of_function(function),
            "args": arguments.iter().map(tree).collect::<Vec<_>>(),
        }),
        Node::Aggregation(aggregation) => of_aggregation(aggregation),
        Node::Binary(binary) => of_binary(binary),
        Node::Sign(sign, operand) => {
            let operator = if *sign == Sign::Minus { "-" } else { "+" };
            json!({"type": "unaryExpr", "op": operator, "expr": tree(operand)})
        }
        Node::Parenthesis(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
    }
}

fn selected(kind: &str, selector: &Selector) -> Value {
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": millis(&selector.offset),
        "offsetExpr": formula_of(&selector.offset),
        "matchers": selector.matchers.iter().map(of_matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(selector.at),
        "startOrEnd": start_or_end(selector.at),
        "anchored": selector.edges == Some(Edges::Anchored),
        "smoothed": selector.edges == Some(Edges::Smoothed),
    })
}

fn of_matcher(matcher: &Matcher) -> Value {
    json!({"name": matcher.name, "value": matcher.value, "type": matcher.comparison.symbol()})
}

fn of_subquery(subquery: &Subquery) -> Value {
    json!({
        "type": "subquery",
        "expr": tree(&subquery.operand),
        "range": millis(&subquery.range),
        "rangeExpr": formula_of(&subquery.range),
        "offset": millis(&subquery.offset),
        "offsetExpr": formula_of(&subquery.offset),
        "step": subquery.step.as_ref().map_or(0, millis),
        "stepExpr": subquery.step.as_ref().map_or(Value::Null, formula_of),
        "timestamp": timestamp(subquery.at),
        "startOrEnd": start_or_end(subquery.at),
    })
}

fn of_function(function: &Function) -> Value {
    let variadic = match function.more {
        More::None => 0,
        More::UpTo(more) => i64::try_from(more).unwrap_or(i64::MAX),
        More::Many => -1,
    };
    json!({
        "name": function.name,
        "argTypes": function.arguments.iter().copied().map(Kind::name).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": function.returns.name(),
    })
}

fn of_aggregation(aggregation: &Aggregation) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregation.aggregator.text(),
        "expr": tree(&aggregation.operand),
        "param": aggregation.parameter.as_ref().map(tree),
        "grouping": aggregation.grouping,
        "without": aggregation.without,
    })
}

fn of_binary(binary: &Binary) -> Value {
    let is_of_vectors = [&binary.left, &binary.right].iter().all(|side| side.kind() == Kind::Vector);
    let matching = &binary.matching;
    let cardinality = match matching.cardinality {
        _ if binary.operator.is_set() => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
    };
    let matching = json!({
        "card": cardinality,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    });
    json!({
        "type": "binaryExpr",
        "op": binary.operator.text(),
        "lhs": tree(&binary.left),
        "rhs": tree(&binary.right),
        "matching": is_of_vectors.then_some(matching),
        "bool": binary.returns_bool,
    })
}

/// Of what is a formula nothing is known before it is asked.
fn millis(length: &Length) -> i64 {
    match length {
        Length::Milliseconds(millis) => *millis,
        Length::Formula(..) => 0,
    }
}

fn formula_of(length: &Length) -> Value {
    match length {
        Length::Milliseconds(_) => Value::Null,
        Length::Formula(_, formula) => of_formula(formula, false),
    }
}

fn of_formula(formula: &Formula, is_wrapped: bool) -> Value {
    let operation = |operator: &str, left: Value, right: Value| {
        json!({
            "type": "durationExpr",
            "op": operator,
            "lhs": left,
            "rhs": right,
            "wrapped": is_wrapped,
        })
    };
    match formula {
        Formula::Seconds(Number { value, is_duration }) => {
            json!({"type": "numberLiteral", "val": value_text(*value), "duration": is_duration})
        }
        Formula::Step => operation("step", Value::Null, Value::Null),
        Formula::Range => operation("range", Value::Null, Value::Null),
        Formula::Least(a, b) => operation("min_of", of_formula(a, false), of_formula(b, false)),
        Formula::Greatest(a, b) => operation("max_of", of_formula(a, false), of_formula(b, false)),
        Formula::Negative(a) => operation("-", Value::Null, of_formula(a, false)),
        Formula::Binary(operator, a, b) => {
            operation(operator.text(), of_formula(a, false), of_formula(b, false))
        }
        Formula::Parenthesis(inner) => of_formula(inner, true),
    }
}

fn timestamp(at: Option<At>) -> Option<i64> {
    match at {
        Some(At::Time(time)) => Some(time),
        Some(At::Start | At::End) | None => None,
    }
}

fn start_or_end(at: Option<At>) -> Option<&'static str> {
    match at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        Some(At::Time(_)) | None => None,
    }
}
