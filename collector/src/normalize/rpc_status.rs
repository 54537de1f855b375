//! The status of a remote procedure call, whatever its framework calls it: by number, or by name in any case.
//!
//! `rpc.response.status_code` (`rpc.status_code` since version 1.45 of the semantic conventions) is one attribute for
//! the codes of all frameworks, so that what `20` or `NOT_FOUND` means depends on the framework beside it. Names come as
//! the conventions ask (`NOT_FOUND`), as Go prints them (`NotFound`) and as Connect writes them (`not_found`).
//!
//! Sources: gRPC "Status codes and their use"; Connect protocol, "Error codes", which are gRPC's; Dubbo
//! `org.apache.dubbo.remoting.exchange.Response`; Dubbo's Triple protocol has gRPC's. Limits: of other frameworks'
//! codes nothing is known, and a span's own status decides.

/// A code that says what became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcStatus {
    Grpc(i64),
    Dubbo(i64),
}

/// A code as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentStatus<'a> {
    Number(i64),
    Name(&'a str),
}

/// Names of gRPC's codes by number, without what separates their words.
const GRPC_NAMES: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalidargument",
    "deadlineexceeded",
    "notfound",
    "alreadyexists",
    "permissiondenied",
    "resourceexhausted",
    "failedprecondition",
    "aborted",
    "outofrange",
    "unimplemented",
    "internal",
    "unavailable",
    "dataloss",
    "unauthenticated",
];

/// The name of code 1 in American spelling, which Go and Connect prefer.
const CANCELED: &str = "canceled";

const DUBBO_NAMES: [(&str, i64); 12] = [
    ("ok", 20),
    ("serializationerror", 25),
    ("clienttimeout", 30),
    ("servertimeout", 31),
    ("channelinactive", 35),
    ("badrequest", 40),
    ("badresponse", 50),
    ("servicenotfound", 60),
    ("serviceerror", 70),
    ("servererror", 80),
    ("clienterror", 90),
    ("serverthreadpoolexhaustederror", 100),
];

/// What a code means in the framework `system` (`rpc.system`, `rpc.system.name`). Without one, a code that gRPC knows is
/// gRPC's.
pub fn rpc_status(system: Option<&str>, sent: SentStatus<'_>) -> Option<RpcStatus> {
    let is_any_of =
        |names: [&str; 2]| system.is_some_and(|system| names.iter().any(|name| same(system, name)));
    if is_any_of(["dubbo", "apachedubbo"]) {
        return dubbo_code(sent).map(RpcStatus::Dubbo).or_else(|| grpc_code(sent).map(RpcStatus::Grpc));
    }
    let speaks_grpc =
        system.is_none_or(|system| same(system, "grpc")) || is_any_of(["connectrpc", "connect"]);
    grpc_code(sent).filter(|_| speaks_grpc).map(RpcStatus::Grpc)
}

/// The number of a code of gRPC; `None` where gRPC has no such code.
pub fn grpc_code(sent: SentStatus<'_>) -> Option<i64> {
    match sent {
        SentStatus::Number(code) => (0..GRPC_NAMES.len() as i64).contains(&code).then_some(code),
        SentStatus::Name(name) if same(name, CANCELED) => Some(1),
        SentStatus::Name(name) => {
            GRPC_NAMES.iter().position(|known| same(name, known)).map(|position| position as i64)
        }
    }
}

fn dubbo_code(sent: SentStatus<'_>) -> Option<i64> {
    let known = DUBBO_NAMES.iter().find(|(known, code)| match sent {
        SentStatus::Number(number) => number == *code,
        SentStatus::Name(name) => same(name, known),
    });
    known.map(|(_, code)| *code)
}

/// Whether `name` is the same as `known`, but for case and for what separates words.
fn same(name: &str, known: &str) -> bool {
    let letters = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(known.bytes())
}

#[cfg(test)]
mod tests {
    use super::RpcStatus::{Dubbo, Grpc};
    use super::SentStatus::{Name, Number};
    use super::*;

    #[test]
    fn codes_of_grpc_have_names_in_every_case() {
        let cases = [
            ("OK", 0),
            ("CANCELLED", 1),
            ("Canceled", 1),
            ("canceled", 1),
            ("INVALID_ARGUMENT", 3),
            ("DeadlineExceeded", 4),
            ("not_found", 5),
            ("failed-precondition", 9),
            ("Out of range", 11),
            ("UNAUTHENTICATED", 16),
        ];
        for (name, code) in cases {
            assert_eq!(grpc_code(Name(name)), Some(code), "{name}");
        }
        for name in ["", "_", "NOT", "NOT_FOUNDS", "404", "5"] {
            assert_eq!(grpc_code(Name(name)), None, "{name}");
        }
        for (number, want) in [(-1, None), (0, Some(0)), (16, Some(16)), (17, None), (i64::MIN, None)] {
            assert_eq!(grpc_code(Number(number)), want);
        }
    }

    #[test]
    fn the_framework_says_what_a_code_means() {
        let cases = [
            (None, Name("UNAVAILABLE"), Some(Grpc(14))),
            (None, Number(14), Some(Grpc(14))),
            (None, Number(-32602), None),
            (None, Number(20), None),
            (Some("grpc"), Name("UNAVAILABLE"), Some(Grpc(14))),
            (Some("connectrpc"), Name("unavailable"), Some(Grpc(14))),
            (Some("connect_rpc"), Name("unavailable"), Some(Grpc(14))),
            (Some("jsonrpc"), Number(5), None),
            (Some("java_rmi"), Name("INTERNAL"), None),
            (Some("dubbo"), Name("OK"), Some(Dubbo(20))),
            (Some("dubbo"), Name("SERVER_THREADPOOL_EXHAUSTED_ERROR"), Some(Dubbo(100))),
            (Some("apache_dubbo"), Number(40), Some(Dubbo(40))),
            (Some("dubbo"), Name("DEADLINE_EXCEEDED"), Some(Grpc(4))),
            (Some("dubbo"), Number(4), Some(Grpc(4))),
            (Some("dubbo"), Number(41), None),
        ];
        for (system, sent, want) in cases {
            assert_eq!(rpc_status(system, sent), want, "{system:?} {sent:?}");
        }
    }
}
