//! A search as Jaeger asks it, whichever version: one span of the service that meets all conditions.

use meshlake_query::traceql_language::tree::Query;
use meshlake_schema::{TimeRange, UnixNanos};

use crate::conditions::{lasted, named, of_service, query, tagged};

/// Traces in an answer, when the request does not say.
pub const TRACES_DEFAULT: usize = 100;

/// Traces in an answer, at most: Jaeger's page offers 1,500.
pub const TRACES_MAX: usize = 1_500;

const NANOS_PER_MICRO: i64 = 1_000;

/// Tags of a search; each is looked for in several places.
pub const TAGS_MAX: usize = 32;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Any if empty.
    pub service: String,
    /// Any if empty.
    pub operation: String,
    pub tags: Vec<(String, String)>,
    /// Start of the span, nanoseconds since the epoch, both inclusive.
    pub from: i64,
    pub to: i64,
    /// Duration of the span, nanoseconds, both inclusive.
    pub duration_min: Option<i64>,
    pub duration_max: Option<i64>,
    pub traces_max: usize,
    /// Nothing is adjusted.
    pub is_raw: bool,
}

impl Question {
    /// The last microsecond is in it: rows are found by microseconds, and so are times of v1.
    pub fn range(&self) -> TimeRange {
        TimeRange { from: UnixNanos(self.from), to: UnixNanos(self.to.saturating_add(NANOS_PER_MICRO)) }
    }

    pub fn query(&self) -> Query {
        let service = Some(&self.service).filter(|name| !name.is_empty());
        let operation = Some(&self.operation).filter(|name| !name.is_empty());
        let mut conditions: Vec<_> = service.map(|name| of_service(name)).into_iter().collect();
        conditions.extend(operation.map(|name| named(name)));
        conditions.extend(lasted(self.duration_min, self.duration_max));
        conditions.extend(self.tags.iter().map(|(key, value)| tagged(key, value)));
        query(conditions)
    }
}

#[cfg(test)]
mod tests {
    use meshlake_query::traceql_language::parse;

    use super::*;

    fn check(question: &Question, want: &str) {
        assert_eq!(question.query(), parse(want).expect("TraceQL"), "{}", question.query());
    }

    #[test]
    fn conditions_are_of_one_span() {
        let asked = Question { service: "a \"b\"".to_owned(), ..Question::default() };
        check(&Question::default(), "{}");
        check(&asked, r#"{ resource.service.name = "a \"b\"" }"#);
        let all = Question {
            operation: "GET /".to_owned(),
            duration_min: Some(1_500_000),
            duration_max: Some(2_000_000_000),
            tags: vec![("k".to_owned(), "v".to_owned())],
            ..asked
        };
        let want = r#"{ resource.service.name = "a \"b\"" && name = "GET /" && duration >= 1500us && duration <= 2s
            && (span.k = "v" || resource.k = "v" || event.k = "v") }"#;
        check(&all, want);
    }

    #[test]
    fn both_ends_are_in_the_range() {
        let range = Question { from: 5, to: 9, ..Question::default() }.range();
        assert_eq!((range.from, range.to), (UnixNanos(5), UnixNanos(1_009)));
        assert_eq!(Question { to: i64::MAX, ..Question::default() }.range().to, UnixNanos(i64::MAX));
    }
}
