//! `/operate`: how Meshlake itself is doing: what it warns of, what was received and what became of it, who sends, what is stored
//! and for how long, and the configuration in use.

mod alerts;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::alerts::{Alert, alerts};
use meshlake_query::ledger::{Account, accounts};
use meshlake_query::status::status;
use meshlake_query::{QueryError, Status, TableStats};

use super::{answer, figures, shown};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{Page, Place, cell, number, section, table, text};
use crate::ui::text::Text;

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let words = asked.words();
    let (ledger, status) =
        (accounts(&state.engine, &asked.tenant).await, status(&state.engine, &asked.tenant).await);
    let warned = warned(&state, &asked, &ledger, &status).await;
    let is_whole = ledger.is_ok() && status.is_ok() && warned.is_ok();
    let code = if is_whole { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ledger = shown(&asked, ledger, |ledger: Vec<Account>| received(&asked, &ledger));
    let body = html! {
        (section("alerts", words.of_operate.alerts, &shown(&asked, warned, |alerts| alerts::list(&asked, &alerts))))
        (section("received", words.received, &ledger))
        (shown(&asked, status, |status: Status| state_of(&asked, &status)))
    };
    let title = words.operate.to_owned();
    answer(&asked, code, &Page { place: Place::Operate, title, has_range: false, data_since: None, body })
}

/// What there is to warn of; or why what it is judged by could not be had.
async fn warned(
    state: &FaceState,
    asked: &Asked,
    ledger: &Result<Vec<Account>, QueryError>,
    status: &Result<Status, QueryError>,
) -> Result<Vec<Alert>, QueryError> {
    match (ledger, status) {
        (Ok(ledger), Ok(status)) => alerts(&state.engine, &asked.tenant, status, ledger).await,
        (Err(error), _) | (_, Err(error)) => Err(error.clone()),
    }
}

/// The ledger: every record received, by what became of it.
fn received(asked: &Asked, ledger: &[Account]) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.signal),
        text(words.way_in),
        number(words.received),
        number(words.accepted),
        number(words.durable),
        number(words.in_flight),
        number(words.deduplicated),
        number(words.rejected),
        text(words.reason),
    ];
    let rows: Vec<(&str, Vec<Markup>)> = ledger
        .iter()
        .map(|line| {
            let rejected: u64 = line.rejected.values().sum();
            let reasons: Vec<String> = line
                .rejected
                .iter()
                .map(|(reason, count)| format!("{reason} {}", format::count(*count as f64)))
                .collect();
            let count = |records: u64| cell(&format::count(records as f64));
            let cells = vec![
                cell(&line.signal),
                cell(&line.source),
                count(line.received),
                count(line.accepted),
                count(line.durable),
                count(line.in_flight),
                count(line.deduplicated),
                count(rejected),
                cell(&reasons.join(", ")),
            ];
            (if rejected > 0 { "warn" } else { "" }, cells)
        })
        .collect();
    html! {
        @if rows.is_empty() { p class="hint" { (words.nothing_received) } }
        @else { (table(words.received, &columns, &rows)) }
        p class="hint" { (words.ledger_means) }
    }
}

fn state_of(asked: &Asked, status: &Status) -> Markup {
    let words = asked.words();
    let (store, intake) = (&status.store, status.intake.clone().unwrap_or_default());
    let bytes = |bytes: u64| format::bytes(Some(bytes as f64));
    let files: u64 = store.tables.iter().map(|table| table.file_bytes).sum();
    let room = if store.space.has_room { "" } else { "bad" };
    let log = if store.wal.is_failed { "bad" } else { "" };
    html! {
        (figures::tiles(&[
            (words.stored, bytes(files), ""),
            (words.in_memory, bytes(store.buffer_bytes as u64), ""),
            (words.write_ahead_log, bytes(store.wal.wal.bytes), log),
            (words.free_disk, bytes(store.space.free_bytes), room),
        ]))
        (section("senders", words.senders, &senders(asked, &intake.senders)))
        (section("tables", words.tables, &tables(asked, status)))
        @if let Some(query) = &intake.query {
            (section("query", words.query_process, &html! {
                p {
                    (if query.is_serving { words.it_answers } else { words.it_does_not_answer }) " · "
                    (words.restarts) " " (query.restarts)
                    @if !query.last_end.is_empty() { " · " (Text(&query.last_end)) }
                }
                p class="hint" { (Text(&query.confinement)) }
            }))
        }
        @if !intake.configuration.is_empty() {
            (section("configuration", words.configuration, &html! {
                details class="card" { summary { (words.configuration_in_use) } pre tabindex="0" { code { (Text(&intake.configuration)) } } }
            }))
        }
    }
}

fn senders(asked: &Asked, senders: &[meshlake_query::Sender]) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.peer),
        text(words.agent),
        text(words.signal),
        text(words.way_in),
        number(words.exports),
        number(words.refused),
        text(words.last_heard),
    ];
    let rows: Vec<(&str, Vec<Markup>)> = senders
        .iter()
        .map(|sender| {
            let cells = vec![
                cell(&sender.peer),
                cell(if sender.agent.is_empty() { "–" } else { &sender.agent }),
                cell(&sender.signal),
                cell(&sender.source),
                cell(&format::count(sender.exports as f64)),
                cell(&format::count(sender.refused as f64)),
                html! { time datetime=(sender.last.to_rfc3339()) { (format::instant(sender.last)) } },
            ];
            (if sender.refused > 0 { "warn" } else { "" }, cells)
        })
        .collect();
    html! {
        @if rows.is_empty() { p class="hint" { (words.nobody_sends) } } @else { (table(words.senders, &columns, &rows)) }
    }
}

fn tables(asked: &Asked, status: &Status) -> Markup {
    let words = asked.words();
    let columns = [
        text(words.table),
        number(words.rows_in_files),
        number(words.rows_in_memory),
        number(words.files),
        number(words.bytes),
        number(words.bytes_per_row),
        text(words.of_operate.oldest),
        text(words.of_operate.kept_for),
    ];
    let rows: Vec<(&str, Vec<Markup>)> = status
        .store
        .tables
        .iter()
        .map(|stats| {
            let count = |records: u64| cell(&format::count(records as f64));
            let per_row = (stats.file_rows > 0).then(|| stats.file_bytes as f64 / stats.file_rows as f64);
            let cells = vec![
                cell(stats.table.name()),
                count(stats.file_rows),
                count(stats.buffered_rows),
                count(stats.files),
                cell(&format::bytes(Some(stats.file_bytes as f64))),
                cell(&format::bytes(per_row)),
                html! {
                    @if let Some(oldest) = stats.oldest { time datetime=(oldest.to_rfc3339()) { (format::moment(oldest)) } }
                    @else { "–" }
                },
                cell(&kept_for(asked, stats)),
            ];
            ("", cells)
        })
        .collect();
    html! {
        (table(words.tables, &columns, &rows))
        p class="hint" { (words.of_operate.retention_means) }
    }
}

/// In whole days or hours, as it is configured.
fn kept_for(asked: &Asked, stats: &TableStats) -> String {
    let words = asked.words();
    match stats.kept_for.map(|kept| kept.as_secs() / 3_600) {
        None => words.of_operate.for_ever.to_owned(),
        Some(hours) if hours.is_multiple_of(24) => format!("{} {}", hours / 24, words.days),
        Some(hours) => format!("{hours} {}", words.hours),
    }
}
