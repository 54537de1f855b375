//! Chooses which files of a table to merge.
//!
//! Only files of one window are merged, small ones first. A window that is over is merged as soon as it has
//! two files of similar size; one that still fills, when it has [`FILES_MAX`], so that no snapshot has
//! hundreds. "Similar" keeps a few late rows from rewriting a large file every minute: a file joins only
//! when it is at most [`SIZE_RATIO`] times what the smaller ones hold together. So a row is rewritten about
//! once per factor of five in size, three or four times at most in practice, and a window ends up with a
//! handful of files however its rows came.

use std::collections::{BTreeMap, HashSet};

use meshlake_schema::Table;
use object_store::path::Path;

use crate::files::window::Place;
use crate::snapshot::DataFile;

/// A file that has grown so large is left alone: larger ones make a scan no faster, and this is the room
/// that a merge needs on the disk. Five million spans.
pub(super) const FILE_BYTES_MAX: u64 = 256 << 20;

/// Files of one merge: each costs a batch in memory and a comparison per run.
pub(super) const FILES_MAX: usize = 16;

/// How much larger than all smaller ones together a file of the same merge may be.
const SIZE_RATIO: u64 = 4;

/// A window counts as over this long after its end: rows come up to a flush's age, and a retry, late.
const GRACE_MICROS: i64 = 5 * 60 * 1_000_000;

/// Which windows to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// What is due by itself.
    Due,
    /// Every window, whatever the sizes of its files: as few files as there can be.
    All,
}

/// Merges that can be made now, none of which shares a file with another; those of the most files first.
pub(super) fn merges(
    table: Table,
    files: &[DataFile],
    left_alone: &HashSet<Path>,
    now_micros: i64,
    effort: Effort,
) -> Vec<Vec<DataFile>> {
    let is_over = |place: &Place| place.end_micros() + GRACE_MICROS <= now_micros;
    let mut places: BTreeMap<Place, Vec<&DataFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| !left_alone.contains(&file.path)) {
        let place = Place::of_times(file.time_min_micros, file.time_max_micros);
        let date = place.whole_date();
        let is_by_date = table == Table::Ledger && is_over(&date);
        places.entry(if is_by_date { date } else { place }).or_default().push(file);
    }
    let mut merges: Vec<Vec<DataFile>> = Vec::new();
    for (place, mut files) in places {
        files.sort_by(|a, b| (a.size_bytes, &a.path).cmp(&(b.size_bytes, &b.path)));
        let files_min = match effort {
            Effort::All => 2,
            Effort::Due if is_over(&place) => 2,
            Effort::Due => FILES_MAX,
        };
        merges.extend(groups(&files, files_min, effort));
    }
    merges.sort_by_key(|files| std::cmp::Reverse(files.len()));
    merges
}

/// Keeps the merges that the disk has room for, one after the other: the files that a merge replaces stay for an hour,
/// so a round takes room for all of its merges before it gives any back.
pub(super) fn keep_what_fits(jobs: &mut Vec<(Table, Vec<DataFile>)>, has_room_for: impl Fn(u64) -> bool) {
    let mut taken_bytes: u64 = 0;
    jobs.retain(|(_, files)| {
        let bytes = taken_bytes + files.iter().map(|file| file.size_bytes).sum::<u64>();
        let fits = has_room_for(bytes);
        if fits {
            taken_bytes = bytes;
        }
        fits
    });
}

/// Groups of one window's files, which are sorted by size.
fn groups(files: &[&DataFile], files_min: usize, effort: Effort) -> Vec<Vec<DataFile>> {
    let mut groups = Vec::new();
    let mut group: Vec<DataFile> = Vec::new();
    let mut group_bytes = 0;
    let mut end = |group: &mut Vec<DataFile>, group_bytes: &mut u64| {
        let group = std::mem::take(group);
        *group_bytes = 0;
        if group.len() >= files_min {
            groups.push(group);
        }
    };
    for file in files {
        let is_similar = effort == Effort::All || file.size_bytes <= SIZE_RATIO * group_bytes;
        let has_room = group.len() < FILES_MAX && group_bytes + file.size_bytes <= FILE_BYTES_MAX;
        let joins = group.is_empty() || (is_similar && has_room);
        if !joins {
            end(&mut group, &mut group_bytes);
        }
        group_bytes += file.size_bytes;
        group.push((*file).clone());
    }
    end(&mut group, &mut group_bytes);
    groups
}

#[cfg(test)]
mod tests {
    use meshlake_schema::time::WINDOW_MICROS;

    use super::*;
    use crate::minutes::MinuteLsns;
    use crate::test_rows::MIDNIGHT;

    const MIB: u64 = 1 << 20;

    /// Files of the window that starts at `start`, named by their sizes in KiB.
    fn files(start: i64, kib: &[u64]) -> Vec<DataFile> {
        let file = |(i, kib): (usize, &u64)| DataFile {
            path: Path::from(format!("{start}-{i}-{kib}")),
            size_bytes: kib << 10,
            rows: 1,
            date_days: 20_780,
            time_min_micros: start,
            time_max_micros: start + 1,
            is_derived_from: false,
            came_days: None,
            minutes: MinuteLsns::default(),
        };
        kib.iter().enumerate().map(file).collect()
    }

