//! What became of a call: ok, client error, error or aborted. One place, so that a rollup and a live
//! query cannot count differently.
//!
//! | evidence, first that applies | outcome |
//! |---|---|
//! | a response flag whose verdict is error, client error or aborted (most telling flag first) | that |
//! | gRPC status 2, 4, 12, 13, 14, 15 | error |
//! | gRPC status 1 | aborted |
//! | any other gRPC status but 0 | client_error |
//! | Dubbo status 20 | ok |
//! | Dubbo status 40, 90 | client_error |
//! | any other Dubbo status | error |
//! | HTTP status >= 500 | error |
//! | HTTP status 400..=499 | client_error |
//! | an HTTP call that ended without a status | aborted |
//! | span status ERROR: on the server side; on the client side only without an HTTP, gRPC or Dubbo status | error |
//! | anything else | ok |
//!
//! Sources: the gRPC codes that are the server's fault are those of the OpenTelemetry semantic
//! conventions for RPC server spans; a 4xx is no server error by the conventions for HTTP server spans
//! (Envoy marks CLIENT spans of 4xx as ERROR, so a client span's status yields to its code). Dubbo's codes are those of
//! its `Response`: BAD_REQUEST is 40, CLIENT_ERROR 90.

use crate::response_flags::{FaultClass, ResponseFlags, Verdict};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Ok,
    ClientError,
    Error,
    Aborted,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ClientError => "client_error",
            Outcome::Error => "error",
            Outcome::Aborted => "aborted",
        }
    }
}

/// The evidence about one call, as far as its observer knows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence {
    /// HTTP status. `Some(0)` means that the observer says that no response was sent.
    pub http_status: Option<i64>,
    pub grpc_status: Option<i64>,
    /// Status of Dubbo's own protocol.
    pub dubbo_status: Option<i64>,
    pub flags: ResponseFlags,
    /// Status ERROR of a span.
    pub span_error: bool,
    /// The observer stood on the caller's side.
    pub client_side: bool,
}

/// What became of the call; see the table above.
pub fn outcome(evidence: &Evidence) -> Outcome {
    for flag in evidence.flags.iter() {
        match flag.verdict {
            Verdict::Error => return Outcome::Error,
            Verdict::ClientError => return Outcome::ClientError,
            Verdict::Aborted => return Outcome::Aborted,
            Verdict::ByStatus => {}
        }
    }
    let by_grpc = evidence.grpc_status.filter(|code| *code != 0).map(grpc_outcome);
    let by_code = by_grpc
        .or_else(|| evidence.dubbo_status.map(dubbo_outcome))
        .or_else(|| evidence.http_status.map(http_outcome));
    let codes = [evidence.http_status, evidence.grpc_status, evidence.dubbo_status];
    let span_error_counts =
        evidence.span_error && (!evidence.client_side || codes.iter().all(Option::is_none));
    match by_code {
        None | Some(Outcome::Ok) if span_error_counts => Outcome::Error,
        Some(outcome) => outcome,
        None => Outcome::Ok,
    }
}

/// The class of the most telling flag; `None` when no flag tells of a fault.
pub fn fault_class(flags: ResponseFlags) -> Option<FaultClass> {
    flags.iter().next().map(|flag| flag.class)
}

fn grpc_outcome(code: i64) -> Outcome {
    match code {
        0 => Outcome::Ok,
        1 => Outcome::Aborted,
        2 | 4 | 12 | 13 | 14 | 15 => Outcome::Error,
        _ => Outcome::ClientError,
    }
}

fn dubbo_outcome(status: i64) -> Outcome {
    match status {
        20 => Outcome::Ok,
        40 | 90 => Outcome::ClientError,
        _ => Outcome::Error,
    }
}

