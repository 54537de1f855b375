//! What Meshlake warns of about itself, in words, worst first.

use std::time::Duration;

use maud::{Markup, html};
use meshlake_query::alerts::Alert;

use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::text::Text;

/// Warnings that are told. Kinds of records, ways in and reasons are few; a sender with many of them has one cause.
const ALERTS_MAX: usize = 20;

/// The list of them.
pub fn list(asked: &Asked, alerts: &[Alert]) -> Markup {
    let words = asked.words();
    html! {
        @if alerts.is_empty() { p class="calm" { (words.of_operate.nothing_to_warn_of) } }
        @else {
            ol class="troubles" {
                @for alert in alerts.iter().take(ALERTS_MAX) {
                    @let (what, detail) = told(asked, alert);
                    li class=(if alert.is_grave() { "bad" } else { "warn" }) {
                        strong { (what) } " " span class="hint" { (Text(&detail)) }
                    }
                }
            }
            @if alerts.len() > ALERTS_MAX { p class="hint" { (alerts.len() - ALERTS_MAX) " " (words.more_not_listed) } }
        }
    }
}

/// What it means, and its figures.
fn told(asked: &Asked, alert: &Alert) -> (&'static str, String) {
    let (words, of_operate) = (asked.words(), &asked.words().of_operate);
    let bytes = |bytes: u64| format::bytes(Some(bytes as f64));
    let time = |time: Duration| format::duration(Some(time.as_secs_f64() * 1_000.0));
    let count = |count: u64| format::count(count as f64);
    let of = |some: u64, all: u64| format!("{} / {}", bytes(some), bytes(all));
    match alert {
        Alert::LogFailed => (of_operate.log_failed, String::new()),
        Alert::NoRoom { free_bytes, wanted_bytes } => (of_operate.no_room, of(*free_bytes, *wanted_bytes)),
        Alert::Unbalanced { signal, source, received, told } => {
            (of_operate.unbalanced, format!("{signal} · {source} · {} ≠ {}", count(*received), count(*told)))
        }
        Alert::DiskStalls { at_disk } => (of_operate.disk_stalls, time(*at_disk)),
        Alert::Rejected(lost) => {
            let (share, records) = (format::percent(lost.share()), count(lost.records));
            let of = format!("{} · {} · {}", lost.signal, lost.source, lost.reason);
            (of_operate.rejected, format!("{of} · {share} · {records} {}", words.of_mesh.records))
        }
        Alert::LittleRoom { free_bytes, stops_at_bytes } => {
            (of_operate.little_room, of(*free_bytes, *stops_at_bytes))
        }
        Alert::BufferFull { bytes, bytes_max } => (of_operate.buffer_full, of(*bytes, *bytes_max)),
        Alert::LogLong { bytes, bytes_max } => (of_operate.log_long, of(*bytes, *bytes_max)),
        Alert::SettlingBehind { behind } => (of_operate.settling_behind, time(*behind)),
        Alert::QueryEnded { restarts, last_end } => {
            (of_operate.query_ended, format!("{} {} · {last_end}", words.restarts, count(*restarts)))
        }
    }
}
