//! Two traces, operation by operation: what came, what went, and what took longer by itself.
//!
//! Spans are told apart by service and operation and not by place, because the same request takes another way when a cache is
//! cold or a call is tried again, and then no place in one tree has its like in the other. Times are self times, so that a
//! slow callee is not counted again at each of its callers.

use std::collections::BTreeMap;

use meshlake_engine::{Query, QueryError};

use super::anatomy::{Anatomy, anatomy};

/// One operation in both traces. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub service: String,
    pub name: String,
    pub base: Side,
    pub other: Side,
}

/// An operation's spans in one trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    pub spans: usize,
    pub errors: usize,
    pub self_nanos: i64,
    pub critical_nanos: i64,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Gone,
    /// In both, however often.
    Kept,
}

/// Two traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    pub base: Anatomy,
    pub other: Anatomy,
    /// By how much self time differs, most first.
    pub differences: Vec<Difference>,
}

impl Difference {
    pub fn change(&self) -> Change {
        match (self.base.spans, self.other.spans) {
            (0, _) => Change::Added,
            (_, 0) => Change::Gone,
            _ => Change::Kept,
        }
    }

    /// How much longer it took by itself in the other trace.
    pub fn self_nanos(&self) -> i64 {
        self.other.self_nanos - self.base.self_nanos
    }
}

impl Change {
    pub const fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Gone => "gone",
            Change::Kept => "kept",
        }
    }
}

/// The traces of two ids; the id of the first that has no spans otherwise.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn compared<'a>(
    query: &Query,
    base: &'a str,
    other: &'a str,
) -> Result<Result<Compared, &'a str>, QueryError> {
    let Some(base) = anatomy(query, base).await? else { return Ok(Err(base)) };
    let Some(other) = anatomy(query, other).await? else { return Ok(Err(other)) };
    let differences = differences(&base, &other);
    Ok(Ok(Compared { base, other, differences }))
}

fn differences(base: &Anatomy, other: &Anatomy) -> Vec<Difference> {
    let mut found: BTreeMap<(&str, &str), [Side; 2]> = BTreeMap::new();
    for (at, anatomy) in [base, other].into_iter().enumerate() {
        for operation in &anatomy.operations {
            let sides = found.entry((&operation.service, &operation.name)).or_default();
            sides[at] = Side {
                spans: operation.spans,
                errors: operation.errors,
                self_nanos: operation.self_nanos,
                critical_nanos: operation.critical_nanos,
            };
        }
    }
    let difference = |((service, name), [base, other]): ((&str, &str), [Side; 2])| Difference {
        service: service.to_owned(),
        name: name.to_owned(),
        base,
        other,
    };
    let mut differences: Vec<Difference> = found.into_iter().map(difference).collect();
    differences.sort_by_key(|difference| std::cmp::Reverse(difference.self_nanos().abs()));
    differences
}

#[cfg(test)]
mod tests {
    use super::super::anatomy::dissected;
    use super::super::anatomy::tests::span;
    use super::*;

    /// b is called twice where it was called once, c no more, d instead. a's own: 100 - 40 - 20 = 40, then 200 - 110 - 30 = 60.
    #[test]
    fn operations_are_added_gone_or_took_another_time() {
        let base =
            [span("r", "", "a", (0, 100)), span("1", "r", "b", (10, 50)), span("2", "r", "c", (60, 80))];
        let other = [
            span("x", "", "a", (0, 200)),
            span("y", "x", "b", (10, 60)),
            span("z", "x", "b", (60, 120)),
            span("w", "x", "d", (120, 150)),
        ];
        let told: Vec<_> = differences(&dissected(&base), &dissected(&other))
            .iter()
            .map(|found| {
                let (base, other) = (found.base, found.other);
                (found.service.clone(), found.change().name(), base.spans, other.spans, found.self_nanos())
            })
            .collect();
        let want = [
            ("b", "kept", 1, 2, 70),
            ("d", "added", 0, 1, 30),
            ("a", "kept", 1, 1, 20),
            ("c", "gone", 1, 0, -20),
        ];
        assert_eq!(
            told,
            want.map(|(name, change, base, other, by)| (name.to_owned(), change, base, other, by))
        );
    }
}
