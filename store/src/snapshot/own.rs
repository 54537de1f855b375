//! The rows of a batch that are one tenant's.

use arrow::array::{Array as _, AsArray as _, BooleanArray, DictionaryArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use meshlake_schema::{Table, TableBatch};

use super::ReadError;

const TENANT_COLUMN: &str = "tenant";

/// Chooses columns, and a tenant's rows, of a table's batches.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    tenant: String,
    columns: Vec<usize>,
}

impl Own {
    /// `columns` of `table`, in that order, of the rows of `tenant`.
    ///
    /// # Errors
    /// Names a column that the table does not have.
    pub fn new(table: Table, tenant: &str, columns: &[String]) -> Result<Self, ReadError> {
        let place = |column: &String| {
            let place = table.schema().index_of(column);
            place.map_err(|_| ReadError(format!("table {} has no column {column}", table.name())))
        };
        let columns = columns.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Own { tenant: tenant.to_owned(), columns })
    }

    /// The tenant's rows of `batch`, none when there are none. Nothing is copied of a batch that is all the
    /// tenant's; of another only the columns chosen. Its dictionaries may hold texts that only others' rows had.
    ///
    /// # Errors
    /// When Arrow refuses, which it has no reason to.
    pub fn rows(&self, batch: &TableBatch) -> Result<Option<RecordBatch>, ReadError> {
        let own = rows_of(batch.rows(), &self.tenant);
        let chosen = || batch.rows().project(&self.columns);
        let rows = match own {
            Rows::None => return Ok(None),
            Rows::All => chosen(),
            Rows::Some(own) => chosen().and_then(|rows| filter_record_batch(&rows, &own)),
        };
        rows.map(Some).map_err(refused)
    }

    /// As [`Own::rows`], with all columns, still proven to be the table's.
    pub fn whole_rows(&self, batch: &TableBatch) -> Result<Option<TableBatch>, ReadError> {
        let own = match rows_of(batch.rows(), &self.tenant) {
            Rows::None => return Ok(None),
            Rows::All => return Ok(Some(batch.clone())),
            Rows::Some(own) => own,
        };
        let rows = filter_record_batch(batch.rows(), &own).map_err(refused)?;
        Ok(Some(TableBatch::try_new(batch.table(), rows).expect("some rows of a batch have its columns")))
    }
}

/// Every tenant of `rows`, and perhaps some that have none.
pub(super) fn tenants_of(rows: &RecordBatch) -> impl Iterator<Item = String> {
    let names = tenant_column(rows).values().as_string::<i32>();
    names.iter().flatten().map(str::to_owned)
}

fn tenant_column(rows: &RecordBatch) -> &DictionaryArray<Int32Type> {
    rows.column_by_name(TENANT_COLUMN).expect("every table says whose its rows are").as_dictionary()
}

pub(super) fn refused(error: impl std::fmt::Display) -> ReadError {
    ReadError(format!("choose buffered rows: {error}"))
}

enum Rows {
    None,
    All,
    Some(BooleanArray),
}

/// A look at the dictionary is enough where a batch has one tenant, as nearly all have.
fn rows_of(rows: &RecordBatch, tenant: &str) -> Rows {
    let column = tenant_column(rows);
    let names = column.values().as_string::<i32>();
    let is_own: Vec<bool> = names.iter().map(|name| name == Some(tenant)).collect();
    if !is_own.contains(&true) {
        return Rows::None;
    }
    if !is_own.contains(&false) && column.null_count() == 0 {
        return Rows::All;
    }
    let own: BooleanArray =
        column.keys().iter().map(|key| Some(key.is_some_and(|key| is_own[key as usize]))).collect();
    match own.true_count() {
        0 => Rows::None,
        count if count == rows.num_rows() => Rows::All,
        _ => Rows::Some(own),
    }
}
