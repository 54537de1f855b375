//! Writes batches of rows, in the order given, as one Parquet file whose pages carry checksums.
//!
//! `ArrowWriter` does the same without the checksums, and leaves no place to put them in. Limits: holds the
//! compressed pages of one row group, and all columns' encoders; [`super::encode`] does with one column's.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use super::checksums::Pages;

/// A file under way.
pub(super) struct RowGroups {
    schema: SchemaRef,
    writer: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    pages: Pages,
    /// One per leaf column of the group that is open; none before its first row.
    columns: Vec<ArrowColumnWriter>,
    /// Rows of the group that is open.
    rows: usize,
    max: GroupMax,
}

/// When a group ends: it has so many rows, or it takes so many bytes of memory, pages and encoders.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupMax {
    pub rows: usize,
    pub bytes: usize,
}

impl RowGroups {
    /// Groups are as large as `max` allows, to a batch where bytes end them, but for the last.
    pub fn new(
        schema: &SchemaRef,
        parquet_schema: &SchemaDescriptor,
        properties: WriterProperties,
        max: GroupMax,
    ) -> Result<Self> {
        let root = parquet_schema.root_schema_ptr();
        let writer = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties))?;
        let pages = Pages::default();
        let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(schema))
            .with_page_store_factory(Arc::new(pages.clone()));
        let (schema, columns) = (Arc::clone(schema), Vec::new());
        Ok(RowGroups { schema, writer, factory, pages, columns, rows: 0, max })
    }

    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let mut written = 0;
        while written < rows.num_rows() {
            let count = (rows.num_rows() - written).min(self.max.rows - self.rows);
            self.write_within_group(&rows.slice(written, count))?;
            written += count;
            if self.rows == self.max.rows || self.group_bytes() >= self.max.bytes {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Bytes of ended groups that were not taken yet.
    pub fn ready_bytes(&self) -> usize {
        self.writer.inner().len()
    }

    pub fn take_ready(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// Writes `bytes` behind the rows so far, which no reader of rows looks at; `place` makes the footer's entry
    /// of their offset in the file. The group under way ends before.
    pub fn append(&mut self, bytes: &[u8], place: impl FnOnce(usize) -> KeyValue) -> Result<()> {
        self.end_group()?;
        let place = place(self.writer.bytes_written());
        self.writer.write_all(bytes)?;
        self.writer.append_key_value_metadata(place);
        Ok(())
    }

    /// Ends the file; its last bytes are then ready.
    pub fn finish(&mut self) -> Result<ParquetMetaData> {
        self.end_group()?;
        self.writer.finish()
    }

    fn write_within_group(&mut self, rows: &RecordBatch) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = self.factory.create_column_writers(self.writer.flushed_row_groups().len())?;
        }
        let mut columns = self.columns.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            for leaf in compute_leaves(field, column)? {
                let writer = columns.next();
                writer
                    .ok_or_else(|| ParquetError::General(format!("no writer for {field}")))?
                    .write(&leaf)?;
            }
        }
        self.rows += rows.num_rows();
        Ok(())
    }

    /// What the group that is open takes in memory.
    fn group_bytes(&self) -> usize {
        self.pages.bytes() + self.columns.iter().map(ArrowColumnWriter::memory_size).sum::<usize>()
    }

    fn end_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        // Growing to this by doubling would take as much again.
        let group_bytes = self.group_bytes();
        self.writer.inner_mut().reserve_exact(group_bytes);
        let mut group = self.writer.next_row_group()?;
        for (index, column) in self.columns.drain(..).enumerate() {
            self.pages.append(index, column.close()?, &mut group)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use meshlake_schema::Table;
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::RowGroupMetaData;

    use super::*;
    use crate::test_rows::{MIDNIGHT, rows};

    /// Batches that end within groups, at their ends, and reach over several.
    #[test]
    fn groups_are_full_but_for_the_last_and_hold_the_rows_in_order() {
        let times: Vec<i64> = (0..25).map(|i| MIDNIGHT + i).collect();
        let all = rows(Table::MetricSummaries, &times);
        let schema = all.rows().schema();
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema).expect("a schema");
        let properties = WriterProperties::builder().build();
        let max = GroupMax { rows: 4, bytes: usize::MAX };
        let mut file = RowGroups::new(&schema, &parquet_schema, properties, max).expect("a writer");
        for (start, count) in [(0, 3), (3, 1), (4, 0), (4, 9), (13, 12)] {
            file.write(&all.rows().slice(start, count)).expect("written");
        }
        let mut bytes = file.take_ready();
        file.finish().expect("finished");
        bytes.extend(file.take_ready());
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect("Parquet");
        let groups: Vec<i64> =
            reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(groups, [4, 4, 4, 4, 4, 4, 1]);
        let read: Vec<_> = reader.build().expect("reader").map(|batch| batch.expect("rows")).collect();
        let read = concat_batches(&read[0].schema(), &read).expect("one schema");
        assert_eq!(read.column_by_name("time"), all.rows().column_by_name("time"));
    }

    /// Of three batches the first is within the bytes, and the second is the first that is not.
    #[test]
    fn a_group_ends_with_the_batch_that_reaches_the_bytes() {
        let times: Vec<i64> = (0..300).map(|i| MIDNIGHT + i).collect();
        let all = rows(Table::Spans, &times);
        let schema = all.rows().schema();
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema).expect("a schema");
        let bytes_after = |batches: usize| {
            let max = GroupMax { rows: usize::MAX, bytes: usize::MAX };
            let properties = WriterProperties::builder().build();
            let mut file = RowGroups::new(&schema, &parquet_schema, properties, max).expect("a writer");
            file.write(&all.rows().slice(0, 100 * batches)).expect("written");
            file.group_bytes()
        };
        let max = GroupMax { rows: usize::MAX, bytes: bytes_after(1) + 1 };
        assert!(bytes_after(2) >= max.bytes, "more rows take more");
        let properties = WriterProperties::builder().build();
        let mut file = RowGroups::new(&schema, &parquet_schema, properties, max).expect("a writer");
        for batch in 0..3 {
            file.write(&all.rows().slice(100 * batch, 100)).expect("written");
        }
        let metadata = file.finish().expect("finished");
        let groups: Vec<i64> = metadata.row_groups().iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(groups, [200, 100]);
    }
}
