//! What cells are told apart by beside their ends, read back so that wider cells can be made of narrow ones.
//!
//! Only what the widest table tells is read: cells are added up for it, and what it leaves out need not be known.

use arrow::array::RecordBatch;
use meshlake_schema::rows::{IntegerLists, Integers, RowsError, Text};
use meshlake_schema::{LatencyHistogram, Table, read_columns};

use super::numbers::histogram;
use crate::detail::{Detail, Observer};
use crate::measure::Sizes;

read_columns! {
    struct Columns of Table::Calls10m {
        observer: Text,
        source_cluster: Text,
        source_principal: Text,
        destination_cluster: Text,
        destination_principal: Text,
        response_code: Integers,
        grpc_status: Integers,
        response_flags: Text,
        connection_security_policy: Text,
        refusal: Text,
        catch_all: Text,
        request_size_zero_milli: Integers,
        request_size_buckets: IntegerLists,
        request_size_counts_milli: IntegerLists,
        response_size_zero_milli: Integers,
        response_size_buckets: IntegerLists,
        response_size_counts_milli: IntegerLists,
    }
}

/// The names of the columns that are read.
pub const NAMES: &[&str] = Columns::NAMES;

/// The columns of a batch.
pub struct Whole<'a> {
    columns: Columns<'a>,
}

impl<'a> Whole<'a> {
    /// # Errors
    /// A bug of ours: the batch is not one of columns of a settled table.
    pub fn of(batch: &'a RecordBatch) -> Result<Whole<'a>, RowsError> {
        Ok(Whole { columns: Columns::of(batch)? })
    }

    pub fn detail(&self, row: usize) -> Detail<'a> {
        let columns = &self.columns;
        Detail {
            observer: Observer::named(columns.observer.get(row).unwrap_or_default()),
            source_cluster: columns.source_cluster.named(row),
            source_principal: columns.source_principal.named(row),
            destination_cluster: columns.destination_cluster.named(row),
            destination_principal: columns.destination_principal.named(row),
            response_code: columns.response_code.get(row),
            grpc_status: columns.grpc_status.get(row),
            response_flags: columns.response_flags.named(row),
            security: columns.connection_security_policy.named(row),
            refusal: columns.refusal.named(row),
            catch_all: columns.catch_all.named(row),
            ..Detail::default()
        }
    }

    pub fn sizes(&self, row: usize) -> Sizes {
        let Columns { request_size_zero_milli, request_size_buckets, request_size_counts_milli, .. } =
            &self.columns;
        let Columns { response_size_zero_milli, response_size_buckets, response_size_counts_milli, .. } =
            &self.columns;
        Sizes {
            request: size(row, request_size_zero_milli, request_size_buckets, request_size_counts_milli),
            response: size(row, response_size_zero_milli, response_size_buckets, response_size_counts_milli),
        }
    }
}

/// Cells do not tell the smallest and the largest size, and no table asks for them.
fn size(
    row: usize,
    zeros: &Integers<'_>,
    buckets: &IntegerLists<'_>,
    counts: &IntegerLists<'_>,
) -> LatencyHistogram {
    histogram(zeros.or_zero(row), buckets.get(row), counts.get(row), 0, i64::MAX)
}
