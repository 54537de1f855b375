//! A condition over rows of which it is known that some attributes are in none of them.
//!
//! What no column holds by itself, an attribute of a resource or of an event, makes a filter wide: `{ .order = "x" }` may be the
//! resource's, so nothing can be looked up. Files say which keys their resources and events have, and most keys that people ask for
//! are a span's alone. What is in no row has no value there, which is what is put in its place.

use crate::tree::{Attribute, Expr, Field, Scope};
use crate::value::Value;

/// Which attributes no row has, by scope and key; asked of no scope but resources, instrumentation, events and links.
pub type IsAbsent<'f> = dyn Fn(Scope, &str) -> bool + 'f;

/// The scopes beside spans whose attributes a condition asks about where their names would help: the service's name has a column.
pub(super) fn scopes(condition: &Expr) -> Vec<Scope> {
    let mut scopes = Vec::new();
    condition.for_each_field(&mut |field| {
        let scope = beside_spans(field).map(|(scope, _)| scope);
        scopes.extend(scope.filter(|scope| !scopes.contains(scope)));
    });
    scopes
}

/// Where an attribute may be that is not the span's own, and its key.
fn beside_spans(field: &Field) -> Option<(Scope, &str)> {
    const SERVICE_NAME: &str = "service.name";
    let Field::Attribute(Attribute { scope, of_parent: false, key }) = field else { return None };
    match scope {
        Scope::Any | Scope::Resource if key == SERVICE_NAME => None,
        Scope::Any => Some((Scope::Resource, key)),
        Scope::Span => None,
        scope => Some((*scope, key)),
    }
}

/// The condition of the same rows without those attributes.
pub(super) fn without(condition: &Expr, is_absent: &IsAbsent<'_>) -> Expr {
    let part = |part: &Expr| Box::new(without(part, is_absent));
    match condition {
        Expr::Literal(_) => condition.clone(),
        Expr::Field(field) => match beside_spans(field) {
            Some((scope, key)) if is_absent(scope, key) => remaining(field),
            _ => condition.clone(),
        },
        Expr::Negative(inner) => Expr::Negative(part(inner)),
        Expr::Not(inner) => Expr::Not(part(inner)),
        Expr::Arithmetic(operator, left, right) => Expr::Arithmetic(*operator, part(left), part(right)),
        Expr::Compare(comparison, left, right) => Expr::Compare(*comparison, part(left), part(right)),
        Expr::And(left, right) => Expr::And(part(left), part(right)),
        Expr::Or(left, right) => Expr::Or(part(left), part(right)),
        Expr::Matches { is_negated, operand, pattern } => {
            Expr::Matches { is_negated: *is_negated, operand: part(operand), pattern: pattern.clone() }
        }
        Expr::Exists { is_negated, operand } => {
            Expr::Exists { is_negated: *is_negated, operand: part(operand) }
        }
    }
}

/// What is left of an attribute that is not there: where no scope was said, the span's.
fn remaining(field: &Field) -> Expr {
    match field {
        Field::Attribute(Attribute { scope: Scope::Any, key, .. }) => {
            Expr::Field(Field::attribute(Scope::Span, key))
        }
        _ => Expr::Literal(Value::Nil),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use crate::wanted::Selected;

    fn condition(query: &str) -> Expr {
        let tree = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        Selected::of(&tree).condition.unwrap_or_else(|| panic!("{query} has a condition"))
    }

    #[test]
    fn what_no_row_has_is_nil_and_without_scope_the_spans() {
        let check = |query: &str, want: &str| {
            let found = without(&condition(query), &|_, key| key == "gone");
            assert_eq!(found.to_string(), want, "{query}");
        };
        check("{ .gone = 1 }", "(span.gone = 1)");
        check("{ resource.gone = 1 || event.gone = 2 }", "((nil = 1) || (nil = 2))");
        check(
            "{ !(link.gone =~ \"x\") && instrumentation.gone + 1 > 2 }",
            "(!((nil =~ \"x\")) && ((nil + 1) > 2))",
        );
        check("{ span.gone = 1 && parent.gone = 2 }", "(span.gone = 1)");
        check("{ .here = 1 && resource.here != nil }", "((.here = 1) && (resource.here != nil))");
        check("{ resource.gone = nil }", "(nil = nil)");
    }

    #[test]
    fn scopes_are_those_whose_names_would_help() {
        let check = |query: &str, want: &[Scope]| assert_eq!(scopes(&condition(query)), want, "{query}");
        check("{ span.a = 1 && name = \"x\" && .service.name = \"x\" }", &[]);
        check("{ .a = 1 || resource.b = 1 }", &[Scope::Resource]);
        check(
            "{ event.a = link.b && instrumentation.c != 1 }",
            &[Scope::Event, Scope::Link, Scope::Instrumentation],
        );
    }
}
