//! `/maintain`: GET tells how far maintenance is, POST runs a whole pass, or counts calls anew, and answers when it is
//! done.
//!
//! A pass belongs to its request: when the client goes away the pass ends, having changed nothing but what it
//! had committed.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{Extensions, StatusCode};
use meshlake_listen::{Principal, Role};
use meshlake_schema::{TimeRange, UnixNanos};
use meshlake_store::{Effort, MaintainStats, Maintenance};
use serde::{Deserialize, Serialize};

use super::AdminState;

/// How far the merging that runs is, and what all passes since the start of the process have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaintainStatus {
    /// The table that is being merged; null when none is.
    pub table: Option<String>,
    pub rows_total: u64,
    pub rows_done: u64,
    pub merges: u64,
    pub failures: u64,
    pub files_in: u64,
    pub bytes_in: u64,
    pub files_out: u64,
    pub bytes_out: u64,
    pub rows_expired: u64,
    pub files_deleted: u64,
    pub bytes_deleted: u64,
    pub windows_settled: u64,
    pub cells: u64,
    pub settle_failures: u64,
}

impl MaintainStatus {
    pub fn of(maintenance: &Maintenance) -> MaintainStatus {
        let progress = maintenance.progress();
        let MaintainStats { merges, failures, files_in, bytes_in, files_out, bytes_out, .. } =
            maintenance.stats();
        let MaintainStats { rows_expired, files_deleted, bytes_deleted, .. } = maintenance.stats();
        let settled = maintenance.settle_stats();
        MaintainStatus {
            table: progress.table.map(str::to_owned),
            rows_total: progress.rows_total,
            rows_done: progress.rows_done,
            merges,
            failures,
            files_in,
            bytes_in,
            files_out,
            bytes_out,
            rows_expired,
            files_deleted,
            bytes_deleted,
            windows_settled: settled.windows,
            cells: settled.cells,
            settle_failures: settled.failures,
        }
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let merged = format!(
            "merged {} files of {} bytes into {} of {}; dropped {} old rows; deleted {} files of {} bytes; settled {} \
             windows of calls into {} cells",
            self.files_in,
            self.bytes_in,
            self.files_out,
            self.bytes_out,
            self.rows_expired,
            self.files_deleted,
            self.bytes_deleted,
            self.windows_settled,
            self.cells,
        );
        let failures = [(self.failures, "merges"), (self.settle_failures, "folds of calls")];
        let failures = failures.iter().filter(|(count, _)| *count > 0);
        failures.fold(merged, |text, (count, what)| format!("{text}; {count} {what} failed, see the log"))
    }
}

pub async fn status(State(state): State<AdminState>) -> Json<MaintainStatus> {
    Json(MaintainStatus::of(&state.maintenance))
}

/// Asks for calls to be counted anew in a range, nanoseconds since the epoch, instead of a whole pass.
#[derive(Debug, Deserialize)]
pub struct Rederived {
    rederive_from: Option<i64>,
    rederive_to: Option<i64>,
}

pub async fn run(
    State(state): State<AdminState>,
    Query(asked): Query<Rederived>,
    beside: Extensions,
) -> Result<Json<MaintainStatus>, (StatusCode, String)> {
    let is_operator = |principal: Principal| principal.role == Role::Operator;
    if !Principal::beside(&beside).and_then(Result::ok).is_some_and(is_operator) {
        return Err((StatusCode::FORBIDDEN, "only an operator may start maintenance\n".to_owned()));
    }
    let done = match asked {
        Rederived { rederive_from: Some(from), rederive_to: Some(to) } => {
            state.maintenance.rederive(TimeRange { from: UnixNanos(from), to: UnixNanos(to) }).await
        }
        _ => state.maintenance.run(Effort::All).await,
    };
    done.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
    Ok(Json(MaintainStatus::of(&state.maintenance)))
}
