//! What labels say of how a call ended.
//!
//! A proxy's rows tell a code. Spans may tell none, only whether the call failed; then the calls of one cell are told
//! apart by that, with the code that is plainest for it, so that the errors that a dashboard counts by code are those of
//! golden metrics.

use std::borrow::Cow;

use crate::cell_key::Evidence;
use crate::detail::Detail;
use crate::measure::{Measure, Protocol};

/// What labels say where nothing is to say.
pub const NONE: &str = "-";

/// Calls of a cell that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub response_code: Cow<'static, str>,
    pub grpc_status: Cow<'static, str>,
    /// Thousandths of calls.
    pub milli: u64,
    /// Of those, errors.
    pub errors_milli: u64,
}

/// Codes for what is only known by its outcome: HTTP's, and gRPC's. Source of the latter: gRPC, "Status codes and their
/// use": OK, UNKNOWN, INVALID_ARGUMENT, CANCELLED.
const OK: [&str; 2] = ["200", "0"];
const ERROR: [&str; 2] = ["500", "2"];
const CLIENT_ERROR: [&str; 2] = ["400", "3"];
const ABORTED: [&str; 2] = ["0", "1"];

/// The calls of a cell by how they ended, most first.
pub fn ended(detail: &Detail<'_>, evidence: Evidence, protocol: Protocol, measure: &Measure) -> Vec<Ended> {
    let [requests, errors, client_errors, aborted, ..] = measure.sums();
    let is_grpc = protocol == Protocol::Grpc || detail.grpc_status.is_some();
    let code = |code: Option<i64>| code.map(|code| Cow::Owned(code.to_string()));
    let is_told = detail.response_code.is_some() || detail.grpc_status.is_some();
    if is_told || evidence == Evidence::Requests {
        // Istio's word for no answer is 0; gRPC's answers come with 200.
        let unsaid = if detail.grpc_status.is_some() { "200" } else { "0" };
        return vec![Ended {
            response_code: code(detail.response_code).unwrap_or(Cow::Borrowed(unsaid)),
            grpc_status: code(detail.grpc_status).unwrap_or(Cow::Borrowed(NONE)),
            milli: requests,
            errors_milli: errors,
        }];
    }
    let others = errors.saturating_add(client_errors).saturating_add(aborted);
    let parts = [
        (OK, requests.saturating_sub(others), 0),
        (ERROR, errors, errors),
        (CLIENT_ERROR, client_errors, 0),
        (ABORTED, aborted, 0),
    ];
    let part = |([http, grpc], milli, errors_milli): ([&'static str; 2], u64, u64)| Ended {
        response_code: Cow::Borrowed(if is_grpc && http != "0" { "200" } else { http }),
        grpc_status: Cow::Borrowed(if is_grpc { grpc } else { NONE }),
        milli,
        errors_milli,
    };
    let mut parts: Vec<Ended> = parts.into_iter().filter(|(_, milli, _)| *milli > 0).map(part).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.milli));
    parts
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Outcome;

    use super::*;
    use crate::measure::{MILLI, Observation};

    /// Three calls that went well, two that failed, one whose caller went away.
    fn measure() -> Measure {
        let mut measure = Measure::default();
        for outcome in
            [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Error, Outcome::Error, Outcome::Aborted]
        {
            measure.add(&Observation {
                weight: MILLI,
                outcome,
                duration_nano: 1,
                timed: true,
                sized: false,
                bytes_in: 0,
                bytes_out: 0,
                protocol: Protocol::Http,
            });
        }
        measure
    }

    /// Code, gRPC's status, calls and errors of each part.
    fn check(detail: Detail<'_>, evidence: Evidence, protocol: Protocol, want: &[&str]) {
        let ended = ended(&detail, evidence, protocol, &measure()).into_iter();
        let told = ended.map(|e| {
            format!("{} {} {}/{}", e.response_code, e.grpc_status, e.milli / MILLI, e.errors_milli / MILLI)
        });
        assert_eq!(told.collect::<Vec<_>>(), want, "{detail:?} {evidence:?}");
    }

    #[test]
    fn a_code_that_is_told_is_taken() {
        let http = Detail { response_code: Some(503), ..Detail::default() };
        check(http, Evidence::Spans, Protocol::Http, &["503 - 6/2"]);
        let grpc = Detail { grpc_status: Some(14), ..Detail::default() };
        check(grpc, Evidence::Spans, Protocol::Grpc, &["200 14 6/2"]);
        check(Detail::default(), Evidence::Requests, Protocol::Http, &["0 - 6/2"]);
    }

    #[test]
    fn spans_without_a_code_are_told_apart_by_outcome() {
        let none = Detail::default();
        check(none, Evidence::Spans, Protocol::Unknown, &["200 - 3/0", "500 - 2/2", "0 - 1/0"]);
        check(none, Evidence::Spans, Protocol::Grpc, &["200 0 3/0", "200 2 2/2", "0 1 1/0"]);
    }
}
