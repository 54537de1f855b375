//! Which columns of `spans` fields are told from, so that no others are read.

use std::collections::BTreeSet;

use meshlake_schema::sent::SentAttributes;
use meshlake_traceql::tree::{Attribute, Expr, Field, Intrinsic, Scope};

/// What decides where a span stands in its trace, and what is told of each.
const WHOLE: [&str; 10] = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "service_namespace",
    "service_name",
    "kind",
    "time_unix_nano",
    "duration_nano",
    "name",
    "status_code",
];

const RESOURCE: [&str; 2] = ["resource", "resource_types"];
const SCOPE: [&str; 2] = ["scope_attributes", "scope_attribute_types"];

/// Columns of `spans`, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs(BTreeSet<&'static str>);

impl Needs {
    /// Of spans that are looked at one by one: whose they are, when they started, and these fields.
    pub fn of_rows<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Needs {
        let mut needs = Needs(BTreeSet::from(["time_unix_nano"]));
        fields.into_iter().for_each(|field| needs.add(field));
        needs
    }

    /// Of spans that a condition is held against.
    pub fn of_condition(condition: Option<&Expr>) -> Needs {
        let mut fields = Vec::new();
        if let Some(condition) = condition {
            condition.for_each_field(&mut |field| fields.push(field));
        }
        Needs::of_rows(fields)
    }

    /// Of whole traces: where each span stands, and these fields.
    pub fn of_traces<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Needs {
        let mut needs = Needs::of_rows(fields);
        needs.0.extend(WHOLE);
        needs
    }

    #[must_use]
    pub fn with(mut self, columns: impl IntoIterator<Item = &'static str>) -> Needs {
        self.0.extend(columns);
        self
    }

    pub fn columns(&self) -> Vec<&'static str> {
        self.0.iter().copied().collect()
    }

    /// All attributes of spans and resources, for functions that tell each.
    #[must_use]
    pub fn with_all_attributes(self) -> Needs {
        self.with(SentAttributes::columns()).with(RESOURCE).with(["status_message"])
    }

    fn add(&mut self, field: &Field) {
        match field {
            Field::Attribute(attribute) => self.add_attribute(attribute),
            Field::Intrinsic { intrinsic, of_parent } => {
                if *of_parent {
                    self.0.extend(WHOLE);
                }
                self.0.extend(columns_of(*intrinsic));
            }
        }
    }

    fn add_attribute(&mut self, attribute: &Attribute) {
        if attribute.of_parent {
            self.0.extend(WHOLE);
        }
        if matches!(attribute.scope, Scope::Any | Scope::Span) {
            self.0.extend(SentAttributes::columns_of(&attribute.key));
        }
        match attribute.scope {
            Scope::Any | Scope::Resource => self.0.extend(RESOURCE),
            Scope::Instrumentation => self.0.extend(SCOPE),
            Scope::Event => self.0.extend(["events"]),
            Scope::Link => self.0.extend(["links"]),
            Scope::Span => {}
        }
    }
}

fn columns_of(intrinsic: Intrinsic) -> &'static [&'static str] {
    match intrinsic {
        Intrinsic::Name => &["name"],
        Intrinsic::Duration => &["duration_nano"],
        Intrinsic::Status => &["status_code"],
        Intrinsic::StatusMessage => &["status_message"],
        Intrinsic::Kind => &["kind"],
        Intrinsic::SpanId => &["span_id"],
        Intrinsic::ParentId => &["parent_span_id"],
        Intrinsic::TraceId => &["trace_id"],
        Intrinsic::EventName | Intrinsic::EventTime => &["events"],
        Intrinsic::LinkTraceId | Intrinsic::LinkSpanId => &["links"],
        Intrinsic::ScopeName => &["scope_name"],
        Intrinsic::ScopeVersion => &["scope_version"],
        Intrinsic::ChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent
        | Intrinsic::TraceDuration
        | Intrinsic::RootName
        | Intrinsic::RootService => &WHOLE,
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Table;

    use super::*;

    #[test]
    fn a_field_needs_its_columns_alone() {
        let check = |field: Field, want: &[&str]| {
            assert_eq!(Needs::of_rows([&field]).columns(), want, "{field}");
        };
        check(Field::intrinsic(Intrinsic::Name), &["name", "time_unix_nano"]);
        let resource = Field::attribute(Scope::Resource, "k8s.pod.name");
        check(resource, &["resource", "resource_types", "time_unix_nano"]);
        let route = Field::attribute(Scope::Span, "http.route");
        check(route, &["attribute_types", "attributes", "http_route", "time_unix_nano"]);
    }

    #[test]
    fn every_column_is_one_of_spans() {
        let scopes = Scope::ALL.iter().map(|scope| Field::attribute(*scope, "a"));
        let fields: Vec<Field> =
            Intrinsic::ALL.iter().map(|intrinsic| Field::intrinsic(*intrinsic)).chain(scopes).collect();
        for column in Needs::of_traces(&fields).with_all_attributes().columns() {
            assert!(Table::Spans.columns().iter().any(|declared| declared.name == column), "{column}");
        }
    }
}
