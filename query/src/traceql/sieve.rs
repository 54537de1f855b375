//! A query held against spans one by one, for who takes rows as they come and never has a trace whole.

use arrow::array::RecordBatch;
use meshlake_schema::rows::RowsError;
use meshlake_traceql::Selected;
use meshlake_traceql::tree::{Body, Expr, Query};

use super::error::Error;
use super::needs::Needs;
use super::rows::SpanRows;

/// What a span has to be.
#[derive(Debug, Clone)]
pub struct Sieve {
    /// None if any span is wanted.
    condition: Option<Expr>,
    columns: Vec<&'static str>,
}

impl Sieve {
    /// # Errors
    /// [`Error::OtherKind`] for a query of series, and for one that asks how spans of a trace stand to each other.
    pub fn new(query: &Query) -> Result<Sieve, Error> {
        let selected = Selected::of(query);
        match query.body {
            Body::Series(_) => Err(Error::OtherKind("spans are asked for, and this query makes series")),
            Body::Spans(_) if !selected.is_alone => Err(Error::OtherKind(
                "spans are looked at one by one, and this query asks about the traces that they are in",
            )),
            Body::Spans(_) => {
                let columns = Needs::of_condition(selected.condition.as_ref()).columns();
                Ok(Sieve { condition: selected.condition, columns })
            }
        }
    }

    /// Columns of `spans` that it looks at.
    pub fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// The rows of a batch of at least those columns that pass.
    ///
    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn passing(&self, batch: &RecordBatch) -> Result<Vec<usize>, RowsError> {
        Ok(SpanRows::of(batch)?.passing(self.condition.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use meshlake_traceql::parse;

    use super::*;

    fn sieve(query: &str) -> Result<Sieve, String> {
        Sieve::new(&parse(query).expect("TraceQL")).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_one_span_tells_can_be_asked() {
        assert_eq!(sieve("{ }").expect("all spans").columns(), ["time_unix_nano"]);
        let of_name = sieve("{ name = \"a\" } || { status = error }").expect("of spans");
        assert_eq!(of_name.columns(), ["name", "status_code", "time_unix_nano"]);
        for of_traces in ["{ } >> { }", "{ traceDuration > 1s }", "{ } | count() > 2", "{ } && { .a }"] {
            assert!(sieve(of_traces).expect_err(of_traces).contains("traces that they are in"));
        }
        assert!(sieve("{ } | rate()").expect_err("of series").contains("series"));
    }
}
