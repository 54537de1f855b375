//! Finds the rows of one row group that have a wanted id, in the pages of its column.
//!
//! The bloom filter of the row group is asked first, where there is one, so that the pages of most files are
//! never read. A column of ids is flat: a row has one, or none.
//!
//! Limits: one column is searched, whatever else is asked; the engine looks at the rest.

use std::collections::HashSet;
use std::ops::Range;

use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::parquet::basic::Type;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::parquet::column::page::PageReader;
use datafusion::parquet::errors;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::schema::types::SchemaDescriptor;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column as ColumnExpr, InListExpr, Literal};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::page::{Column, unexpected};
use super::wanted::Texts;

/// The largest bloom filter that is read: of 1,048,576 ids at one false one in 100 it takes 2 MiB. Bounds what
/// the footer of another writer can ask for.
const BLOOM_BYTES_MAX: u64 = 4 << 20;

/// The ids that rows may have in a column.
#[derive(Debug)]
pub struct Ids {
    column: String,
    pub ids: Vec<String>,
    pub texts: Texts,
}

impl Ids {
    pub fn new(column: String, ids: Vec<String>) -> Self {
        let texts = Texts::new(ids.iter().map(String::as_str));
        Ids { column, ids, texts }
    }

    pub fn column(&self) -> &str {
        &self.column
    }

    /// Whether a row with any of these ids passes `filter`, a list with all of them. One or two ids are no list, and as soon
    /// compared as told apart.
    pub fn prove(&self, filter: &dyn PhysicalExpr) -> bool {
        let list = filter.downcast_ref::<InListExpr>().filter(|list| !list.negated());
        let is_own = |column: &ColumnExpr| column.name() == self.column;
        let Some(list) = list.filter(|list| list.expr().downcast_ref().is_some_and(is_own)) else {
            return false;
        };
        let literals = list.list().iter().filter_map(|value| value.downcast_ref::<Literal>());
        let texts: HashSet<&str> =
            literals.filter_map(|literal| literal.value().try_as_str().flatten()).collect();
        self.ids.iter().all(|id| texts.contains(id.as_str()))
    }

    /// The column among the leaves of a file.
    pub fn leaf(&self, schema: &SchemaDescriptor) -> Option<usize> {
        let is_own = |leaf: &usize| schema.column(*leaf).path().parts() == [self.column.as_str()];
        let leaf = (0..schema.num_columns()).find(is_own)?;
        (schema.column(leaf).physical_type() == Type::BYTE_ARRAY).then_some(leaf)
    }

    /// What of `asked`, which are rows of a row group of `row_count` rows, lies in pages that may have one by
    /// their bounds. These tell much where rows are sorted by the id, and nothing elsewhere.
    pub fn within_bounds(
        &self,
        footer: &ParquetMetaData,
        group: usize,
        asked: Vec<Range<usize>>,
        row_count: usize,
    ) -> Vec<Range<usize>> {
        let leaf = self.leaf(footer.file_metadata().schema_descr());
        let bounds = leaf.and_then(|leaf| footer.column_index()?.get(group)?.get(leaf));
        let pages = leaf.and_then(|leaf| footer.offset_index()?.get(group)?.get(leaf));
        let (Some(ColumnIndexMetaData::BYTE_ARRAY(bounds)), Some(pages)) = (bounds, pages) else {
            return asked;
        };
        let starts = pages.page_locations().iter().map(|page| usize::try_from(page.first_row_index));
        let Ok(starts) = starts.collect::<Result<Vec<usize>, _>>() else { return asked };
        if starts.len() != bounds.min_values_iter().count() {
            return asked;
        }
        let ends = starts.iter().copied().skip(1).chain([row_count]);
        let may_hold = |page: usize| match (bounds.min_value(page), bounds.max_value(page)) {
            (Some(min), Some(max)) => self.ids.iter().any(|id| (min..=max).contains(&id.as_bytes())),
            _ => true,
        };
        let pages = starts.iter().copied().zip(ends).enumerate().filter(|(page, _)| may_hold(*page));
        let cut = |(_, (start, end)): (usize, (usize, usize))| {
            let cut = asked.iter().map(move |asked| asked.start.max(start)..asked.end.min(end));
            cut.filter(|cut| !cut.is_empty()).collect::<Vec<_>>()
        };
        pages.flat_map(cut).collect()
    }

