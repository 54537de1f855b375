//! Tells a lean scan what the footers of its files say.
//!
//! Which text columns to hand out as dictionaries: files do not say so, because the same plain types suit every other
//! reader, and DataFusion would cast, which writes a file's own dictionary out row by row and puts it together
//! again. So the Parquet reader is given a schema for each file, which has to have exactly the file's columns; files of
//! older versions lack some. And which columns have one value in all rows, so that nothing of them is read.
//! Footers are read while the scan is planned, and stay in the cache in which the scan looks for them.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use futures::{StreamExt, TryStreamExt, stream};

use super::columns::Seen;
use super::files::{FileScan, object_meta};
use super::only_store::{FOOTER_READ_BYTES, OnlyStore};
use super::page_search::constants::constants;

/// Footers read at the same time; local ones take no time, remote ones mostly wait.
const READS_MAX: usize = 16;

/// `files` with what their footers say, if the reader is lean.
///
/// # Errors
/// When a footer cannot be read.
pub async fn with_footers(files: Vec<FileScan>, seen: &Seen, session: &dyn Session) -> Result<Vec<FileScan>> {
    if !seen.is_lean() {
        return Ok(files);
    }
    let store = &session.runtime_env().object_store(OnlyStore::url())?;
    let footers = &session.runtime_env().cache_manager.get_file_metadata_cache();
    let with_footer = |scan: FileScan| async move {
        let meta = object_meta(&scan.file);
        let footer = DFParquetMetadata::new(store.as_ref(), &meta)
            .with_metadata_size_hint(Some(FOOTER_READ_BYTES))
            .with_file_metadata_cache(Some(Arc::clone(footers)))
            .fetch_metadata()
            .await?;
        let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None)?;
        let schema = Some(Arc::new(seen.of_file(&schema)));
        Ok(FileScan { schema, constants: constants(&footer, &seen.files), ..scan })
    };
    stream::iter(files.into_iter().map(with_footer)).buffered(READS_MAX).try_collect().await
}
