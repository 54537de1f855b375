//! A file as an entry of the log describes it: path, partition, statistics, tags.
//!
//! Files of ours are told from those of other writers by what only ours have. What another writer leaves out is
//! taken to be whatever makes a reader look: any time of the date, rows that came at any time.

use std::collections::HashMap;

use arrow::compute::kernels::cast_utils::{Parser as _, string_to_timestamp_nanos};
use arrow::datatypes::Date32Type;
use deltalake_core::kernel::LogicalFileView;
use meshlake_schema::Table;
use meshlake_schema::tables::DATE_COLUMN;
use object_store::path::Path;

use crate::data_dir::table_path;
use crate::group::Lsn;
use crate::minutes::{FOLDED, MICROS_PER_MINUTE, MINUTES_PER_DAY, MinuteLsns, minute_of};
use crate::snapshot::DataFile;

/// Tag of a file whose rows are all counted in the table that is derived from its own; none for a table that none is.
pub(super) fn derived_tag(table: Table) -> Option<&'static str> {
    match table {
        Table::Spans => Some("in_traces"),
        _ if table.derived().next().is_some() => Some("in_series"),
        _ => None,
    }
}

/// Tag of a file of requests: the date on which the last of its rows came, where that was long after its own.
pub(super) const TAG_CAME: &str = "came";

/// Tag of a file: record numbers by minute, as [`crate::minutes`] writes them.
pub(super) const TAG_MINUTES: &str = "minutes";

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A file as the log describes it; none without a date or a row count, which every file of ours has.
pub(super) fn data_file(table: Table, collector_id: u128, view: &LogicalFileView) -> Option<DataFile> {
    let date = view.partition_values_map().remove(DATE_COLUMN)??;
    let date_days = Date32Type::parse(&date)?;
    let stats: serde_json::Value = serde_json::from_str(&view.stats()?).ok()?;
    let time = |bounds: &str| stats[bounds]["time"].as_str();
    // A file without bounds (another writer's) may hold any time of its date.
    let midnight = i64::from(date_days) * MICROS_PER_DAY;
    let tags = tags(view);
    let tag = |name: &str| tags.get(name).and_then(Option::as_deref);
    let mut file = DataFile {
        path: Path::from(format!("{}/{}", table_path(table), view.object_store_path())),
        size_bytes: u64::try_from(view.size()).ok()?,
        rows: stats["numRecords"].as_u64()?,
        date_days,
        time_min_micros: time("minValues").and_then(micros).unwrap_or(midnight),
        time_max_micros: time("maxValues").and_then(latest_micros).unwrap_or(midnight + MICROS_PER_DAY - 1),
        is_derived_from: derived_tag(table).is_some_and(|name| tag(name) == Some("true")),
        came_days: tag(TAG_CAME).and_then(Date32Type::parse),
        minutes: MinuteLsns::default(),
    };
    let minutes = tag(TAG_MINUTES).and_then(|tag| MinuteLsns::from_tag(tag, collector_id));
    file.minutes = minutes.unwrap_or_else(|| untagged_minutes(table, &file));
    if let (0, Some(run)) = (file.rows, file.minutes.runs().first()) {
        // Cells of minutes in which there are none: no statistics bound them.
        let first_micros = run.first * MICROS_PER_MINUTE;
        (file.time_min_micros, file.time_max_micros) = (first_micros, first_micros);
    }
    Some(file)
}

/// What is known of the minutes of a file without our tag: one of a version before the tag has the last record in its
/// name, which may have brought rows of any time that the file holds. Another writer's rows may have come at any time.
fn untagged_minutes(table: Table, file: &DataFile) -> MinuteLsns {
    if !FOLDED.contains(&table) {
        return MinuteLsns::default();
    }
    let midnight = i64::from(file.date_days) * MINUTES_PER_DAY;
    let of_date = |micros| minute_of(micros).clamp(midnight, midnight + MINUTES_PER_DAY - 1);
    let minutes = of_date(file.time_min_micros)..=of_date(file.time_max_micros);
    MinuteLsns::whole(minutes, last_lsn(&file.path).unwrap_or(Lsn::MAX))
}

/// The last record of a file that is named as ours are, `<window>-<first LSN>-<last LSN>-<random>.parquet`.
fn last_lsn(path: &Path) -> Option<Lsn> {
    let parts: Vec<&str> = path.filename()?.strip_suffix(".parquet")?.split('-').collect();
    let [_window, first, last, random] = parts[..] else { return None };
    let is_ours =
        first.parse::<Lsn>().is_ok() && random.len() == 16 && u64::from_str_radix(random, 16).is_ok();
    last.parse().ok().filter(|_| is_ours)
}

#[expect(deprecated, reason = "the library has no other way to a file's tags")]
fn tags(view: &LogicalFileView) -> HashMap<String, Option<String>> {
    view.add_action().tags.unwrap_or_default()
}

fn micros(iso: &str) -> Option<i64> {
    Some(string_to_timestamp_nanos(iso).ok()?.div_euclid(1_000))
}

/// The latest time that a maximum in statistics may stand for. Other writers cut times to milliseconds, maxima too
/// (Delta protocol, Per-file Statistics); ours write all six digits.
fn latest_micros(iso: &str) -> Option<i64> {
    let fraction = iso.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let cut_off = if digits <= 3 { 999 } else { 0 };
    Some(micros(iso)? + cut_off)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of `docs/formats.md`, and names that other writers give.
    #[test]
    fn the_last_record_is_in_the_name_of_a_file_of_ours() {
        let last = |name: &str| last_lsn(&Path::from(format!("tables/spans/date=2026-11-23/{name}")));
        assert_eq!(last("0015-3-9-00000000000000ab.parquet"), Some(9));
        assert_eq!(last("mixed-3-12-ffffffffffffffff.parquet"), Some(12));
        for other in
            ["part-00000-3-9.parquet", "0015-3-9-xyz.parquet", "0015-a-9-00000000000000ab.parquet", "x"]
        {
            assert_eq!(last(other), None, "{other}");
        }
    }
}
