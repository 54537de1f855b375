//! All that was counted in a range, with what cells tell of it and without a choice among it.
//!
//! A picture chooses the evidence that tells of all calls; which flag a proxy set, or which host a gateway was asked for, is
//! told by one observer only, and is a fact whatever else tells of the call. So here each kind of evidence and each side of
//! a call stands alone, and whoever adds up takes one of them.

use crate::cell_key::Evidence;
use crate::entry::Entry;
use crate::measure::Measure;
use crate::nodes::NodeIdentity;
use crate::range::Range;

/// Calls of one edge, or received at one node, that are alike in what is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Place in [`Parts::nodes`]; `None` of a node whose callers nothing tells.
    pub source: Option<usize>,
    pub target: usize,
    pub entry: Entry,
    pub evidence: Evidence,
    /// The text of a [`crate::detail::Detail`].
    pub detail: String,
    pub bucket: u16,
    pub measure: Measure,
}

/// Parts of a range.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    pub range: Range,
    /// Sorted by id.
    pub nodes: Vec<NodeIdentity>,
    /// Sorted by target, source, entry, evidence, detail, bucket.
    pub parts: Vec<Part>,
    pub warnings: Vec<String>,
}

/// What parts are told apart by: target, source, entry, evidence, detail, bucket.
pub(super) type Group<'a> = (usize, Option<usize>, Entry, Evidence, &'a str, u16);

impl Part {
    pub(super) fn key(&self) -> Group<'_> {
        (self.target, self.source, self.entry, self.evidence, &self.detail, self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::{Table, TimeRange, UnixNanos};

    use super::*;
    use crate::choice::Source;
    use crate::detail::Detail;
    use crate::fixture::{self, CALL, Request, SERVED, SERVER, SPAN, Span};
    use crate::{By, Fold, Grain, Question, Told};

    const TOLD: Told = Told::FLAGS.with(Told::CODE).with(Told::REFUSAL);

    fn question(by: By, grain: Grain) -> Question {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let step = (by == By::Whole).then_some(std::time::Duration::from_secs(10));
        let range = Range::new(at(600), at(1_200), step).expect("not empty");
        Question { range, by, grain, source: Source::Auto }
    }

    /// Who to whom, entry, evidence, flags, refusal and calls of each part.
    fn told(parts: &Parts) -> Vec<String> {
        let id = |node: usize| parts.nodes[node].id.as_str();
        let part = |part: &Part| {
            let detail = Detail::read(&part.detail);
            let source = part.source.map_or("-", id);
            let (flags, refusal) = (detail.response_flags.unwrap_or("-"), detail.refusal.unwrap_or("-"));
            let (evidence, calls) = (part.evidence.name(), part.measure.requests());
            format!("{source} -> {} {:?} {evidence} {flags} {refusal} {calls}", id(part.target), part.entry)
        };
        parts.parts.iter().map(part).collect()
    }

    /// a calls b three times: one is answered, one refused by a's breaker, one by b's RBAC. A span tells of one more.
    fn rows() -> (Vec<Request>, Vec<Span>) {
        let rows = vec![
            Request { request_id: "1", ..CALL },
            Request { request_id: "1", ..SERVED },
            Request { flags: "UO", outcome: "error", code: 503, attempts: 0, ..CALL },
            Request { request_id: "3", code: 403, ..CALL },
            Request {
                request_id: "3",
                code: 403,
                details: "rbac_access_denied_matched_policy[none]",
                ..SERVED
            },
        ];
        let span = Span { kind: SERVER, service: ("default", "b"), peer_service: "a", ..SPAN };
        (rows, vec![span])
    }

    const WANT: [&str; 7] = [
        "default/a -> default/b Edge requests - - 1",
        "default/a -> default/b Edge requests - - 1",
        "default/a -> default/b Edge spans - - 1",
        "default/a -> default/b Refused requests UO - 1",
        "default/a -> default/b Received requests - - 1",
        "default/a -> default/b Received requests - rbac_access_denied_matched_policy[none] 1",
        "default/a -> default/b Received spans - - 1",
    ];

    #[test]
    fn each_side_and_each_kind_of_evidence_stands_alone() {
        let (rows, spans) = rows();
        let mut fold = Fold::new(question(By::Service, Grain::Told(TOLD)));
        fold.add_requests(&fixture::requests(&rows));
        fold.add_spans(&fixture::spans(&spans));
        assert_eq!(told(&fold.finish_parts().expect("a few cells")), WANT);
    }

    #[test]
    fn cells_tell_what_rows_do() {
        let (rows, spans) = rows();
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&rows));
        fold.add_spans(&fixture::spans(&spans));
        let settled = fold.settle().expect("a few cells");
        for table in Table::settled() {
            let cells = settled.rows(table, "default", UnixNanos(0)).expect("columns of the table");
            let asked = question(By::Service, Grain::Told(TOLD));
            let mut fold = Fold::new(asked).fold_only(Vec::new());
            fold.add_cells(table, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
            assert_eq!(told(&fold.finish_parts().expect("a few cells")), WANT, "{}", table.name());
        }
    }
}
