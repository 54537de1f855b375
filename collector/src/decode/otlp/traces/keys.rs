//! Which attribute keys of a span have a column, and how what they hold is read.
//!
//! A key is looked up in a table made at compile time from the key lists of `meshlake_schema::tables`: its length and
//! nine bytes of it are hashed so that no two listed keys collide, then one comparison decides.

use meshlake_schema::tables::{KEYS_BY_KIND, OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType, Spans};

/// What an attribute key means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The key that a column is named after, by its position in `PROMOTED_SPAN_KEYS`.
    Own(u8),
    /// Another spelling of it.
    Other(Spelling),
    /// A name of one end of the connection: a spelling of the first column on SERVER spans, of the second on others.
    End {
        server: Option<Spelling>,
        others: Option<Spelling>,
    },
    /// A status whose meaning depends on the framework; a spelling of [`GRPC_STATUS`] where that is gRPC.
    RpcStatus {
        rank: u8,
    },
    Component,
    ResponseFlags,
}

/// A column that a key is another spelling of, and its rank: of several that can be read the lowest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) column: u8,
    pub(super) rank: u8,
}

/// How a value under another spelling, or of another type, becomes one of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Text,
    /// Text that proxies also write with a port, or as a listener inside Envoy.
    Address,
    /// The target of a request, of which the query is no part of the path.
    Path,
    /// A version of HTTP that others write with the protocol's name, or with a zero behind it.
    Version,
    Int,
    /// An integer, or the name of a code.
    GrpcStatus,
}

pub(super) const COLUMN_COUNT: usize = PROMOTED_SPAN_KEYS.len();

/// One bit per column must fit the set of columns that a span fills.
const _: () = assert!(COLUMN_COUNT <= u32::BITS as usize);

pub(super) const HTTP_STATUS: usize = column_of("http_response_status_code") as usize;
pub(super) const GRPC_STATUS: usize = column_of("rpc_grpc_status_code") as usize;
pub(super) const RPC_SYSTEM: usize = column_of("rpc_system") as usize;

/// By column.
pub(super) const READINGS: [Reading; COLUMN_COUNT] = {
    let mut readings = [Reading::Text; COLUMN_COUNT];
    let mut at = 0;
    while at < COLUMN_COUNT {
        if matches!(PROMOTED_SPAN_KEYS[at].2, PromotedType::Int) {
            readings[at] = Reading::Int;
        }
        at += 1;
    }
    readings[GRPC_STATUS] = Reading::GrpcStatus;
    readings[column_of("network_peer_address") as usize] = Reading::Address;
    readings[column_of("server_address") as usize] = Reading::Address;
    readings[column_of("client_address") as usize] = Reading::Address;
    readings[column_of("url_path") as usize] = Reading::Path;
    readings[column_of("network_protocol_version") as usize] = Reading::Version;
    readings
};

const RPC_STATUS_KEYS: [&str; 2] = ["rpc.status_code", "rpc.response.status_code"];

/// Those of `OTHER_SPAN_KEYS` that stand for two columns are one key.
const KEY_COUNT: usize = {
    let (mut count, mut at) = (COLUMN_COUNT + 2, 0);
    while at < OTHER_SPAN_KEYS.len() {
        count += (first_of(OTHER_SPAN_KEYS[at].0) == at) as usize;
        at += 1;
    }
    count
};

const KEYS: [(&str, Role); KEY_COUNT] = {
    let mut keys = [("component", Role::Component); KEY_COUNT];
    keys[1] = ("response_flags", Role::ResponseFlags);
    let (mut next, mut at) = (2, 0);
    while at < COLUMN_COUNT {
        keys[next] = (PROMOTED_SPAN_KEYS[at].0, Role::Own(at as u8));
        next += 1;
        at += 1;
    }
    at = 0;
    while at < OTHER_SPAN_KEYS.len() {
        if first_of(OTHER_SPAN_KEYS[at].0) == at {
            keys[next] = (OTHER_SPAN_KEYS[at].0, other_role(at));
            next += 1;
        }
        at += 1;
    }
    keys
};

/// Where a key comes first in `OTHER_SPAN_KEYS`.
const fn first_of(name: &str) -> usize {
    let mut at = 0;
    while !same(OTHER_SPAN_KEYS[at].0, name) {
        at += 1;
    }
    at
}

/// The role of the key that comes first at `at` in `OTHER_SPAN_KEYS`.
const fn other_role(at: usize) -> Role {
    let (name, column) = OTHER_SPAN_KEYS[at];
    let spelling = spelling(name, column);
    let (mut server, mut others, mut is_end, mut entry) = (None, None, false, 0);
    while entry < KEYS_BY_KIND.len() {
        let (key, column, spans) = KEYS_BY_KIND[entry];
        if same(key, name) {
            is_end = true;
            match spans {
                Spans::Server => server = Some(self::spelling(name, column)),
                Spans::Others => others = Some(self::spelling(name, column)),
            }
        }
        entry += 1;
    }
    if is_end {
        Role::End { server, others }
    } else if same(name, RPC_STATUS_KEYS[0]) || same(name, RPC_STATUS_KEYS[1]) {
        Role::RpcStatus { rank: spelling.rank }
    } else {
        Role::Other(spelling)
    }
}

