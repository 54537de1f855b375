//! Span attributes with a column of their own: which they are, and the columns.
//!
//! A key is looked up in a table made at compile time from the key lists of `meshlake_schema::tables`: four
//! bytes of the key are hashed so that no two listed keys collide, then one comparison decides. Most spans
//! fill a third of the columns, so a column is pushed only where there is a value, and padded later.
//!
//! The rule for what leaves the map stands with the lists: a value is moved out of the map only when no other
//! attribute of the span belongs to the same column. So a reader who finds no such attribute in the map
//! knows that the column was the attribute.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use meshlake_schema::ResponseFlags;
use meshlake_schema::tables::{LEGACY_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};

use crate::columns::attributes::AttributesColumn;
use crate::columns::{DictionaryColumn, NumberColumn};
use crate::decode::otlp::any_value::{AnyValue, KeyValue};
use crate::decode::otlp::value_writer::ValueWriter;
use crate::limits::ATTRIBUTES_MAX;
use crate::normalize::spans::{PROXY_COMPONENT, SpanFacts};
use crate::protobuf::wire::{self, WireError};
use crate::tally::Warning;

/// What an attribute key means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Today's key of a column, by its position in `PROMOTED_SPAN_KEYS`.
    Today(u8),
    /// An older key of a column, and which of all keys it is.
    Older {
        column: u8,
        key: u8,
    },
    Component,
    ResponseFlags,
}

const COLUMN_COUNT: usize = PROMOTED_SPAN_KEYS.len();
const KEY_COUNT: usize = COLUMN_COUNT + LEGACY_SPAN_KEYS.len() + 2;

/// One bit per column must fit the set of columns that a span fills.
const _: () = assert!(COLUMN_COUNT <= u32::BITS as usize);

/// Twelve slots a key: a seed without collisions is found within a few tries.
const SLOT_BITS: u32 = 9;

const KEYS: [(&str, Role); KEY_COUNT] = {
    let mut keys = [("component", Role::Component); KEY_COUNT];
    keys[1] = ("response_flags", Role::ResponseFlags);
    let mut at = 0;
    while at < COLUMN_COUNT {
        keys[2 + at] = (PROMOTED_SPAN_KEYS[at].0, Role::Today(at as u8));
        at += 1;
    }
    at = 0;
    while at < LEGACY_SPAN_KEYS.len() {
        let (name, column) = LEGACY_SPAN_KEYS[at];
        keys[2 + COLUMN_COUNT + at] = (name, Role::Older { column: column_of(column), key: at as u8 });
        at += 1;
    }
    keys
};