    /// The sizes in KiB of each merge.
    fn sizes(files: &[DataFile], now_micros: i64, effort: Effort) -> Vec<Vec<u64>> {
        sizes_of(Table::Spans, files, now_micros, effort)
    }

    fn sizes_of(table: Table, files: &[DataFile], now_micros: i64, effort: Effort) -> Vec<Vec<u64>> {
        let merges = merges(table, files, &HashSet::new(), now_micros, effort);
        merges.iter().map(|files| files.iter().map(|file| file.size_bytes >> 10).collect()).collect()
    }

    const OVER: i64 = MIDNIGHT + WINDOW_MICROS + GRACE_MICROS;

    #[test]
    fn a_window_is_merged_five_minutes_after_its_end() {
        let files = files(MIDNIGHT, &[3, 1, 2]);
        assert_eq!(sizes(&files, OVER - 1, Effort::Due), [[0; 0]; 0]);
        assert_eq!(sizes(&files, OVER, Effort::Due), [[1, 2, 3]]);
    }

    #[test]
    fn a_window_that_fills_is_merged_at_sixteen_files() {
        let now = MIDNIGHT;
        assert!(sizes(&files(MIDNIGHT, &[1; 15]), now, Effort::Due).is_empty());
        assert_eq!(sizes(&files(MIDNIGHT, &[1; 16]), now, Effort::Due), [[1; 16]]);
        assert_eq!(sizes(&files(MIDNIGHT, &[1; 40]), now, Effort::Due), [[1; 16], [1; 16]]);
    }

    #[test]
    fn late_rows_do_not_rewrite_a_large_file() {
        // 4 times what the smaller ones hold joins, more does not.
        assert_eq!(sizes(&files(MIDNIGHT, &[1, 1, 8]), OVER, Effort::Due), [[1, 1, 8]]);
        assert_eq!(sizes(&files(MIDNIGHT, &[1, 1, 9]), OVER, Effort::Due), [[1, 1]]);
        assert_eq!(sizes(&files(MIDNIGHT, &[1, 1, 9]), OVER, Effort::All), [[1, 1, 9]]);
        assert!(sizes(&files(MIDNIGHT, &[1, 5]), OVER, Effort::Due).is_empty());
    }

    #[test]
    fn a_merge_makes_no_file_larger_than_the_limit() {
        let half = (128 * MIB) >> 10;
        assert_eq!(sizes(&files(MIDNIGHT, &[half, half, half]), OVER, Effort::All), [[half, half]]);
        assert!(sizes(&files(MIDNIGHT, &[half, half + 1]), OVER, Effort::All).is_empty());
    }

    #[test]
    fn windows_are_not_mixed_and_mixed_files_are_merged_by_date() {
        let next = MIDNIGHT + WINDOW_MICROS;
        let mut all = files(MIDNIGHT, &[1, 1]);
        all.extend(files(next, &[2, 2]));
        let mut mixed = files(next, &[3, 3]);
        mixed.iter_mut().for_each(|file| file.time_min_micros = MIDNIGHT);
        all.extend(mixed);
        let day = 96 * WINDOW_MICROS;
        assert_eq!(sizes(&all, MIDNIGHT + day, Effort::Due), [[1, 1], [2, 2]]);
        assert_eq!(sizes(&all, MIDNIGHT + day + GRACE_MICROS, Effort::Due), [[3, 3], [1, 1], [2, 2]]);
    }

    #[test]
    fn a_file_to_be_left_alone_is() {
        let files = files(MIDNIGHT, &[1, 1]);
        let left_alone = HashSet::from([files[0].path.clone()]);
        assert!(merges(Table::Spans, &files, &left_alone, OVER, Effort::All).is_empty());
    }

    #[test]
    fn the_ledger_is_merged_by_date_five_minutes_after_its_end() {
        let mut all = files(MIDNIGHT, &[1, 1]);
        all.extend(files(MIDNIGHT + WINDOW_MICROS, &[2]));
        let over = MIDNIGHT + 96 * WINDOW_MICROS + GRACE_MICROS;
        assert_eq!(sizes_of(Table::Ledger, &all, over - 1, Effort::Due), [[1, 1]]);
        assert_eq!(sizes_of(Table::Ledger, &all, over, Effort::Due), [[1, 1, 2]]);
        assert_eq!(sizes_of(Table::Spans, &all, over, Effort::Due), [[1, 1]]);
    }

    #[test]
    fn merges_of_a_round_need_room_for_all_of_them_together() {
        let jobs = || [3, 3, 3, 2].map(|kib| (Table::Spans, files(MIDNIGHT, &[kib]))).to_vec();
        let kept = |room_kib: u64| {
            let mut jobs = jobs();
            keep_what_fits(&mut jobs, |bytes| bytes <= room_kib << 10);
            jobs.iter().map(|(_, files)| files[0].size_bytes >> 10).collect::<Vec<_>>()
        };
        assert_eq!(kept(11), [3, 3, 3, 2]);
        assert_eq!(kept(10), [3, 3, 3]);
        assert_eq!(kept(8), [3, 3, 2], "the third does not fit, a smaller one does");
        assert_eq!(kept(1), [0; 0]);
    }
}
