//! Tells a scan what the footers of its files say.
//!
//! A lean one: which text columns to hand out as dictionaries: files do not say so, because the same plain types suit every other
//! reader, and DataFusion would cast, which writes a file's own dictionary out row by row and puts it together
//! again. So the Parquet reader is given a schema for each file, which has to have exactly the file's columns; files of
//! older versions lack some. And which columns have one value in all rows, so that nothing of them is read.
//! Footers are read while the scan is planned, and stay in the cache in which the scan looks for them.
//!
//! Every scan: whether all rows are of one tenant, by the footers that are in the cache already. So statements that are
//! asked again and again, as those of dashboards are, need not read and compare a tenant for each row.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;

use super::columns::Seen;
use super::files::{FileScan, object_meta};
use super::only_store::{FOOTER_READ_BYTES, OnlyStore};
use super::page_search::constants::{constants, is_always};

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
        let footer = footer(&scan, None, store.as_ref(), footers).await?;
        let schema = parquet_to_arrow_schema(footer.file_metadata().schema_descr(), None)?;
        let schema = Some(Arc::new(seen.of_file(&schema)));
        Ok(FileScan { schema, constants: constants(&footer, &seen.files), ..scan })
    };
    stream::iter(files.into_iter().map(with_footer)).buffered(READS_MAX).try_collect().await
}

/// Whether footers that were read before say that `column` is `text` in all rows of `files`. Reads nothing: of a file whose
/// footer was not read it is not known.
///
/// # Errors
/// None that comes of reading.
pub async fn are_known_always(
    files: &[FileScan],
    column: &str,
    text: &str,
    seen: &Seen,
    session: &dyn Session,
) -> Result<bool> {
    let store = session.runtime_env().object_store(OnlyStore::url())?;
    let footers = session.runtime_env().cache_manager.get_file_metadata_cache();
    for scan in files {
        if footers.get(&object_meta(&scan.file).location).is_none() {
            return Ok(false);
        }
        let footer = footer(scan, Some(PageIndexPolicy::Skip), store.as_ref(), &footers).await?;
        if !is_always(&footer, &seen.files, column, text) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The footer of a file, from the cache if it is there; with its index of pages where `pages` or nobody says otherwise.
async fn footer(
    scan: &FileScan,
    pages: Option<PageIndexPolicy>,
    store: &dyn ObjectStore,
    footers: &Arc<FileMetadataCache>,
) -> Result<Arc<ParquetMetaData>> {
    let meta = object_meta(&scan.file);
    DFParquetMetadata::new(store, &meta)
        .with_metadata_size_hint(Some(FOOTER_READ_BYTES))
        .with_file_metadata_cache(Some(Arc::clone(footers)))
        .with_page_index_policy(pages)
        .fetch_metadata()
        .await
}
