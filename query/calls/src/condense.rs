//! Which cells are summed up in others, where there are more than find room: all but the busiest.
//!
//! ```text
//! what is told apart at a callee   the busiest stay, the rest is one at that callee: `(other)`
//! parties                          where that is not enough, the busiest stay, the rest is one
//! ```
//! No call is left out, and what was summed up once stays summed up, so that whatever is still told apart is whole.

use std::collections::HashSet;

use crate::cell_key::{CellKey, DetailId};
use crate::entry::Entry;
use crate::hashing::NumberMap;
use crate::party::PartyId;

/// What is done where there are more cells than find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// All but the busiest operations are summed up; where there are too many names, it is an error.
    OthersOfDetails,
    /// All but the busiest operations are summed up, and where that is not enough all but the busiest names.
    OthersOfNames,
    /// It is an error.
    Refuse,
}

/// How cells are summed up; nothing is, at first.
#[derive(Debug, Default)]
pub struct Condensed {
    /// At a callee what is told apart, and as what it is summed up.
    details: NumberMap<(PartyId, DetailId), DetailId>,
    /// As what they are summed up.
    summaries: HashSet<DetailId>,
    /// Those that stay; all, where there is no such set.
    parties: Option<HashSet<PartyId>>,
}

/// What is told apart at a callee.
struct Group {
    destination: PartyId,
    detail: DetailId,
    requests: u64,
    cells: usize,
}

impl Condensed {
    /// Whether nothing is summed up.
    pub fn is_empty(&self) -> bool {
        self.details.is_empty() && self.parties.is_none()
    }

    /// The key under which calls of `key` are counted; none where nothing is left of it to tell.
    pub fn key(&self, mut key: CellKey) -> Option<CellKey> {
        if let Some(summary) = self.details.get(&(key.destination, key.detail)) {
            key.detail = *summary;
        }
        let Some(kept) = &self.parties else { return Some(key) };
        let party = |id: PartyId| if id.is_built_in() || kept.contains(&id) { id } else { PartyId::OTHER };
        let is_other = |id: PartyId| party(id) != id;
        // Of a name and of whose name it is, neither may be lost.
        if key.entry == Entry::Alias && (is_other(key.source) || is_other(key.destination)) {
            return None;
        }
        (key.source, key.destination) = (party(key.source), party(key.destination));
        if kept.is_empty() && key.detail != DetailId::NONE {
            key.detail = DetailId::OTHER;
        }
        Some(key)
    }