const fn spelling(name: &str, column: &str) -> Spelling {
    let mut at = 0;
    while !(same(OTHER_SPAN_KEYS[at].0, name) && same(OTHER_SPAN_KEYS[at].1, column)) {
        at += 1;
    }
    // Rank 0 is that of a column's own key.
    Spelling { column: column_of(column), rank: at as u8 + 1 }
}

const _: () = assert!(OTHER_SPAN_KEYS.len() < u8::MAX as usize);

/// Some twenty-five slots a key: a seed without collisions is found within a few tries.
const SLOT_BITS: u32 = 11;

/// No listed key is shorter; a few bytes are hashed without looking.
const KEY_BYTES_MIN: usize = 7;

/// The multiplier under which all of `KEYS` fall into slots of their own.
const SEED: u64 = {
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    while !separates(seed) {
        seed = seed.wrapping_add(0x3C6E_F372_FE94_F82A);
    }
    seed
};

/// Position in `KEYS` plus one by slot; 0 is an empty slot.
const SLOTS: [u8; 1 << SLOT_BITS] = {
    let mut slots = [0; 1 << SLOT_BITS];
    let mut at = 0;
    while at < KEY_COUNT {
        slots[slot(KEYS[at].0.as_bytes(), SEED)] = at as u8 + 1;
        at += 1;
    }
    slots
};

const fn column_of(name: &str) -> u8 {
    let mut at = 0;
    while !same(PROMOTED_SPAN_KEYS[at].1, name) {
        at += 1;
    }
    at as u8
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

const fn separates(seed: u64) -> bool {
    let mut taken = [false; 1 << SLOT_BITS];
    let mut at = 0;
    while at < KEY_COUNT {
        let slot = slot(KEYS[at].0.as_bytes(), seed);
        if taken[slot] {
            return false;
        }
        taken[slot] = true;
        at += 1;
    }
    true
}

/// The last four bytes, the four before the middle, the first and the length tell all listed keys apart. `key` must have
/// [`KEY_BYTES_MIN`] bytes.
#[inline]
const fn slot(key: &[u8], seed: u64) -> usize {
    let (length, middle) = (key.len(), key.len() / 2 + 1);
    let end = u32::from_le_bytes([key[length - 4], key[length - 3], key[length - 2], key[length - 1]]);
    let inner = u32::from_le_bytes([key[middle - 4], key[middle - 3], key[middle - 2], key[middle - 1]]);
    let features = ((inner as u64) << 32 | end as u64) ^ (key[0] as u64) << 24 ^ length as u64;
    (features.wrapping_mul(seed) >> (u64::BITS - SLOT_BITS)) as usize
}

#[inline]
pub(super) fn role(key: &[u8]) -> Option<Role> {
    if key.len() < KEY_BYTES_MIN {
        return None;
    }
    let at = usize::from(SLOTS[slot(key, SEED)]).checked_sub(1)?;
    let (known, role) = KEYS[at];
    (known.as_bytes() == key).then_some(role)
}

#[cfg(test)]
mod tests {
    use meshlake_schema::tables::{Column, Kind};

    use super::*;

    #[test]
    fn every_key_is_found_and_nothing_else() {
        for (at, (key, ..)) in PROMOTED_SPAN_KEYS.into_iter().enumerate() {
            assert_eq!(role(key.as_bytes()), Some(Role::Own(at as u8)), "{key}");
        }
        for (at, (key, column)) in OTHER_SPAN_KEYS.into_iter().enumerate() {
            let found = match role(key.as_bytes()) {
                Some(Role::Other(spelling)) => vec![spelling],
                Some(Role::RpcStatus { rank }) => vec![Spelling { column: GRPC_STATUS as u8, rank }],
                Some(Role::End { server, others }) => server.into_iter().chain(others).collect(),
                other => panic!("{key} is {other:?}"),
            };
            let mut names =
                found.iter().map(|found| (PROMOTED_SPAN_KEYS[usize::from(found.column)].1, found.rank));
            assert!(names.any(|found| found == (column, at as u8 + 1)), "{key} is {found:?}");
        }
        assert_eq!(role(b"component"), Some(Role::Component));
        assert_eq!(role(b"response_flags"), Some(Role::ResponseFlags));
        for key in ["", "h", "db.nam", "http.methoD", "http.request.methods", "component ", "x.y"] {
            assert_eq!(role(key.as_bytes()), None, "{key}");
        }
    }

    #[test]
    fn the_columns_are_those_of_the_table() {
        let columns = meshlake_schema::Table::Spans.columns();
        let kind =
            |name: &str| columns.iter().find(|column| column.name == name).map(|Column { kind, .. }| *kind);
        for (_, name, promoted) in PROMOTED_SPAN_KEYS {
            let want = if promoted == PromotedType::Int { Kind::Int64 } else { Kind::Dictionary };
            assert_eq!(kind(name), Some(want), "{name}");
        }
    }
}