    /// Whether a row group may have one, by its bloom filter.
    ///
    /// # Errors
    /// When the filter cannot be read; one that makes no sense, or none, says yes.
    pub async fn may_be_in(
        &self,
        store: &dyn ObjectStore,
        file: &ObjectMeta,
        footer: &ParquetMetaData,
        group: usize,
    ) -> Result<bool> {
        let leaf = self.leaf(footer.file_metadata().schema_descr());
        let Some(column) = leaf.and_then(|leaf| footer.row_group(group).columns().get(leaf)) else {
            return Ok(true);
        };
        let start = column.bloom_filter_offset().and_then(|start| u64::try_from(start).ok());
        let length = column.bloom_filter_length().and_then(|length| u64::try_from(length).ok());
        let place = start.zip(length.filter(|length| *length <= BLOOM_BYTES_MAX));
        let place = place.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let Some(place) = place.filter(|place| place.end <= file.size) else { return Ok(true) };
        let bytes = store.get_range(&file.location, place).await;
        let bytes = bytes.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?;
        let filter = Sbbf::from_bytes(&bytes).ok().filter(|filter| filter.num_blocks() > 0);
        Ok(filter.is_none_or(|filter| self.ids.iter().any(|id| filter.check(&id.as_str()))))
    }
}

/// The asked rows of a row group of `row_count` rows that have one of the ids of `column`, in ascending order.
///
/// # Errors
/// When the pages are damaged or of a kind that is not understood; trying again cannot help.
pub fn rows<P: PageReader>(
    mut column: Column<'_, P>,
    asked: &[Range<usize>],
    row_count: usize,
) -> errors::Result<Vec<usize>> {
    if column.has_entries() {
        return unexpected("not a column of ids");
    }
    let mut found = Vec::new();
    while let Some((page, rows)) = column.next(|rows| asks(asked, rows))? {
        let page = column.view(&page)?;
        if page.level_count != rows.len() {
            return unexpected("rows without a value, or with several");
        }
        let mut present = page.present()?;
        'page: for matched in column.matches(&page)? {
            for ordinal in matched.ordinals {
                // The rest fills up the last group of indices.
                let Some(place) = present.position_of(ordinal)? else { break 'page };
                let row = rows.start + place;
                found.extend(asks(asked, &(row..row + 1)).then_some(row));
            }
        }
    }
    // Rows that were not looked at would be missed.
    if column.next_row == row_count { Ok(found) } else { unexpected("rows are missing") }
}

/// Whether some of `rows` are in `asked`, which ascend.
pub fn asks(asked: &[Range<usize>], rows: &Range<usize>) -> bool {
    let after = asked.partition_point(|asked| asked.end <= rows.start);
    asked.get(after).is_some_and(|asked| asked.start < rows.end)
}

/// The ids of the first of `columns` that a conjunct of `filters` wants one of; none if there is no such
/// conjunct.
pub fn wanted_ids(filters: &[Expr], columns: &[&str]) -> Option<Ids> {
    let wanted = |column: &&str| {
        let mut conjuncts = filters.iter().flat_map(split_conjunction);
        let ids = conjuncts.find_map(|conjunct| alternatives(conjunct, column))?;
        Some(Ids::new((*column).to_owned(), ids))
    };
    columns.iter().find_map(wanted)
}

/// The values of which `column` must have one to pass `filter`.
fn alternatives(filter: &Expr, column: &str) -> Option<Vec<String>> {
    let is_own = |expr: &Expr| expr.try_as_col().is_some_and(|own| own.name == column);
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            let mut ids = alternatives(&binary.left, column)?;
            ids.extend(alternatives(&binary.right, column)?);
            Some(ids)
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            let value = match (is_own(&binary.left), is_own(&binary.right)) {
                (true, false) => text(&binary.right),
                (false, true) => text(&binary.left),
                _ => None,
            };
            value.map(|value| vec![value])
        }
        Expr::InList(list) if !list.negated && is_own(&list.expr) => list.list.iter().map(text).collect(),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else { return None };
    value.try_as_str().flatten().map(str::to_owned)
}
