//! Values of fields and expressions of a span.
//!
//! A condition over events holds if it holds for any event, and so for links; inside of one comparison all fields are of
//! the same event and the same link. Elsewhere (`by()`, `select()`, aggregates) a field of events is that of the first event
//! that has it.

use super::Trace;
use crate::tree::{Attribute, Expr, Field, Intrinsic, Scope};
use crate::value::{Comparison, Kind, Status, Value};

/// Of which event and link a field is; none for the first that has it.
#[derive(Debug, Clone, Copy, Default)]
struct Element {
    event: Option<usize>,
    link: Option<usize>,
}

impl<'a> Trace<'a> {
    /// The value of a field of a span.
    pub fn field(&self, field: &Field, at: usize) -> Value<'a> {
        self.field_of(field, at, Element::default())
    }

    /// The value of an expression of a span.
    pub fn value(&self, expr: &Expr, at: usize) -> Value<'a> {
        self.value_of(expr, at, Element::default())
    }

    /// Whether a condition holds for a span.
    pub fn holds(&self, expr: &Expr, at: usize) -> bool {
        match expr {
            Expr::And(left, right) => self.holds(left, at) && self.holds(right, at),
            Expr::Or(left, right) => self.holds(left, at) || self.holds(right, at),
            Expr::Not(inner) => !self.holds(inner, at),
            Expr::Literal(value) => *value == Value::Boolean(true),
            Expr::Exists { is_negated, operand } => {
                let exists = |element| self.value_of(operand, at, element) != Value::Nil;
                self.any_element(operand, at, exists) != *is_negated
            }
            Expr::Compare(comparison, left, right) => self.any_element(expr, at, |element| {
                comparison.holds(&self.value_of(left, at, element), &self.value_of(right, at, element))
            }),
            Expr::Matches { is_negated, operand, pattern } => {
                self.any_element(expr, at, |element| match self.value_of(operand, at, element) {
                    Value::Text(text) => pattern.is_match(&text) != *is_negated,
                    Value::List(items) => {
                        let is_match = |item: &Value<'_>| match item {
                            Value::Text(text) => pattern.is_match(text),
                            _ => false,
                        };
                        items.iter().any(is_match) != *is_negated
                    }
                    _ => false,
                })
            }
            Expr::Field(_) | Expr::Negative(_) | Expr::Arithmetic(..) => {
                let is_true = |element| {
                    Comparison::Equal.holds(&self.value_of(expr, at, element), &Value::Boolean(true))
                };
                self.any_element(expr, at, is_true)
            }
        }
    }

    /// Whether it holds for any event and link of the span that the expression asks about.
    fn any_element(&self, expr: &Expr, at: usize, holds: impl Fn(Element) -> bool) -> bool {
        let has_events = expr.has_field(Field::is_of_events);
        let has_links = expr.has_field(Field::is_of_links);
        if !has_events && !has_links {
            return holds(Element::default());
        }
        let each = |count: usize| (0..count).map(Some).collect::<Vec<_>>();
        let events = if has_events { each(self.spans.event_count(at)) } else { vec![None] };
        let links = if has_links { each(self.spans.link_count(at)) } else { vec![None] };
        let of_event = |event| links.iter().any(|link| holds(Element { event, link: *link }));
        events.into_iter().any(of_event)
    }

    fn value_of(&self, expr: &Expr, at: usize, element: Element) -> Value<'a> {
        match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Field(field) => self.field_of(field, at, element),
            Expr::Negative(inner) => self.value_of(inner, at, element).negated(),
            Expr::Arithmetic(operator, left, right) => {
                operator.apply(&self.value_of(left, at, element), &self.value_of(right, at, element))
            }
            condition => Value::Boolean(self.holds(condition, at)),
        }
    }

    fn field_of(&self, field: &Field, at: usize, element: Element) -> Value<'a> {
        let of_parent = match field {
            Field::Attribute(attribute) => attribute.of_parent,
            Field::Intrinsic { of_parent, .. } => *of_parent,
        };
        let Some(at) = (if of_parent { self.walk.parent(at) } else { Some(at) }) else { return Value::Nil };
        match field {
            Field::Attribute(attribute) => self.attribute_of(attribute, at, element),
            Field::Intrinsic { intrinsic, .. } => self.intrinsic_of(*intrinsic, at, element),
        }
    }

    fn attribute_of(&self, attribute: &Attribute, at: usize, element: Element) -> Value<'a> {
        let (spans, key) = (self.spans, attribute.key.as_str());
        match attribute.scope {
            Scope::Any => match spans.attribute(at, Scope::Span, key) {
                Value::Nil => spans.attribute(at, Scope::Resource, key),
                value => value,
            },
            Scope::Event => self.of_event(at, element, |event| spans.event_attribute(at, event, key)),
            Scope::Link => self.of_link(at, element, |link| spans.link_attribute(at, link, key)),
            scope => spans.attribute(at, scope, key),
        }
    }

    fn of_event(&self, at: usize, element: Element, value: impl Fn(usize) -> Value<'a>) -> Value<'a> {
        match element.event {
            Some(event) => value(event),
            None => first((0..self.spans.event_count(at)).map(value)),
        }
    }

    fn of_link(&self, at: usize, element: Element, value: impl Fn(usize) -> Value<'a>) -> Value<'a> {
        match element.link {
            Some(link) => value(link),
            None => first((0..self.spans.link_count(at)).map(value)),
        }
    }

    fn intrinsic_of(&self, intrinsic: Intrinsic, at: usize, element: Element) -> Value<'a> {
        let (span, spans) = (&self.facts[at], self.spans);
        let id = |id: Option<&'a str>| id.map_or(Value::Nil, Value::text);
        let root = || self.root.map(|root| &self.facts[root]);
        match intrinsic {
            Intrinsic::Name => Value::text(span.name),
            Intrinsic::Duration => Value::Duration(span.duration_nano),
            Intrinsic::Status => Value::Status(Status::of_code(span.status)),
            Intrinsic::StatusMessage => Value::text(span.status_message),
            Intrinsic::Kind => Value::Kind(Kind::of_code(span.kind)),
            Intrinsic::ChildCount => Value::Integer(self.walk.child_count(at)),
            Intrinsic::SpanId => Value::text(span.id),
            Intrinsic::ParentId => id(span.parent),
            Intrinsic::NestedSetLeft => Value::Integer(self.walk.left(at)),
            Intrinsic::NestedSetRight => Value::Integer(self.walk.right(at)),
            Intrinsic::NestedSetParent => Value::Integer(match self.walk.parent(at) {
                Some(parent) => self.walk.left(parent),
                None if span.parent.is_none() => -1,
                None => 0,
            }),
            Intrinsic::TraceId => Value::text(spans.trace_id(at)),
            Intrinsic::TraceDuration => Value::Duration(self.duration_nano),
            Intrinsic::RootName => root().map_or(Value::Nil, |root| Value::text(root.name)),
            Intrinsic::RootService => id(root().and_then(|root| root.service)),
            Intrinsic::EventName => self.of_event(at, element, |event| Value::text(spans.event(at, event).0)),
            Intrinsic::EventTime => self.of_event(at, element, |event| match spans.event(at, event).1 {
                0 => Value::Nil,
                nanos => Value::Duration(nanos.saturating_sub(span.start_nano)),
            }),
            Intrinsic::LinkTraceId => self.of_link(at, element, |link| Value::text(spans.link(at, link).0)),
            Intrinsic::LinkSpanId => self.of_link(at, element, |link| Value::text(spans.link(at, link).1)),
            Intrinsic::ScopeName => Value::text(span.scope_name),
            Intrinsic::ScopeVersion => Value::text(span.scope_version),
        }
    }
}

fn first<'a>(mut values: impl Iterator<Item = Value<'a>>) -> Value<'a> {
    values.find(|value| *value != Value::Nil).unwrap_or(Value::Nil)
}
