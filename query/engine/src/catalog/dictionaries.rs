//! The distinct texts of columns, told by the dictionaries of files.
//!
//! A column of few texts in many rows lies in a file as indices into dictionaries, one a row group, each of which has every text
//! once: to read those takes kilobytes where all rows would be hundreds of megabytes. A dictionary tells what there is if all pages
//! of its row group are indices, and whose it is if all rows of the group are of one tenant. Where either is not so, the file is
//! named for whoever asks to scan it. What is in memory is not told either.
//!
//! Limits: a row group of which some rows are in the range is told whole; dictionaries beyond [`DICTIONARY_BYTES_MAX`] are not read.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::Result;
use datafusion::parquet::basic::Encoding;
use datafusion::parquet::column::page::{Page, PageReader};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::serialized_reader::SerializedPageReader;
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::schema::types::SchemaDescriptor;
use futures::{StreamExt, TryStreamExt, stream};
use meshlake_schema::TimeRange;
use meshlake_store::snapshot::DataFile;
use object_store::{ObjectStore, ObjectStoreExt};

use super::files::object_meta;
use super::only_store::{FOOTER_READ_BYTES, OnlyStore};

/// Ours are of a megabyte at most; a file of another writer may say anything.
const DICTIONARY_BYTES_MAX: u64 = 4 << 20;

/// Files that are read at the same time; local ones take no time, remote ones mostly wait.
const READS_MAX: usize = 16;

const TENANT: Texts = Texts::Column("tenant");
const TIME: Texts = Texts::Column("time");

/// Which texts of rows are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Those of a column.
    Column(&'static str),
    /// The keys of a map: a column, or a field of a list of structs.
    Keys(&'static [&'static str]),
    /// The name of the column, if it has any value.
    Named(&'static str),
}

/// What files tell.
#[derive(Debug, Default)]
pub struct Told {
    /// One set for each of [`Texts`] that was asked for.
    pub texts: Vec<BTreeSet<String>>,
    /// Files that may have more.
    pub untold: Vec<DataFile>,
}

/// The texts of a tenant's rows in those files that have rows of `range`.
///
/// # Errors
/// When a footer or a dictionary cannot be read.
pub async fn told(
    session: &dyn Session,
    files: &[DataFile],
    tenant: &str,
    asked: &[Texts],
    range: TimeRange,
) -> Result<Told> {
    let store = &session.runtime_env().object_store(OnlyStore::url())?;
    let footers = &session.runtime_env().cache_manager.get_file_metadata_cache();
    let range = range.from.micros()..=range.to.micros();
    let has_any =
        |file: &&DataFile| file.time_min_micros <= *range.end() && *range.start() <= file.time_max_micros;
    let of_file = |file: DataFile| {
        let range = range.clone();
        async move {
            let meta = object_meta(&file);
            let footer = DFParquetMetadata::new(store.as_ref(), &meta)
                .with_metadata_size_hint(Some(FOOTER_READ_BYTES))
                .with_file_metadata_cache(Some(Arc::clone(footers)))
                .fetch_metadata()
                .await?;
            let Some(groups) = groups(&footer, tenant, &range) else { return Ok((file, None)) };
            let mut texts = Vec::new();
            for asked in asked {
                match of_groups(store.as_ref(), &meta.location, &footer, &groups, *asked).await? {
                    Some(found) => texts.push(found),
                    None => return Ok((file, None)),
                }
            }
            Ok::<_, datafusion::error::DataFusionError>((file, Some(texts)))
        }
    };
    let files: Vec<DataFile> = files.iter().filter(has_any).cloned().collect();
    let mut read = stream::iter(files.into_iter().map(of_file)).buffered(READS_MAX);
    let mut told = Told { texts: vec![BTreeSet::new(); asked.len()], untold: Vec::new() };
    while let Some((file, texts)) = read.try_next().await? {
        match texts {
            Some(texts) => told.texts.iter_mut().zip(texts).for_each(|(all, texts)| all.extend(texts)),
            None => told.untold.push(file),
        }
    }
    Ok(told)
}

/// The row groups of a tenant that have rows of the range; none if some are of several tenants.
fn groups<'f>(
    footer: &'f ParquetMetaData,
    tenant: &str,
    range: &std::ops::RangeInclusive<i64>,
) -> Option<Vec<&'f RowGroupMetaData>> {
    let schema = footer.file_metadata().schema_descr();
    let (of_tenant, of_time) = (leaf(schema, TENANT)?, leaf(schema, TIME)?);
    let mut own = Vec::new();
    for group in footer.row_groups() {
        let is_own = only_text(group.column(of_tenant))? == tenant;
        if is_own && may_have(group.column(of_time), range) {
            own.push(group);
        }
    }
    Some(own)
}

