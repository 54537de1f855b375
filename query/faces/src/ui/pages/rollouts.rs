//! Rollouts of a service: when they were, what came and went, and which calls they cost; in a table and on the axis of time.

use maud::{Markup, html};
use meshlake_query::answers::rollouts::{Cost, Rollout, Rollouts};
use meshlake_query::calls::LoadError;

use super::shown;
use crate::ui::asked::Asked;
use crate::ui::chart::Mark;
use crate::ui::format;
use crate::ui::shell::{cell, notes, number, table, text};

/// The part of the page.
pub fn table_of(asked: &Asked, found: Result<Rollouts, LoadError>) -> Markup {
    let words = asked.words();
    shown(asked, found, |found| {
        let columns = [
            text(words.time),
            text(words.what),
            number(words.came),
            number(words.went),
            text(words.cost),
            number(words.calls_lost),
        ];
        let rows: Vec<(&str, Vec<Markup>)> =
            found.rollouts.iter().map(|rollout| rollout_row(asked, rollout)).collect();
        html! {
            @if rows.is_empty() { p class="hint" { (words.no_rollouts) } }
            @else { (table(words.rollouts, &columns, &rows)) }
            (notes(&found.warnings, words.warnings))
        }
    })
}

/// Rollouts on the axis of time; each leads to its row below.
pub fn marks(asked: &Asked, rollouts: &[Rollout]) -> Vec<Mark> {
    let mark = |rollout: &Rollout| Mark {
        from: rollout.from,
        to: rollout.to,
        title: format!("{}, {}", asked.words().rollout_of(rollout.kind.name()), format::moment(rollout.from)),
        link: "#rollouts".to_owned(),
    };
    rollouts.iter().map(mark).collect()
}

fn rollout_row<'a>(asked: &Asked, rollout: &Rollout) -> (&'a str, Vec<Markup>) {
    let words = asked.words();
    let cost = &rollout.cost;
    let class = if cost.verdict.name() == "some" { "bad" } else { "" };
    let cells = vec![
        html! { time datetime=(rollout.from.to_rfc3339()) { (format::moment(rollout.from)) } },
        cell(words.rollout_of(rollout.kind.name())),
        cell(&rollout.came_count.to_string()),
        cell(&rollout.went_count.to_string()),
        cell(words.cost_of(cost.verdict.name())),
        html! { (calls_lost(cost)) " " span class="hint" { (reasons(cost)) } },
    ];
    (class, cells)
}

fn calls_lost(cost: &Cost) -> String {
    format!("{} / {}", format::count(cost.lost), format::count(cost.calls))
}

/// Why calls were lost while it lasted, and how many for each reason: `UF 19, 502 4`.
fn reasons(cost: &Cost) -> String {
    let told = cost.by.iter().filter(|loss| loss.during > 0.0).map(|loss| {
        let reason = &loss.reason;
        let code = || reason.response_code.map(|code| code.to_string());
        let grpc = || reason.grpc_status.map(|status| format!("gRPC {status}"));
        let name =
            reason.response_flags.clone().or_else(code).or_else(grpc).unwrap_or_else(|| "?".to_owned());
        format!("{name} {}", format::count(loss.during))
    });
    told.collect::<Vec<_>>().join(", ")
}