    /// What is told apart at callees and is to be summed up, all but the busiest, so that about `target` of these cells,
    /// which are given with their calls, remain. Of equally busy ones those stay whose text, and then whose callee, comes
    /// first.
    pub fn beyond<'t>(
        &self,
        cells: impl Iterator<Item = (CellKey, u64)>,
        target: usize,
        text: impl Fn(DetailId) -> Option<&'t str>,
    ) -> Vec<(PartyId, DetailId)> {
        let mut groups: NumberMap<(PartyId, DetailId), Group> = NumberMap::default();
        let mut others = 0;
        for (CellKey { destination, detail, .. }, requests) in cells {
            if detail <= DetailId::OTHER || self.summaries.contains(&detail) {
                others += 1;
                continue;
            }
            let new = Group { destination, detail, requests: 0, cells: 0 };
            let group = groups.entry((destination, detail)).or_insert(new);
            group.requests = group.requests.saturating_add(requests);
            group.cells += 1;
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_unstable_by(|a, b| {
            let busier = b.requests.cmp(&a.requests);
            busier.then_with(|| (text(a.detail), a.destination).cmp(&(text(b.detail), b.destination)))
        });
        let mut room = target.saturating_sub(others);
        let mut stays = |group: &Group| {
            let fits = group.cells <= room;
            room = room.saturating_sub(group.cells);
            fits
        };
        groups
            .into_iter()
            .skip_while(|group| stays(group))
            .map(|group| (group.destination, group.detail))
            .collect()
    }

    /// Sums up a detail at a callee from now on.
    pub fn sum_up(&mut self, (destination, detail): (PartyId, DetailId), summary: DetailId) {
        self.summaries.insert(summary);
        self.details.insert((destination, detail), summary);
    }

    /// Sums up from now on all but so many of the busiest parties that at most `target` of these cells, which are given with
    /// their calls, remain.
    pub fn sum_up_parties(&mut self, cells: &[(CellKey, u64)], target: usize) {
        let mut requests: NumberMap<PartyId, u64> = NumberMap::default();
        for (key, calls) in cells {
            for end in [key.source, key.destination].into_iter().filter(|end| !end.is_built_in()) {
                let sum = requests.entry(end).or_default();
                *sum = sum.saturating_add(*calls);
            }
        }
        let mut order: Vec<(u64, PartyId)> = requests.into_iter().map(|(id, calls)| (calls, id)).collect();
        order.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut count = order.len();
        loop {
            count /= 2;
            self.parties = Some(order[..count].iter().map(|(_, id)| *id).collect());
            let left: HashSet<CellKey> = cells.iter().filter_map(|(key, _)| self.key(*key)).collect();
            if left.len() <= target || count == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use arrow::array::AsArray;
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, Int64Type};
    use meshlake_schema::{Table, TableBatch, TimeRange, UnixNanos};

    use crate::fixture::{self, CLIENT, FROM_SECOND, SERVER, SPAN, Span};
    use crate::{Beyond, By, Fold, FoldError, Frame, Grain, Picture, Question, Range, Settled, Source};

    /// Room for so many cells.
    const CELLS_MAX: usize = 1_000;

    fn leaked(text: String) -> &'static str {
        Box::leak(text.into_boxed_str())
    }

    fn settled(spans: &[Span], beyond: Beyond) -> Result<Settled, FoldError> {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(960), at(1_020), Some(Duration::from_secs(10))).expect("not empty");
        let question = Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto };
        let mut fold = Fold::new(question).bounded(CELLS_MAX, usize::MAX, beyond);
        fold.add_spans(&fixture::spans(spans));
        fold.settle()
    }

    fn cells(settled: &Settled, table: Table) -> TableBatch {
        settled.rows(table, "default", UnixNanos(0)).expect("columns of the table")
    }

    /// Calls by the texts of a column, of cells of nodes.
    fn calls(cells: &TableBatch, by: &str) -> BTreeMap<String, i64> {
        let column = |name: &str| cells.rows().column_by_name(name).expect("a column").clone();
        let text = |name| cast(&column(name), &DataType::Utf8).expect("a text").as_string::<i32>().clone();
        let (texts, entries) = (text(by), text("entry"));
        let milli = column("requests_milli").as_primitive::<Int64Type>().clone();
        let mut calls = BTreeMap::new();
        for row in (0..milli.len()).filter(|row| entries.value(*row) == "received") {
            *calls.entry(texts.value(row).to_owned()).or_default() += milli.value(row) / 1_000;
        }
        calls
    }

    /// The picture of the cells of minutes by operation.
    fn picture(settled: &Settled, frame: Frame) -> Picture {
        let cells = cells(settled, Table::Calls1m);
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(960), at(1_020), None).expect("not empty");
        let grain = Grain::Operation;
        let question = Question { range, by: By::Service, grain, source: Source::Auto };
        let mut fold = Fold::new(question).fold_only(Vec::new()).framed(frame);
        fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
        let mut drawing = fold.drawing().expect("names are few");
        drawing.add_cells(Table::Calls1m, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
        drawing.finish().expect("names are few")
    }

    /// One more operation than cells find room, of `a`, one of them called ten times, and one of `quiet`.
    #[test]
    fn a_minute_of_any_number_of_operations_is_settled() {
        let of = |at: usize, name, service| {
            let second = FROM_SECOND + at as i64 % 10;
            Span { trace: at as u128 + 1, id: at as u64 + 1, name, service, second, kind: SERVER, ..SPAN }
        };
        let mut spans: Vec<Span> =
            (0..=CELLS_MAX).map(|at| of(at, leaked(format!("op {at}")), ("default", "a"))).collect();
        spans.extend((0..9).map(|at| of(100_000 + at, "op 7", ("default", "a"))));
        spans.extend((0..2).map(|at| of(200_000 + at, "GET /", ("default", "quiet"))));
        assert_eq!(
            settled(&spans, Beyond::Refuse).err(),
            Some(FoldError::TooManyCells),
            "of several, fewer are settled"
        );
        let settled = settled(&spans, Beyond::OthersOfNames).expect("all but the busiest are summed up");
        assert!(settled.is_cut());
        let all = CELLS_MAX as i64 + 10;
        for table in Table::settled() {
            let cells = cells(&settled, table);
            assert!(cells.row_count() <= CELLS_MAX, "{}", table.name());
            let want = BTreeMap::from([("a".to_owned(), all), ("quiet".to_owned(), 2)]);
            assert_eq!(calls(&cells, "destination_name"), want, "{}", table.name());
        }
        let by_operation = calls(&cells(&settled, Table::Calls1m), "operation");
        assert_eq!((by_operation["op 7"], by_operation["GET /"]), (10, 2), "the busiest are told apart");
        assert_eq!(by_operation.values().sum::<i64>(), all + 2);
        let others = by_operation["(other)"];
        assert_eq!(by_operation.len() as i64, all - 9 - others + 2, "each other is called once");
        let shown = picture(&settled, Frame::nodes(Some("a")));
        assert_eq!(shown.node_cells.iter().map(|cell| cell.measure.requests()).sum::<f64>(), all as f64);
        assert!(shown.warnings[0].contains("the rest is `(other)`"), "{:?}", shown.warnings);
        assert_eq!(picture(&settled, Frame::nodes(Some("quiet"))).warnings, [""; 0], "it has but one");
    }

    /// As many services as that are called once each by `a`, and `b` twice.
    #[test]
    fn a_minute_of_any_number_of_services_is_settled() {
        let called = |trace: usize, name| {
            let made = Span { trace: trace as u128, kind: CLIENT, url: "", peer_service: "", ..SPAN };
            let received = Span { id: 2, parent: 1, kind: SERVER, service: ("default", name), ..made };
            [made, received]
        };
        let count = CELLS_MAX / 2 + 1;
        let mut spans: Vec<Span> =
            (1..=count).flat_map(|trace| called(trace, leaked(format!("s{trace}")))).collect();
        spans.extend((1..=2).flat_map(|number| called(1_000_000 + number, "b")));
        let settled = settled(&spans, Beyond::OthersOfNames).expect("all but the busiest are summed up");
        assert!(settled.is_cut());
        let by_name = calls(&cells(&settled, Table::Calls10m), "destination_name");
        assert_eq!((by_name.values().sum::<i64>(), by_name["b"]), (count as i64 + 2, 2));
        assert!(by_name["(other)"] > 1 && by_name.len() < count, "{}", by_name.len());
        let shown = picture(&settled, Frame::whole());
        assert!(shown.warnings.iter().any(|warning| warning.contains("names are not told apart")));
        let told: f64 = shown.edge_cells.iter().map(|edge| edge.measure.requests()).sum();
        assert_eq!(told, count as f64 + 2.0);
    }
}