/// Whether there may be a time of the range, microseconds.
fn may_have(times: &ColumnChunkMetaData, range: &std::ops::RangeInclusive<i64>) -> bool {
    let Some(Statistics::Int64(times)) = times.statistics() else { return true };
    let is_before = times.max_opt().is_some_and(|max| max < range.start());
    let is_behind = times.min_opt().is_some_and(|min| min > range.end());
    !is_before && !is_behind
}

/// The text of all rows; none if there may be several.
fn only_text(column: &ColumnChunkMetaData) -> Option<&str> {
    let Some(Statistics::ByteArray(texts)) = column.statistics() else { return None };
    let is_exact = texts.min_is_exact() && texts.max_is_exact() && texts.null_count_opt() == Some(0);
    let (min, max) = (texts.min_opt()?, texts.max_opt()?);
    (is_exact && min == max).then(|| min.as_utf8().ok()).flatten()
}

async fn of_groups(
    store: &dyn ObjectStore,
    location: &object_store::path::Path,
    footer: &ParquetMetaData,
    groups: &[&RowGroupMetaData],
    asked: Texts,
) -> Result<Option<BTreeSet<String>>> {
    let mut found = BTreeSet::new();
    // Files of older versions lack columns, and then have no values of them.
    let Some(leaf) = leaf(footer.file_metadata().schema_descr(), asked) else { return Ok(Some(found)) };
    for group in groups {
        let column = group.column(leaf);
        let nulls = column.statistics().and_then(Statistics::null_count_opt);
        if nulls.is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values())) {
            continue;
        }
        if let Texts::Named(name) = asked {
            if nulls.is_none() {
                return Ok(None);
            }
            found.insert(name.to_owned());
            continue;
        }
        let Some(range) = dictionary(column) else { return Ok(None) };
        let length = range.end - range.start;
        let bytes = store.get_range(location, range).await?;
        match texts(bytes, column, length, group.num_rows()) {
            Some(texts) => found.extend(texts),
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// Where the dictionary of a chunk lies, if all of its values are in it.
fn dictionary(column: &ColumnChunkMetaData) -> Option<std::ops::Range<u64>> {
    let are_indices = column.page_encoding_stats_mask().is_some_and(|encodings| {
        encodings.is_only(Encoding::RLE_DICTIONARY) || encodings.is_only(Encoding::PLAIN_DICTIONARY)
    });
    let start = u64::try_from(column.dictionary_page_offset()?).ok()?;
    let end = u64::try_from(column.data_page_offset()).ok()?;
    (are_indices && start < end && end - start <= DICTIONARY_BYTES_MAX).then_some(start..end)
}

/// The texts of a dictionary page; none if it is no such page, or damaged: a scan says what is wrong with it.
fn texts(bytes: Bytes, column: &ColumnChunkMetaData, length: u64, rows: i64) -> Option<Vec<String>> {
    let length = i64::try_from(length).ok()?;
    let alone = column
        .clone()
        .into_builder()
        .set_dictionary_page_offset(Some(0))
        .set_data_page_offset(length)
        .set_total_compressed_size(length)
        .build()
        .ok()?;
    let mut pages =
        SerializedPageReader::new(Arc::new(bytes), &alone, usize::try_from(rows).ok()?, None).ok()?;
    let Some(Page::DictionaryPage { buf, num_values, .. }) = pages.get_next_page().ok()? else { return None };
    let mut texts = Vec::new();
    let mut rest = buf.as_ref();
    for _ in 0..num_values {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        texts.push(std::str::from_utf8(text).ok()?.to_owned());
        rest = behind;
    }
    rest.is_empty().then_some(texts)
}

/// The column among the leaves of a file.
fn leaf(schema: &SchemaDescriptor, asked: Texts) -> Option<usize> {
    // What the format puts around fields of lists and maps.
    const AROUND: [&str; 3] = ["list", "element", "key_value"];
    let is_meant = |leaf: &usize| {
        let column = schema.column(*leaf);
        let parts = column.path().parts().iter().map(String::as_str).filter(|part| !AROUND.contains(part));
        match asked {
            Texts::Column(name) | Texts::Named(name) => parts.eq([name]),
            Texts::Keys(path) => parts.eq(path.iter().copied().chain(["key"])),
        }
    };
    (0..schema.num_columns()).find(is_meant)
}
