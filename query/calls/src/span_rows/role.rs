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
    /// It only looked up a name.
    pub is_looking_up: bool,
    /// The operation is told by itself, and not by a part of a name.
    is_sure: bool,
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
    /// Something else is done about a message or its queue: a lock is renewed, a queue declared.
    Manage,
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

/// What the operations of brokers and their clients begin with that move no message.
/// Sources: the operations of AMQP 0-9-1, Amazon SQS, Azure Service Bus and Google Pub/Sub.
const MANAGING: [&str; 15] = [
    "bind",
    "cancel",
    "change",
    "checkpoint",
    "declare",
    "delete",
    "extend",
    "heartbeat",
    "modack",
    "modify",
    "peek",
    "purge",
    "renew",
    "subscribe",
    "unsubscribe",
];

/// What the name of a span says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSays {
    operation: Operation,
    /// The operation is a word of its own, and not part of one.
    is_a_word: bool,
    connects: bool,
    looks_up: bool,
    connects_a_store: bool,
    streams: bool,
}

impl NameSays {
    pub fn of(name: &str) -> NameSays {
        let connects =
            words(name).any(|word| CONNECTING.iter().any(|known| word.eq_ignore_ascii_case(known)));
        let looks_up =
            words(name).any(|word| LOOKING_UP.iter().any(|known| word.eq_ignore_ascii_case(known)));
        // `pg-pool.connect` and the like: of a statement another word comes first.
        let connects_a_store = !name.contains(char::is_whitespace)
            && words(name).last().is_some_and(|word| word.eq_ignore_ascii_case("connect"));
        let (operation, is_a_word) = operation_of(name);
        NameSays { operation, is_a_word, connects, looks_up, connects_a_store, streams: is_stream(name) }
    }

    /// Another number for everything else that a name may say.
    pub fn code(self) -> u64 {
        let facts = [self.is_a_word, self.streams, self.connects, self.looks_up, self.connects_a_store];
        facts.into_iter().fold(self.operation as u64, |code, fact| 2 * code + u64::from(fact))
    }
}

/// What the name of a span about a message says was done, and whether it says so by a word of its own: its last word or its
/// first, for the destination is the other one and may be called like an operation. What settles a message comes last, for it
/// is told of nothing else.
fn operation_of(name: &str) -> (Operation, bool) {
    let whole = [name.split_whitespace().next_back(), name.split_whitespace().next()];
    let told: Vec<Operation> = whole.into_iter().flatten().filter_map(known).collect();
    let acts = told.iter().find(|operation| **operation != Operation::Settle).or(told.first());
    let of_words = || acts.copied().or_else(|| spoken(words(name)));
    match of_words() {
        Some(operation) => (operation, true),
        None => (spoken(words(name).flat_map(humps)).unwrap_or(Operation::Unknown), false),
    }
}

/// What is said by one of the words of a name or an operation, as by `SendMessage` and `ServiceBus.renewMessageLock`. That a word
/// is one of what settles a message is no proof, for destinations have such words.
fn spoken<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<Operation> {
    let said = |word: &str| match known(word) {
        Some(Operation::Settle) => Some(Operation::Manage),
        None if MANAGING.iter().any(|managing| word.eq_ignore_ascii_case(managing)) => {
            Some(Operation::Manage)
        }
        operation => operation,
    };
    words.find_map(said)
}

/// The words of `camelCase`.
fn humps(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let begins = |(at, c): (usize, char)| (at > 0 && c.is_ascii_uppercase()).then_some(at);
        let end = rest.char_indices().find_map(begins).unwrap_or(rest.len());
        let (hump, after) = rest.split_at(end);
        rest = after;
        (!hump.is_empty()).then_some(hump)
    })
}

/// Words of spans that stand for no request of their own. `getconn` is of Go's httptrace.
const CONNECTING: [&str; 9] =
    ["dns", "tcp", "tls", "connect", "getconn", "lookup", "handshake", "dial", "socket"];

/// Those of spans whose addresses are what was asked for, and not who was asked.
const LOOKING_UP: [&str; 2] = ["dns", "lookup"];

/// What a span speaks to its far end, as its attributes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP or a protocol of procedure calls: it is a request, whatever it is called.
    Requests,
    /// That of a data store.
    Store,
    Unknown,
}

impl Said {
    pub fn of(name: &str, operation: Option<&str>, is_messaging: bool, speaks: Speaks) -> Said {
        let is_messaging = is_messaging || operation.is_some();
        let by_name = NameSays::of(name);
        let told = |told: &str| known(told).or_else(|| spoken(words(told).flat_map(humps)));
        let (operation, is_sure) = match operation {
            Some(operation) => (told(operation).unwrap_or(Operation::Unknown), true),
            None => (by_name.operation, by_name.is_a_word),
        };
        let connects = match speaks {
            Speaks::Requests => false,
            Speaks::Store => by_name.connects_a_store,
            Speaks::Unknown => by_name.connects,
        };
        Said {
            is_messaging,
            operation,
            is_connecting: connects && !is_messaging,
            is_looking_up: connects && by_name.looks_up && !is_messaging,
            is_sure,
            is_stream: speaks != Speaks::Unknown && by_name.streams,
        }
    }

