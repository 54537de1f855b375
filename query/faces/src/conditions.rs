//! Searches of Jaeger and Zipkin as queries of TraceQL: one span that meets all conditions.
//!
//! A tag is looked for where their storages look: among a span's attributes, its resource's and its events'; and where the
//! translation from OTLP puts what it has fields for (`error`, `span.kind`, `otel.status_code` and others) in those. A tag is
//! text whatever its type was, so a number is looked for as a number too.

use std::borrow::Cow;

use meshlake_query::traceql_language::tree::{
    Attribute, Body, Expr, Field, Intrinsic, Pipeline, Query, Scope, Spansets, Stage,
};
use meshlake_query::traceql_language::{Comparison, Kind, Status, Value};

/// Where the attributes are that tags are made of.
const SCOPES: [Scope; 3] = [Scope::Span, Scope::Resource, Scope::Event];

/// Traces with a span that meets all of `conditions`; any trace without one.
pub fn query(conditions: Vec<Expr>) -> Query {
    let filter = conditions.into_iter().reduce(|all, one| Expr::And(Box::new(all), Box::new(one)));
    let stages = vec![Stage::Spansets(Spansets::Filter(filter))];
    Query { body: Body::Spans(Pipeline { stages }), hints: Vec::new() }
}

/// The span is of that service.
pub fn of_service(name: &str) -> Expr {
    equals(attribute(Scope::Resource, "service.name"), text(name))
}

/// It is called so.
pub fn named(name: &str) -> Expr {
    equals(field(Intrinsic::Name), text(name))
}

/// It lasted as long, nanoseconds, both inclusive.
pub fn lasted(min: Option<i64>, max: Option<i64>) -> impl Iterator<Item = Expr> {
    let bounds = [(min, Comparison::GreaterOrEqual), (max, Comparison::LessOrEqual)];
    bounds.into_iter().filter_map(|(nanos, comparison)| {
        let duration = Box::new(Expr::Field(field(Intrinsic::Duration)));
        Some(Expr::Compare(comparison, duration, Box::new(Expr::Literal(Value::Duration(nanos?)))))
    })
}

/// It has that tag: in any of the places and of the types that it can have.
pub fn tagged(key: &str, value: &str) -> Expr {
    let attributes = SCOPES
        .into_iter()
        .flat_map(|scope| values(value).into_iter().map(move |value| equals(attribute(scope, key), value)));
    any_of(field_of(key, value).into_iter().chain(attributes))
}

/// It has a tag of that key, or an event of that name.
pub fn has(key: &str) -> Expr {
    let exists =
        |scope| Expr::Exists { is_negated: false, operand: Box::new(Expr::Field(attribute(scope, key))) };
    let failed = (key == "error").then(|| equals(field(Intrinsic::Status), Value::Status(Status::Error)));
    let event = equals(field(Intrinsic::EventName), text(key));
    any_of(failed.into_iter().chain(SCOPES.map(exists)).chain([event]))
}

fn any_of(conditions: impl Iterator<Item = Expr>) -> Expr {
    let any = conditions.reduce(|any, one| Expr::Or(Box::new(any), Box::new(one)));
    any.unwrap_or(Expr::Literal(Value::Boolean(false)))
}

/// The condition on the field of OTLP that the translation makes a tag of.
fn field_of(key: &str, value: &str) -> Option<Expr> {
    let status = |status| equals(field(Intrinsic::Status), Value::Status(status));
    let said = |intrinsic| equals(field(intrinsic), text(value));
    match (key, value) {
        ("error", "true") | ("otel.status_code", "ERROR") => Some(status(Status::Error)),
        ("otel.status_code", "OK") => Some(status(Status::Ok)),
        ("otel.status_description", _) => Some(said(Intrinsic::StatusMessage)),
        ("otel.scope.name" | "otel.library.name", _) => Some(said(Intrinsic::ScopeName)),
        ("otel.scope.version" | "otel.library.version", _) => Some(said(Intrinsic::ScopeVersion)),
        ("event", _) => Some(said(Intrinsic::EventName)),
        ("span.kind", _) => Some(equals(field(Intrinsic::Kind), Value::Kind(Kind::of_word(value)?))),
        _ => None,
    }
}

/// What was sent as this text, or reads as it.
fn values(given: &str) -> Vec<Value<'static>> {
    let mut values = vec![text(given)];
    if let Ok(number) = given.parse() {
        values.push(Value::Integer(number));
    } else if let Some(number) = given.parse::<f64>().ok().filter(|number| number.is_finite()) {
        values.push(Value::Float(number));
    }
    values.extend(given.parse().ok().map(Value::Boolean));
    values
}

fn text(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.to_owned()))
}

fn field(intrinsic: Intrinsic) -> Field {
    Field::Intrinsic { intrinsic, of_parent: false }
}

fn attribute(scope: Scope, key: &str) -> Field {
    Field::Attribute(Attribute { scope, of_parent: false, key: key.to_owned() })
}

fn equals(field: Field, value: Value<'static>) -> Expr {
    Expr::Compare(Comparison::Equal, Box::new(Expr::Field(field)), Box::new(Expr::Literal(value)))
}

#[cfg(test)]
mod tests {
    use meshlake_query::traceql_language::parse;

    use super::*;

    fn check(conditions: Vec<Expr>, want: &str) {
        let query = query(conditions);
        assert_eq!(query, parse(want).expect("TraceQL"), "{query}");
    }

    #[test]
    fn conditions_are_of_one_span() {
        check(vec![], "{}");
        check(vec![of_service("a \"b\"")], r#"{ resource.service.name = "a \"b\"" }"#);
        let all =
            [of_service("a"), named("GET /")].into_iter().chain(lasted(Some(1_500_000), Some(2_000_000_000)));
        let want =
            r#"{ resource.service.name = "a" && name = "GET /" && duration >= 1500us && duration <= 2s }"#;
        check(all.collect(), want);
        assert_eq!(lasted(None, None).count(), 0);
    }

    #[test]
    fn a_tag_is_looked_for_wherever_it_may_be() {
        check(vec![tagged("k", "v")], r#"{ span.k = "v" || resource.k = "v" || event.k = "v" }"#);
        let number = r#"{ span.c = "5" || span.c = 5 || resource.c = "5" || resource.c = 5 || event.c = "5" || event.c = 5 }"#;
        check(vec![tagged("c", "5")], number);
        let error = r#"{ status = error || span.error = "true" || span.error = true || resource.error = "true"
            || resource.error = true || event.error = "true" || event.error = true }"#;
        check(vec![tagged("error", "true")], error);
        let kind = r#"{ kind = server || span.span.kind = "server" || resource.span.kind = "server"
            || event.span.kind = "server" }"#;
        check(vec![tagged("span.kind", "server")], kind);
        let event =
            r#"{ event:name = "x" || span.event = "x" || resource.event = "x" || event.event = "x" }"#;
        check(vec![tagged("event", "x")], event);
    }

    #[test]
    fn a_key_alone_asks_whether_it_is_there() {
        check(
            vec![has("k")],
            r#"{ span.k != nil || resource.k != nil || event.k != nil || event:name = "k" }"#,
        );
        let error = r#"{ status = error || span.error != nil || resource.error != nil || event.error != nil
            || event:name = "error" }"#;
        check(vec![has("error")], error);
    }
}
