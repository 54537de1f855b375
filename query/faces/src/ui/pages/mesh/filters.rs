//! What of the mesh is asked for, as it stands in the address.

use std::time::Duration;

use meshlake_query::measure::Protocol;
use meshlake_query::shown::{DEPTH_DEFAULT, Focus, Wanted};
use meshlake_query::{By, NodeKind, Range};
use meshlake_schema::UnixNanos;

use crate::ui::asked::{Asked, length};
use crate::ui::graph::Label;

/// Most edges that can be asked for: what a layout in a third of a second allows, as for all of them.
pub const EDGES_MAX: usize = 4_000;

/// How far from the focus a graph may be asked to reach.
pub const DEPTH_MAX: usize = 5;

/// The choices.
pub struct Filters<'a> {
    pub wanted: Wanted<'a>,
    pub by: By,
    pub label: Label,
    pub is_whole: bool,
    /// How many edges are drawn; none where the drawing decides.
    pub edges_max: Option<usize>,
    /// The range that this one is compared with, as long as it.
    pub before: Option<Range>,
    /// What was wrong with them.
    pub complaints: Vec<String>,
}

impl<'a> Filters<'a> {
    pub fn of(asked: &'a Asked) -> Filters<'a> {
        let mut complaints = Vec::new();
        let mut number = |name: &str| {
            let text = asked.get(name)?;
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            if number.is_none() {
                complaints.push(format!("{}: {name}={text}", asked.words().no_number));
            }
            number
        };
        let depth = number("depth").map_or(DEPTH_DEFAULT, |depth| (depth as usize).min(DEPTH_MAX));
        let rate_min = number("min_rate").unwrap_or(0.0);
        let is_all = asked.get("collapse") == Some("none");
        let edges_max = number("edges").map(|edges| (edges as usize).clamp(1, EDGES_MAX));
        let by = asked.get("by").unwrap_or_default();
        let named = |name: &str| asked.get(name).unwrap_or_default();
        let wanted = Wanted {
            focus: asked.get("focus").map(|node| Focus { node, depth }),
            namespace: asked.get("namespace"),
            rate_min,
            errors_only: asked.get("errors_only").is_some_and(|text| text == "1" || text == "true"),
            kind: NodeKind::ALL.into_iter().find(|kind| kind.name() == named("kind")),
            protocol: Protocol::named(named("protocol")),
        };
        let before = before(asked, &mut complaints);
        Filters {
            wanted,
            by: By::ALL.into_iter().find(|known| known.name() == by).unwrap_or_default(),
            label: Label::named(asked.get("label")),
            edges_max: edges_max.or(is_all.then_some(usize::MAX)),
            is_whole: is_all || asked.get("namespace").is_some() || asked.get("focus").is_some(),
            before,
            complaints,
        }
    }

    /// Whether something of the mesh is left out by choice.
    pub fn are_any(&self) -> bool {
        self.wanted != Wanted::default()
    }
}

/// The range of the same length that starts at `than=`, or so much earlier as `compare=` says.
fn before(asked: &Asked, complaints: &mut Vec<String>) -> Option<Range> {
    let (name, text) = ["than", "compare"].into_iter().find_map(|name| Some((name, asked.get(name)?)))?;
    let (from, to) = (asked.range.from(), asked.range.to());
    let start = match name {
        "than" => UnixNanos::parse(text),
        _ => length(text).map(|length| from.minus(length)),
    };
    let range = start.and_then(|start| {
        let end = start.plus(Duration::from_nanos((to.0 - from.0).unsigned_abs()));
        Range::new(start, end, None).ok()
    });
    if range.is_none() {
        complaints.push(format!("{}: {name}={text}", asked.words().no_range));
    }
    range
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    fn compared(query: &str) -> (Option<(i64, i64)>, usize) {
        let now = UnixNanos::from_seconds(1_700_000_000);
        let asked = Asked::of("/", query, &HeaderMap::new(), "default".to_owned(), now);
        let filters = Filters::of(&asked);
        let ends = filters.before.map(|range| (range.from().seconds(), range.to().seconds()));
        (ends, filters.complaints.len())
    }

    #[test]
    fn another_range_is_so_much_earlier_or_starts_at_a_time() {
        assert_eq!(compared("from=10000&to=10600"), (None, 0));
        assert_eq!(compared("from=10000&to=10600&compare=1h"), (Some((6_400, 7_000)), 0));
        assert_eq!(compared("from=10000&to=10600&than=2000"), (Some((2_000, 2_600)), 0));
        assert_eq!(compared("from=10000&to=10600&compare=soon"), (None, 1));
        assert_eq!(compared("from=10000&to=10600&than=soon"), (None, 1));
    }
}