    /// Whether a span of this kind took messages in, for others to work on. A handler may be called `ReceiveOrder`, but a client's
    /// `ReceiveMessage` polls.
    pub fn takes_in(&self, kind: i64) -> bool {
        self.operation == Operation::Receive && (self.is_sure || kind == CLIENT)
    }
}

/// The kind of a span that calls. Source: `opentelemetry/proto/trace/v1/trace.proto`.
pub const CLIENT: i64 = 3;

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
        (3, true, Operation::Manage) => Role::Internal,
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

    fn role_by_name(kind: i64, name: &str, is_messaging: bool) -> Role {
        role(kind, &Said::of(name, None, is_messaging, Speaks::Unknown))
    }

    fn role_by_operation(kind: i64, operation: &str) -> Role {
        role(kind, &Said::of("x", Some(operation), true, Speaks::Unknown))
    }

    #[test]
    fn the_operation_outranks_the_kind_of_a_message() {
        assert_eq!([2, 3, 4, 5].map(|kind| role_by_operation(kind, "send")), {
            [Role::Consumed, Role::Produced, Role::Produced, Role::Consumed]
        });
        assert_eq!(role_by_operation(3, "receive"), Role::Consumed);
        assert_eq!(role_by_operation(3, "process"), Role::Consumed);
        assert_eq!([3, 5].map(|kind| role_by_operation(kind, "settle")), [Role::Internal; 2]);
    }

    #[test]
    fn names_tell_the_operation_where_nothing_else_does() {
        assert_eq!(role_by_name(3, "orders send", true), Role::Produced);
        assert_eq!(role_by_name(3, "poll orders", true), Role::Consumed);
        assert_eq!(role_by_name(3, "orders ack", true), Role::Internal);
        assert_eq!(role_by_name(3, "poll orders", false), Role::Made, "not about messages");
        assert!(Said::of("orders receive", None, false, Speaks::Unknown).takes_in(5));
    }

    /// Queues that are called like operations.
    #[test]
    fn the_name_of_a_queue_is_no_operation() {
        assert_eq!(role_by_name(5, "commit-log process", true), Role::Consumed);
        assert_eq!(role_by_name(5, "complete-orders", true), Role::Consumed);
        assert_eq!(role_by_name(4, "reject", true), Role::Internal, "the whole name is one");
        assert_eq!(role_by_name(4, "publish ack", true), Role::Produced);
        assert_eq!(role_by_name(3, "send-mail receive", true), Role::Consumed);
        assert!(!Said::of("poll-results process", None, true, Speaks::Unknown).takes_in(5));
        let handler = Said::of("ReceiveOrder", None, true, Speaks::Unknown);
        assert_eq!([handler.takes_in(CLIENT), handler.takes_in(5)], [true, false]);
    }

    #[test]
    fn operations_of_brokers_are_known_by_their_words() {
        for name in ["ServiceBus.renewMessageLock", "Sqs.DeleteMessage", "queue.declare", "orders modack"] {
            assert_eq!(role_by_name(3, name, true), Role::Internal, "{name}");
        }
        assert_eq!(role_by_name(3, "ServiceBusReceiver.complete", true), Role::Internal);
        assert_eq!(role_by_name(3, "Sqs.SendMessageBatch", true), Role::Produced);
        assert_eq!(role_by_name(3, "Sqs.ReceiveMessage", true), Role::Consumed);
        assert_eq!(role_by_operation(3, "publish_batch"), Role::Produced);
        assert_eq!([3, 5].map(|kind| role_by_operation(kind, "subscribe")), [Role::Internal, Role::Consumed]);
    }

    #[test]
    fn looking_up_and_connecting_are_no_requests() {
        let said = |name, speaks| Said::of(name, None, false, speaks);
        for name in ["dns.lookup", "tcp.connect", "TLS handshake", "connect", "http.getconn"] {
            assert!(said(name, Speaks::Unknown).is_connecting, "{name}");
            assert_eq!(said(name, Speaks::Unknown).is_looking_up, name == "dns.lookup", "{name}");
        }
        assert!(!said("GET /connect", Speaks::Requests).is_connecting);
        assert!(!said("reconnected", Speaks::Unknown).is_connecting);
        for (name, want) in [("pg-pool.connect", true), ("SELECT connect", false), ("dns.lookup", false)] {
            assert_eq!(said(name, Speaks::Store).is_connecting, want, "{name}");
        }
    }
}
