//! The rows of several sorted files in one order, slice by slice.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use meshlake_schema::Table;

use super::input::{Input, InputBytes, InputFile, Keys, merged_schema};
use crate::files::{FileError, Origin};

/// Rows gathered at a time: a few runs of each input, and a slice of attributes stays under 10 MB.
const SLICE_ROWS: usize = 16_384;

/// The inputs, each at its next row. Equal keys come in the order of the inputs.
pub(super) struct SortedRows {
    schema: SchemaRef,
    keys: Keys,
    /// Those that have rows left.
    inputs: Vec<Input>,
    origin: Origin,
    rows_total: u64,
}

/// Rows of one batch that go out together.
#[derive(Debug, Clone, Copy)]
struct Run {
    batch: usize,
    start: usize,
    end: usize,
}

impl SortedRows {
    /// Opens the files and reads a batch of each.
    pub fn open(table: Table, sources: Vec<InputBytes>) -> Result<Self, FileError> {
        let files: Vec<InputFile> =
            sources.into_iter().map(|source| InputFile::open(table, source)).collect::<Result<_, _>>()?;
        let collectors: HashSet<u128> = files.iter().map(|file| file.origin().collector_id).collect();
        if collectors.len() > 1 {
            return Err(FileError::Rows("the files are of several collectors".to_owned()));
        }
        let origin = files.iter().map(InputFile::origin).reduce(Origin::joined);
        let origin = origin.ok_or_else(|| FileError::Rows("a merge needs files".to_owned()))?;
        let schema = merged_schema(table, &files);
        let rows_total = files.iter().map(InputFile::rows).sum();
        let keys = Keys::new(table, &schema)?;
        let inputs = files.into_iter().map(|file| file.start(&schema, &keys));
        let inputs: Vec<Option<Input>> = inputs.collect::<Result<_, _>>()?;
        Ok(SortedRows { schema, keys, inputs: inputs.into_iter().flatten().collect(), origin, rows_total })
    }

    /// The table's columns, strings as views, nullable where an input lacks them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The records of all inputs.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Rows of all inputs, as their footers say.
    pub fn rows_total(&self) -> u64 {
        self.rows_total
    }

    /// The next rows in order, at most [`SLICE_ROWS`]; none at the end.
    pub fn next_slice(&mut self) -> Result<Option<RecordBatch>, FileError> {
        if self.inputs.is_empty() {
            return Ok(None);
        }
        // The batches whose rows go out now, and where each input's current one is among them.
        let mut batches: Vec<RecordBatch> = self.inputs.iter().map(|input| input.batch().clone()).collect();
        let mut current: Vec<usize> = (0..batches.len()).collect();
        let mut runs = Vec::new();
        let mut room = SLICE_ROWS;
        while room > 0 && !self.inputs.is_empty() {
            let first = self.smallest();
            let (start, end) = self.take_run(first, room);
            runs.push(Run { batch: current[first], start, end });
            room -= end - start;
            if !self.inputs[first].is_spent() {
                continue;
            }
            if self.inputs[first].load(&self.schema, &self.keys)? {
                current[first] = batches.len();
                batches.push(self.inputs[first].batch().clone());
            } else {
                self.inputs.remove(first);
                current.remove(first);
            }
        }
        self.gather(&batches, &runs).map(Some)
    }

    /// The input with the smallest next row, the first of equals.
    fn smallest(&self) -> usize {
        let indices = 0..self.inputs.len();
        indices.min_by_key(|index| (self.inputs[*index].key(), *index)).expect("the caller has inputs left")
    }

    /// Takes at most `room` rows of input `first`, up to where another input's next row comes before.
    fn take_run(&mut self, first: usize, room: usize) -> (usize, usize) {
        let others = self.inputs.iter().enumerate().filter(|(index, _)| *index != first);
        let bound = others.map(|(index, input)| (input.key(), index)).min();
        let input = &self.inputs[first];
        let start = input.next();
        let limit = input.len().min(start + room);
        let comes_next = |row: usize| bound.is_none_or(|bound| (input.key_at(row), first) < bound);
        let end = (start + 1..limit).find(|row| !comes_next(*row)).unwrap_or(limit);
        self.inputs[first].skip_to(end);
        (start, end)
    }

    fn gather(&self, batches: &[RecordBatch], runs: &[Run]) -> Result<RecordBatch, FileError> {
        let rows = runs.iter().flat_map(|run| (run.start..run.end).map(|row| (run.batch, row)));
        let rows: Vec<(usize, usize)> = rows.collect();
        let column = |position: usize| -> Result<ArrayRef, FileError> {
            let columns: Vec<_> = batches.iter().map(|batch| batch.column(position).as_ref()).collect();
            // Most optional columns have no value at all.
            if columns.iter().all(|column| column.null_count() == column.len()) {
                return Ok(new_null_array(self.schema.field(position).data_type(), rows.len()));
            }
            Ok(interleave(&columns, &rows)?)
        };
        let columns = (0..self.schema.fields().len()).map(column).collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
