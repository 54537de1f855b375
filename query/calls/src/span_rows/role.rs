//! What a span stands for, by its kind and by what it says of itself.
//!
//! The kind alone misleads: sending and receiving a message are CLIENT spans to some libraries, a queue that
//! delivers by HTTP makes SERVER spans, and acknowledging a message is no call. Sources: OpenTelemetry semantic
//! conventions for messaging (`messaging.operation.type`, its older spellings, and span names, which begin or end
//! with the operation).

use crate::operation::is_stream;
use crate::spans::Role;

/// What a span says beside its kind.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub is_messaging: bool,
    operation: Operation,
    /// It only looked up a name or connected.
    pub is_connecting: bool,
    /// It took messages in, for others to work on.
    pub takes_in: bool,
    /// Its method streams.
    pub is_stream: bool,
}

/// What was done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Send,
    Receive,
    Process,
    Settle,
    Unknown,
}

const OPERATIONS: [(&str, Operation); 22] = [
    ("create", Operation::Send),
    ("send", Operation::Send),
    ("publish", Operation::Send),
    ("produce", Operation::Send),
    ("enqueue", Operation::Send),
    ("receive", Operation::Receive),
    ("poll", Operation::Receive),
    ("pull", Operation::Receive),
    ("consume", Operation::Receive),
    ("dequeue", Operation::Receive),
    ("process", Operation::Process),
    ("deliver", Operation::Process),
    ("handle", Operation::Process),
    ("settle", Operation::Settle),
    ("ack", Operation::Settle),
    ("acknowledge", Operation::Settle),
    ("nack", Operation::Settle),
    ("reject", Operation::Settle),
    ("commit", Operation::Settle),
    ("complete", Operation::Settle),
    ("abandon", Operation::Settle),
    ("defer", Operation::Settle),
];

/// What the name of a span says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSays {
    operation: Operation,
    connects: bool,
    streams: bool,
}

impl NameSays {
    pub fn of(name: &str) -> NameSays {
        let connects =
            words(name).any(|word| CONNECTING.iter().any(|known| word.eq_ignore_ascii_case(known)));
        let operation = words(name).find_map(known).unwrap_or(Operation::Unknown);
        NameSays { operation, connects, streams: is_stream(name) }
    }

    /// Another number for everything else that a name may say.
    pub fn code(self) -> u64 {
        4 * self.operation as u64 + 2 * u64::from(self.streams) + u64::from(self.connects)
    }
}

/// Words of spans that stand for no request of their own.
const CONNECTING: [&str; 8] = ["dns", "tcp", "tls", "connect", "lookup", "handshake", "dial", "socket"];

impl Said {
    /// `speaks_a_protocol`: an HTTP method, an RPC or a database system is known, so that it is a request.
    pub fn of(name: &str, operation: Option<&str>, is_messaging: bool, speaks_a_protocol: bool) -> Said {
        let is_messaging = is_messaging || operation.is_some();
        let by_name = NameSays::of(name);
        let operation = match operation {
            Some(operation) => known(operation).unwrap_or(Operation::Unknown),
            None => by_name.operation,
        };
        Said {
            is_messaging,
            operation,
            is_connecting: by_name.connects && !speaks_a_protocol && !is_messaging,
            takes_in: operation == Operation::Receive,
            is_stream: speaks_a_protocol && by_name.streams,
        }
    }
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn known(word: &str) -> Option<Operation> {
    OPERATIONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, operation)| *operation)
}

/// What a span of this OTLP kind stands for: 2 server, 3 client, 4 producer, 5 consumer; all others are internal.
pub fn role(kind: i64, said: &Said) -> Role {
    match (kind, said.is_messaging, said.operation) {
        (4 | 5, _, Operation::Settle) | (2 | 3, true, Operation::Settle) => Role::Internal,
        (2, true, _) | (5, ..) | (3, true, Operation::Receive | Operation::Process) => Role::Consumed,
        (2, false, _) => Role::Received,
        (3, true, _) | (4, ..) => Role::Produced,
        (3, false, _) => Role::Made,
        _ => Role::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_outranks_the_kind_of_a_message() {
        let by_operation = |kind, operation| role(kind, &Said::of("x", Some(operation), true, false));
        assert_eq!([2, 3, 4, 5].map(|kind| by_operation(kind, "send")), {
            [Role::Consumed, Role::Produced, Role::Produced, Role::Consumed]
        });
        assert_eq!(by_operation(3, "receive"), Role::Consumed);
        assert_eq!(by_operation(3, "process"), Role::Consumed);
        assert_eq!([3, 5].map(|kind| by_operation(kind, "settle")), [Role::Internal; 2]);
    }

    #[test]
    fn names_tell_the_operation_where_nothing_else_does() {
        let by_name = |kind, name, is_messaging| role(kind, &Said::of(name, None, is_messaging, false));
        assert_eq!(by_name(3, "orders send", true), Role::Produced);
        assert_eq!(by_name(3, "poll orders", true), Role::Consumed);
        assert_eq!(by_name(3, "orders ack", true), Role::Internal);
        assert_eq!(by_name(3, "poll orders", false), Role::Made, "not about messages");
        assert!(Said::of("orders receive", None, false, false).takes_in);
    }

    #[test]
    fn looking_up_and_connecting_are_no_requests() {
        let connecting = |name, protocol| Said::of(name, None, false, protocol).is_connecting;
        for name in ["dns.lookup", "tcp.connect", "TLS handshake", "connect"] {
            assert!(connecting(name, false), "{name}");
        }
        assert!(!connecting("GET /connect", true));
        assert!(!connecting("reconnected", false));
    }
}