/// The multiplier under which all of `KEYS` fall into slots of their own.
const SEED: u32 = {
    let mut seed = 0x9E37_79B1u32;
    while !separates(seed) {
        seed = seed.wrapping_add(0x3C6E_F362);
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
    while !same(PROMOTED_SPAN_KEYS[at].1.as_bytes(), name.as_bytes()) {
        at += 1;
    }
    at as u8
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

const fn separates(seed: u32) -> bool {
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

/// Length, first, last and quarter byte tell all listed keys apart. `key` must not be empty.
#[inline]
const fn slot(key: &[u8], seed: u32) -> usize {
    let length = key.len();
    let features = u32::from_le_bytes([length as u8, key[0], key[length - 1], key[length / 4]]);
    (features.wrapping_mul(seed) >> (u32::BITS - SLOT_BITS)) as usize
}

#[inline]
fn role(key: &[u8]) -> Option<Role> {
    if key.is_empty() {
        return None;
    }
    let at = usize::from(SLOTS[slot(key, SEED)]).checked_sub(1)?;
    let (known, role) = KEYS[at];
    (known.as_bytes() == key).then_some(role)
}

/// What the attributes of one span say about one column.
#[derive(Debug, Clone, Copy, Default)]
struct Claim<'a> {
    /// Value of today's key, of the column's type, not in the map so far.
    today: Option<AnyValue<'a>>,
    /// The last value of the first older key that fits the column, and that key.
    older: Option<AnyValue<'a>>,
    older_key: u8,
    /// Some attribute that belongs to the column is in the map.
    in_map: bool,
}

impl<'a> Claim<'a> {
    /// What the column holds in the span's row.
    fn value(&self) -> Option<AnyValue<'a>> {
        self.today.or(self.older)
    }

    fn int(&self) -> Option<i64> {
        match self.value() {
            Some(AnyValue::Int(int)) => Some(int),
            _ => None,
        }
    }
}

/// The columns, in the order of `PROMOTED_SPAN_KEYS`.
#[derive(Debug)]
pub(super) struct PromotedColumns {
    columns: [PromotedColumn; COLUMN_COUNT],
}

#[derive(Debug)]
enum PromotedColumn {
    Text(DictionaryColumn),
    Int(NumberColumn<Int64Type>),
}

impl Default for PromotedColumns {
    fn default() -> Self {
        let columns = PROMOTED_SPAN_KEYS.map(|(_, _, kind)| match kind {
            PromotedType::String => PromotedColumn::Text(DictionaryColumn::default()),
            PromotedType::Int => PromotedColumn::Int(NumberColumn::default()),
        });
        PromotedColumns { columns }
    }
}

impl PromotedColumns {
    /// Pushes the attributes of the span in row `row`, as many as are kept: into their columns, and all others into
    /// `map`. Fills in what the attributes tell about the call. Returns how many are not kept.
    ///
    /// # Errors
    /// An attribute that cannot be read.
    pub(super) fn push_row(
        &mut self,
        row: usize,
        attributes: &[&[u8]],
        map: &mut AttributesColumn,
        writer: &mut ValueWriter,
        facts: &mut SpanFacts,
    ) -> Result<i64, WireError> {
        let mut claims = [Claim::default(); COLUMN_COUNT];
        let mut claimed = 0u32;
        for message in attributes.iter().take(ATTRIBUTES_MAX) {
            let entry = writer.read(message)?;
            match role(entry.key) {
                None => {}
                Some(Role::Today(column)) => {
                    claimed |= 1 << column;
                    let claim = &mut claims[usize::from(column)];
                    // Of a key that comes again the last value holds; the map sees to those that are in it.
                    if claim.today.take().is_some() {
                        writer.warn(Warning::AttributeRepeated, 1);
                    }
                    if fits(entry.value, PROMOTED_SPAN_KEYS[usize::from(column)].2) {
                        claim.today = Some(entry.value);
                        continue;
                    }
                    claim.in_map = true;
                }
                Some(Role::Older { column, key }) => {
                    claimed |= 1 << column;
                    let claim = &mut claims[usize::from(column)];
                    claim.in_map = true;
                    if claim.older.is_none() || claim.older_key == key {
                        claim.older = as_column(entry.value, PROMOTED_SPAN_KEYS[usize::from(column)].2);
                        claim.older_key = key;
                    }
                }
                Some(Role::Component) => {
                    facts.component_proxy = entry.value == AnyValue::String(PROXY_COMPONENT.as_bytes());
                }
                Some(Role::ResponseFlags) => {
                    if let AnyValue::String(names) = entry.value {
                        facts.response_flags = ResponseFlags::from_short_names(&wire::text(names));
                    }
                }
            }
            writer.push_entry(map, entry)?;
        }
        while claimed != 0 {
            let column = claimed.trailing_zeros() as usize;
            claimed &= claimed - 1;
            self.settle(row, column, claims[column], map, writer)?;
        }
        facts.http_status = claims[HTTP_STATUS].int();
        facts.grpc_status = claims[GRPC_STATUS].int();
        let left_out = attributes.len().saturating_sub(ATTRIBUTES_MAX);
        writer.warn(Warning::AttributeDropped, left_out as u64);
        Ok(left_out as i64)
    }

    fn settle(
        &mut self,
        row: usize,
        column: usize,
        claim: Claim<'_>,
        map: &mut AttributesColumn,
        writer: &mut ValueWriter,
    ) -> Result<(), WireError> {
        if let (Some(value), true) = (claim.today, claim.in_map) {
            writer.push_entry(map, KeyValue { key: PROMOTED_SPAN_KEYS[column].0.as_bytes(), value })?;
        }
        match (&mut self.columns[column], claim.value()) {
            (PromotedColumn::Text(texts), Some(AnyValue::String(bytes))) => {
                texts.pad_nulls(row);
                writer.push_repeating(texts, bytes);
            }
            (PromotedColumn::Int(ints), Some(AnyValue::Int(int))) => {
                ints.pad_nulls(row);
                ints.push(int);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the columns, each with `rows` rows.
    pub(super) fn finish(&mut self, rows: usize) -> impl Iterator<Item = ArrayRef> + '_ {
        self.columns.iter_mut().map(move |column| match column {
            PromotedColumn::Text(texts) => {
                texts.pad_nulls(rows);
                texts.finish()
            }
            PromotedColumn::Int(ints) => {
                ints.pad_nulls(rows);
                ints.finish()
            }
        })
    }
}

const HTTP_STATUS: usize = column_of("http_response_status_code") as usize;
const GRPC_STATUS: usize = column_of("rpc_grpc_status_code") as usize;

fn fits(value: AnyValue<'_>, kind: PromotedType) -> bool {
    matches!(
        (value, kind),
        (AnyValue::String(_), PromotedType::String) | (AnyValue::Int(_), PromotedType::Int)
    )
}

/// The value of an older key as its column holds it; `None` where it does not fit.
fn as_column(value: AnyValue<'_>, kind: PromotedType) -> Option<AnyValue<'_>> {
    match (value, kind) {
        (AnyValue::String(bytes), PromotedType::Int) => {
            std::str::from_utf8(bytes).ok()?.parse().ok().map(AnyValue::Int)
        }
        _ => fits(value, kind).then_some(value),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, StringArray};
    use arrow::datatypes::Int32Type;
    use meshlake_schema::tables::{Column, Kind};
    use opentelemetry_proto::tonic::common::v1 as otlp;
    use prost::Message as _;

    use super::*;
    use crate::columns::TextColumn;
    use crate::decode::otlp::testing::{any, entry, int, string};

    /// Pushes one span's attributes; returns the columns that are not null, as text, and the map's keys.
    fn push(attributes: &[otlp::KeyValue]) -> (Vec<(&'static str, String)>, Vec<String>, SpanFacts) {
        let (mut columns, mut map) = (PromotedColumns::default(), AttributesColumn::default());
        let mut facts = SpanFacts::default();
        let messages: Vec<_> = attributes.iter().map(otlp::KeyValue::encode_to_vec).collect();
        let messages: Vec<_> = messages.iter().map(Vec::as_slice).collect();
        let (mut writer, mut types) = (ValueWriter::default(), TextColumn::default());
        columns.push_row(0, &messages, &mut map, &mut writer, &mut facts).expect("encoded above");
        writer.end_list_row(&mut map, &mut types);
        let filled = columns.finish(1).zip(PROMOTED_SPAN_KEYS).filter(|(array, _)| array.is_valid(0));
        let filled = filled.map(|(array, (_, name, kind))| match kind {
            PromotedType::Int => (name, array.as_primitive::<Int64Type>().value(0).to_string()),
            PromotedType::String => {
                let texts = array.as_dictionary::<Int32Type>();
                let texts = texts.downcast_dict::<StringArray>().expect("text");
                (name, texts.into_iter().flatten().map(str::to_owned).collect())
            }
        });
        let filled = filled.collect();
        let map = map.finish();
        let keys = map.as_map().keys().as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        (filled, keys, facts)
    }

    fn check(attributes: &[otlp::KeyValue], columns: &[(&str, &str)], map: &[&str]) {
        let (filled, keys, _) = push(attributes);
        let filled: Vec<_> = filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(filled, columns, "columns of {attributes:?}");
        assert_eq!(keys, map, "map of {attributes:?}");
    }

    #[test]
    fn every_key_is_found_and_nothing_else() {
        for (at, (key, ..)) in PROMOTED_SPAN_KEYS.into_iter().enumerate() {
            assert_eq!(role(key.as_bytes()), Some(Role::Today(at as u8)), "{key}");
        }
        for (key, column) in LEGACY_SPAN_KEYS {
            let Some(Role::Older { column: at, .. }) = role(key.as_bytes()) else {
                panic!("{key} is not found")
            };
            assert_eq!(PROMOTED_SPAN_KEYS[usize::from(at)].1, column);
        }
        for key in ["", "h", "http.methoD", "http.request.methods", "component ", "x.y"] {
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

    #[test]
    fn todays_key_moves_out_of_the_map() {
        check(&[entry("http.route", string("/r"))], &[("http_route", "/r")], &[]);
        check(&[entry("server.port", int(80))], &[("server_port", "80")], &[]);
        check(&[entry("http.route", string(""))], &[("http_route", "")], &[]);
    }

    #[test]
    fn another_type_stays_in_the_map() {
        check(&[entry("http.route", int(1))], &[], &["http.route"]);
        check(&[entry("server.port", string("80"))], &[], &["server.port"]);
        check(&[entry("server.port", otlp::AnyValue { value: None })], &[], &["server.port"]);
    }

    #[test]
    fn an_older_key_fills_the_column_and_stays() {
        check(&[entry("http.method", string("GET"))], &[("http_request_method", "GET")], &["http.method"]);
        let status = |value| [entry("http.status_code", value)];
        check(&status(string("503")), &[("http_response_status_code", "503")], &["http.status_code"]);
        check(&status(int(503)), &[("http_response_status_code", "503")], &["http.status_code"]);
        check(&status(string("5xx")), &[], &["http.status_code"]);
        check(&status(any(otlp::any_value::Value::BoolValue(true))), &[], &["http.status_code"]);
        check(&[entry("net.peer.ip", int(1))], &[], &["net.peer.ip"]);
    }

    #[test]
    fn todays_key_wins_over_an_older_one_and_both_stay() {
        let (today, older) = (entry("url.full", string("new")), entry("http.url", string("old")));
        check(&[today.clone(), older.clone()], &[("url_full", "new")], &["http.url", "url.full"]);
        check(&[older, today], &[("url_full", "new")], &["http.url", "url.full"]);
        let unfit = entry("http.status_code", string("-"));
        let today = entry("http.response.status_code", int(200));
        let keys = ["http.status_code", "http.response.status_code"];
        check(&[unfit, today], &[("http_response_status_code", "200")], &keys);
    }

    #[test]
    fn of_repeated_keys_the_last_holds() {
        let (text, other, number) =
            (entry("http.route", string("a")), entry("http.route", string("b")), entry("http.route", int(1)));
        check(&[text.clone(), other.clone()], &[("http_route", "b")], &[]);
        check(&[text.clone(), number.clone()], &[], &["http.route"]);
        check(&[text, number.clone(), other], &[("http_route", "b")], &["http.route"]);
        check(&[number.clone(), number], &[], &["http.route"]);
        let older = [entry("http.method", string("GET")), entry("http.method", string("PUT"))];
        check(&older, &[("http_request_method", "PUT")], &["http.method"]);
    }

    #[test]
    fn the_first_of_several_older_keys_that_fits_counts() {
        let addresses = [
            entry("peer.address", int(1)),
            entry("net.peer.ip", string("10.0.0.1")),
            entry("net.sock.peer.addr", string("10.0.0.2")),
        ];
        let keys = ["peer.address", "net.peer.ip", "net.sock.peer.addr"];
        check(&addresses, &[("network_peer_address", "10.0.0.1")], &keys);
    }

    #[test]
    fn facts_are_read_off_the_attributes() {
        let (_, keys, facts) = push(&[
            entry("component", string("proxy")),
            entry("response_flags", string("UH,URX")),
            entry("http.status_code", string("0")),
            entry("rpc.grpc.status_code", int(14)),
        ]);
        assert!(facts.component_proxy);
        assert_eq!(facts.response_flags, ResponseFlags::from_short_names("UH,URX"));
        assert_eq!((facts.http_status, facts.grpc_status), (Some(0), Some(14)));
        assert_eq!(keys, ["component", "response_flags", "http.status_code"]);
        let (_, _, facts) = push(&[entry("component", string("cart")), entry("response_flags", int(1))]);
        assert!(!facts.component_proxy);
        assert_eq!(facts.response_flags, ResponseFlags::default());
    }
}
