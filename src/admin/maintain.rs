//! `/maintain`: GET tells how far maintenance is, POST runs a whole pass and answers when it is done.
//!
//! A pass belongs to its request: when the client goes away the pass ends, having changed nothing but what it
//! had committed.

use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, StatusCode};
use meshlake_listen::{Principal, Role};
use meshlake_store::{Effort, MaintainStats, Maintenance};
use serde::{Deserialize, Serialize};

use super::AdminState;

/// How far the merging that runs is, and what all passes since the start of the process have done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl MaintainStatus {
    pub fn of(maintenance: &Maintenance) -> MaintainStatus {
        let progress = maintenance.progress();
        let MaintainStats { merges, failures, files_in, bytes_in, files_out, bytes_out, .. } =
            maintenance.stats();
        let MaintainStats { rows_expired, files_deleted, bytes_deleted, .. } = maintenance.stats();
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
        }
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        format!(
            "merged {} files of {} bytes into {} of {}; dropped {} old rows; deleted {} files of {} bytes{}",
            self.files_in,
            self.bytes_in,
            self.files_out,
            self.bytes_out,
            self.rows_expired,
            self.files_deleted,
            self.bytes_deleted,
            if self.failures > 0 {
                format!("; {} merges failed, see the log", self.failures)
            } else {
                String::new()
            },
        )
    }
}

pub async fn status(State(state): State<AdminState>) -> Json<MaintainStatus> {
    Json(MaintainStatus::of(&state.maintenance))
}

pub async fn run(
    State(state): State<AdminState>,
    beside: Extensions,
) -> Result<Json<MaintainStatus>, (StatusCode, String)> {
    let is_operator = |principal: Principal| principal.role == Role::Operator;
    if !Principal::beside(&beside).and_then(Result::ok).is_some_and(is_operator) {
        return Err((StatusCode::FORBIDDEN, "only an operator may start maintenance\n".to_owned()));
    }
    let done = state.maintenance.run(Effort::All).await;
    done.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
    Ok(Json(MaintainStatus::of(&state.maintenance)))
}