fn http_outcome(status: i64) -> Outcome {
    match status {
        0 => Outcome::Aborted,
        400..=499 => Outcome::ClientError,
        500.. => Outcome::Error,
        _ => Outcome::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(http_status: i64, flags: &str) -> Evidence {
        let flags = ResponseFlags::from_short_names(flags);
        Evidence { http_status: Some(http_status), flags, ..Evidence::default() }
    }

    #[test]
    fn requests_by_code_and_flags() {
        let cases = [
            (request(200, ""), Outcome::Ok, None),
            (request(302, "-"), Outcome::Ok, None),
            (request(404, ""), Outcome::ClientError, None),
            (request(404, "NR"), Outcome::Error, Some("no_route")),
            (request(429, "RL"), Outcome::ClientError, Some("rate_limited")),
            (request(500, ""), Outcome::Error, None),
            (request(503, "UO"), Outcome::Error, Some("circuit_broken")),
            (request(503, "URX,UF"), Outcome::Error, Some("upstream_connect")),
            (request(504, "UT"), Outcome::Error, Some("timeout")),
            (request(0, "DC"), Outcome::Aborted, Some("client_abort")),
            (request(503, "DC"), Outcome::Aborted, Some("client_abort")),
            (request(0, ""), Outcome::Aborted, None),
            (request(503, "FI"), Outcome::Error, Some("fault_injection")),
            (request(200, "DI"), Outcome::Ok, Some("fault_injection")),
            (request(408, "SI"), Outcome::ClientError, Some("timeout")),
            (request(400, "DPE"), Outcome::ClientError, Some("client_error")),
        ];
        for (evidence, want, class) in cases {
            assert_eq!(outcome(&evidence), want, "{evidence:?}");
            assert_eq!(fault_class(evidence.flags).map(FaultClass::name), class, "{evidence:?}");
        }
    }

    #[test]
    fn grpc_codes_of_the_server_are_errors() {
        for code in 0..=16 {
            let evidence =
                Evidence { http_status: Some(200), grpc_status: Some(code), ..Evidence::default() };
            let want = match code {
                0 => Outcome::Ok,
                1 => Outcome::Aborted,
                2 | 4 | 12 | 13 | 14 | 15 => Outcome::Error,
                _ => Outcome::ClientError,
            };
            assert_eq!(outcome(&evidence), want, "grpc status {code}");
        }
    }

    #[test]
    fn codes_of_dubbo_are_errors_but_for_the_clients() {
        for code in [20, 25, 30, 31, 35, 40, 50, 60, 70, 80, 90, 100] {
            let evidence = Evidence { dubbo_status: Some(code), ..Evidence::default() };
            let want = match code {
                20 => Outcome::Ok,
                40 | 90 => Outcome::ClientError,
                _ => Outcome::Error,
            };
            assert_eq!(outcome(&evidence), want, "Dubbo status {code}");
        }
        let client = Evidence { client_side: true, span_error: true, ..Evidence::default() };
        assert_eq!(outcome(&Evidence { dubbo_status: Some(40), ..client }), Outcome::ClientError);
        assert_eq!(outcome(&Evidence { dubbo_status: Some(20), ..client }), Outcome::Ok);
    }

    #[test]
    fn span_status_counts_on_the_server_and_yields_to_codes_on_the_client() {
        let base = Evidence { span_error: true, ..Evidence::default() };
        let client = Evidence { client_side: true, ..base };
        let cases = [
            (base, Outcome::Error),
            (Evidence { http_status: Some(200), ..base }, Outcome::Error),
            (Evidence { http_status: Some(404), ..base }, Outcome::ClientError),
            (client, Outcome::Error),
            (Evidence { http_status: Some(404), ..client }, Outcome::ClientError),
            (Evidence { http_status: Some(200), ..client }, Outcome::Ok),
            (Evidence { http_status: Some(503), ..client }, Outcome::Error),
        ];
        for (evidence, want) in cases {
            assert_eq!(outcome(&evidence), want, "{evidence:?}");
        }
    }
}
