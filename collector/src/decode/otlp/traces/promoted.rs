//! Span attributes with a column of their own: how they get there.
//!
//! Most spans fill a third of the columns, so a column is pushed only where there is a value, and padded later.
//!
//! The rule for what leaves the map stands with the key lists in `meshlake_schema::tables`: a value is moved out of the
//! map only when no other attribute of the span belongs to the same column. So a reader who finds no such attribute in
//! the map knows that the column was the attribute.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use meshlake_schema::ResponseFlags;
use meshlake_schema::tables::{PROMOTED_SPAN_KEYS, PromotedType};

use super::keys::{
    COLUMN_COUNT, GRPC_STATUS, HTTP_STATUS, READINGS, RPC_SYSTEM, Reading, Role, Spelling, role,
};
use crate::address::{Address, is_internal};
use crate::columns::attributes::AttributesColumn;
use crate::columns::{DictionaryColumn, NumberColumn};
use crate::decode::otlp::any_value::{AnyValue, KeyValue};
use crate::decode::otlp::decimal::{EXACT_DOUBLE_MAX, integer_of};
use crate::decode::otlp::value_writer::ValueWriter;
use crate::limits::ATTRIBUTES_MAX;
use crate::normalize::rpc_status::{RpcStatus, SentStatus, grpc_code, rpc_status};
use crate::normalize::spans::{KIND_SERVER, PROXY_COMPONENT, SpanFacts};
use crate::protobuf::wire::{self, WireError};
use crate::tally::Warning;

/// What the attributes of one span say about one column.
#[derive(Debug, Clone, Copy, Default)]
struct Claim<'a> {
    /// Value of the column's own key, of its type, not in the map so far.
    own: Option<AnyValue<'a>>,
    /// What another spelling or type reads as, the best so far, and its rank.
    read: Option<AnyValue<'a>>,
    rank: u8,
    /// Some attribute that belongs to the column is in the map.
    in_map: bool,
}

impl<'a> Claim<'a> {
    /// Takes what an attribute in the map reads as, or that it cannot be read. Of one key the last holds.
    fn offer(&mut self, rank: u8, read: Option<AnyValue<'a>>) {
        self.in_map = true;
        let is_better = read.is_some() && (self.read.is_none() || rank < self.rank);
        if is_better || rank == self.rank {
            (self.read, self.rank) = (read, rank);
        }
    }

    /// What the column holds in the span's row.
    fn value(&self) -> Option<AnyValue<'a>> {
        self.own.or(self.read)
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
        let mut sent_status = Claim::default();
        for message in attributes.iter().take(ATTRIBUTES_MAX) {
            let entry = writer.read(message)?;
            match role(entry.key) {
                None => {}
                Some(Role::Own(column)) => {
                    claimed |= 1 << column;
                    let claim = &mut claims[usize::from(column)];
                    // Of a key that comes again the last value holds; the map sees to those that are in it.
                    if claim.own.take().is_some() {
                        writer.warn(Warning::AttributeRepeated, 1);
                    }
                    if fits(entry.value, usize::from(column)) {
                        claim.own = Some(entry.value);
                        continue;
                    }
                    claim.offer(0, read(entry.value, READINGS[usize::from(column)]));
                }
                Some(Role::Other(spelling)) => claimed |= offer(&mut claims, spelling, Some(entry.value)),
                Some(Role::End { server, others }) => {
                    let (fills, other) =
                        if facts.kind == KIND_SERVER { (server, others) } else { (others, server) };
                    claimed |= fills.map_or(0, |fills| offer(&mut claims, fills, Some(entry.value)));
                    claimed |= other.map_or(0, |other| offer(&mut claims, other, None));
                }
                Some(Role::RpcStatus { rank }) => sent_status.offer(rank, Some(entry.value)),
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
        if sent_status.in_map {
            claimed |= 1 << GRPC_STATUS;
            take_rpc_status(&sent_status, &mut claims, facts);
        }
        facts.http_status = claims[HTTP_STATUS].int();
        facts.grpc_status = claims[GRPC_STATUS].int();
        while claimed != 0 {
            let column = claimed.trailing_zeros() as usize;
            claimed &= claimed - 1;
            self.settle(row, column, claims[column], map, writer)?;
        }
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
        if let (Some(value), true) = (claim.own, claim.in_map) {
            writer.push_entry(map, KeyValue { key: PROMOTED_SPAN_KEYS[column].0.as_bytes(), value })?;
        }
        match (&mut self.columns[column], claim.value()) {
            (PromotedColumn::Text(texts), Some(AnyValue::String(bytes))) => {
                texts.pad_nulls(row);
                writer.push_repeating(texts, bytes);
            }
            (PromotedColumn::Text(texts), Some(value)) => {
                if let Some(text) = value.plain_text() {
                    texts.pad_nulls(row);
                    texts.push(&text);
                }
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

/// Offers a value to the column that its key is a spelling of; none where the key says nothing of it on this span, but
/// stands in the map. Returns the column's bit.
fn offer<'a>(claims: &mut [Claim<'a>; COLUMN_COUNT], key: Spelling, value: Option<AnyValue<'a>>) -> u32 {
    let column = usize::from(key.column);
    claims[column].offer(key.rank, value.and_then(|value| read(value, READINGS[column])));
    1 << column
}

/// Takes a status that every framework has to the column, or to the facts, that its framework's codes go to.
fn take_rpc_status<'a>(status: &Claim<'a>, claims: &mut [Claim<'a>; COLUMN_COUNT], facts: &mut SpanFacts) {
    let system = match claims[RPC_SYSTEM].value() {
        Some(AnyValue::String(name)) => Some(wire::text(name)),
        _ => None,
    };
    let number = status.read.and_then(|value| read(value, Reading::Int));
    let code = match (number, status.read) {
        (Some(AnyValue::Int(number)), _) => rpc_status(system.as_deref(), SentStatus::Number(number)),
        (_, Some(AnyValue::String(name))) => {
            rpc_status(system.as_deref(), SentStatus::Name(&wire::text(name)))
        }
        _ => None,
    };
    let grpc = match code {
        Some(RpcStatus::Grpc(code)) => Some(AnyValue::Int(code)),
        Some(RpcStatus::Dubbo(code)) => {
            facts.dubbo_status = Some(code);
            None
        }
        None => None,
    };
    claims[GRPC_STATUS].offer(status.rank, grpc);
}

/// Whether a value of a column's own key moves to the column as it is.
fn fits(value: AnyValue<'_>, column: usize) -> bool {
    match (value, PROMOTED_SPAN_KEYS[column].2) {
        (AnyValue::String(text), PromotedType::String) => {
            READINGS[column] != Reading::Address || !is_internal(text)
        }
        (value, PromotedType::Int) => matches!(value, AnyValue::Int(_)),
        _ => false,
    }
}

/// What the column holds of a value that does not move there; `None` where it cannot be read without loss, or says
/// nothing. Of a column of text it may be any plain value, whose text is the column's.
fn read(value: AnyValue<'_>, reading: Reading) -> Option<AnyValue<'_>> {
    match (value, reading) {
        (AnyValue::String(b"" | b"-"), _) => None,
        (AnyValue::String(text), Reading::Address) => {
            match Address::parse(std::str::from_utf8(text).ok()?).host {
                Cow::Borrowed(host) if !host.is_empty() => Some(AnyValue::String(host.as_bytes())),
                _ => None,
            }
        }
        (_, Reading::Address) => None,
        (AnyValue::String(text), Reading::Path) => Some(AnyValue::String(path_of(text))),
        (AnyValue::String(text), Reading::Version) => Some(AnyValue::String(version_of(text))),
        (AnyValue::String(_), Reading::Text) => Some(value),
        (_, Reading::Text | Reading::Path | Reading::Version) => value.plain_text().map(|_| value),
        (AnyValue::Int(int), Reading::Int | Reading::GrpcStatus) => Some(AnyValue::Int(int)),
        (AnyValue::Double(double), Reading::Int | Reading::GrpcStatus) => (double.fract() == 0.0
            && double.abs() <= EXACT_DOUBLE_MAX)
            .then_some(AnyValue::Int(double as i64)),
        (AnyValue::String(text), Reading::Int | Reading::GrpcStatus) => {
            let text = std::str::from_utf8(text).ok()?;
            let int = integer_of(text).ok().and_then(|int| i64::try_from(int).ok());
            let by_name = || grpc_code(SentStatus::Name(text)).filter(|_| reading == Reading::GrpcStatus);
            int.or_else(by_name).map(AnyValue::Int)
        }
        (_, Reading::Int | Reading::GrpcStatus) => None,
    }
}

/// The path of a request's target in origin form; other forms as they stand. Source: RFC 9112, 3.2.
fn path_of(target: &[u8]) -> &[u8] {
    match target.first() {
        Some(b'/') => target.split(|byte| *byte == b'?').next().unwrap_or(target),
        _ => target,
    }
}

/// What `network.protocol.version` says of a version of HTTP that is written as `http.flavor` had it (`2.0` for 2) or as in
/// a request line. Source: the OpenTelemetry semantic conventions, "HTTP semantic convention stability migration".
fn version_of(text: &[u8]) -> &[u8] {
    match text.strip_prefix(b"HTTP/").unwrap_or(text) {
        b"2.0" => b"2",
        b"3.0" => b"3",
        version => version,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, StringArray};
    use arrow::datatypes::Int32Type;
    use meshlake_schema::tables::{KEYS_BY_KIND, OTHER_SPAN_KEYS, Spans};
    use opentelemetry_proto::tonic::common::v1 as otlp;
    use prost::Message as _;

    use super::*;
    use crate::columns::TextColumn;
    use crate::decode::otlp::testing::{any, array, entry, int, string};

    /// Pushes one span's attributes; returns the columns that are not null, as text, and the map's keys.
    fn push(attributes: &[otlp::KeyValue]) -> (Vec<(&'static str, String)>, Vec<String>, SpanFacts) {
        push_of(0, attributes)
    }

    /// Those of a span of a kind.
    fn push_of(
        kind: i32,
        attributes: &[otlp::KeyValue],
    ) -> (Vec<(&'static str, String)>, Vec<String>, SpanFacts) {
        let (mut columns, mut map) = (PromotedColumns::default(), AttributesColumn::default());
        let mut facts = SpanFacts { kind, ..SpanFacts::default() };
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
    fn todays_key_moves_out_of_the_map() {
        check(&[entry("http.route", string("/r"))], &[("http_route", "/r")], &[]);
        check(&[entry("server.port", int(80))], &[("server_port", "80")], &[]);
        check(&[entry("http.route", string(""))], &[("http_route", "")], &[]);
    }

    /// As proxies send them, and instrumentation that is loose about types.
    #[test]
    fn another_type_fills_the_column_where_it_reads_without_loss_and_stays() {
        let double = |value| any(otlp::any_value::Value::DoubleValue(value));
        let bool = |value| any(otlp::any_value::Value::BoolValue(value));
        let cases = [
            ("server.port", string("80"), Some("80")),
            ("server.port", string("80.0"), Some("80")),
            ("server.port", string("8e1"), Some("80")),
            ("server.port", double(80.0), Some("80")),
            ("server.port", double(-9_007_199_254_740_992.0), Some("-9007199254740992")),
            ("server.port", string("-9223372036854775808"), Some("-9223372036854775808")),
            ("server.port", string("9223372036854775808"), None),
            ("server.port", double(9_007_199_254_740_994.0), None),
            ("server.port", double(80.5), None),
            ("server.port", double(f64::NAN), None),
            ("server.port", double(f64::INFINITY), None),
            ("server.port", string("80.5"), None),
            ("server.port", string(" 80"), None),
            ("server.port", string("http"), None),
            ("server.port", string(""), None),
            ("server.port", string("-"), None),
            ("server.port", bool(true), None),
            ("http.route", int(1), Some("1")),
            ("error.type", int(500), Some("500")),
            ("network.protocol.version", double(1.1), Some("1.1")),
            ("http.route", bool(true), Some("true")),
            ("http.route", double(f64::NAN), None),
            ("http.route", any(otlp::any_value::Value::BytesValue(vec![1])), None),
            ("http.route", array(vec![string("/r")]), None),
            ("http.route", otlp::AnyValue { value: None }, None),
            ("server.port", otlp::AnyValue { value: None }, None),
        ];
        for (key, value, want) in cases {
            let column = key.replace('.', "_");
            let want: Vec<_> = want.into_iter().map(|want| (column.as_str(), want)).collect();
            check(&[entry(key, value)], &want, &[key]);
        }
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
    fn every_other_spelling_fills_its_column_and_stays() {
        for (key, column) in OTHER_SPAN_KEYS {
            let (value, want) = match column {
                "rpc_grpc_status_code" => (string("UNAVAILABLE"), "14"),
                "network_peer_address" | "client_address" => (string("10.0.0.1"), "10.0.0.1"),
                _ => (string("7"), "7"),
            };
            let by_kind = KEYS_BY_KIND.iter().find(|(k, c, _)| (*k, *c) == (key, column));
            let kind =
                if by_kind.is_some_and(|(.., spans)| *spans == Spans::Server) { KIND_SERVER } else { 0 };
            let (filled, keys, _) = push_of(kind, &[entry(key, value)]);
            assert_eq!((filled, keys), (vec![(column, want.to_owned())], vec![key.to_owned()]), "{kind}");
        }
    }

    /// Sources: semantic conventions 1.20 and the guide to 1.21, as `KEYS_BY_KIND` says. Kinds: 1 internal, 2 server,
    /// 3 client, 4 producer, 5 consumer.
    #[test]
    fn a_peer_is_the_client_of_a_server_span_and_the_server_of_any_other() {
        let attributes = [
            entry("net.peer.name", string("peer.example")),
            entry("net.peer.port", int(40_000)),
            entry("net.host.name", string("host.example")),
            entry("net.host.port", int(8080)),
        ];
        let received =
            [("server_address", "host.example"), ("server_port", "8080"), ("client_address", "peer.example")];
        let made = [("server_address", "peer.example"), ("server_port", "40000")];
        for (kind, want) in
            [(1, made.as_slice()), (2, received.as_slice()), (3, &made), (4, &made), (5, &made)]
        {
            let (filled, ..) = push_of(kind, &attributes);
            let filled: Vec<_> = filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(filled, want, "kind {kind}");
        }
        // An address that the span does not tell of: nothing is known, rather than the wrong end.
        assert_eq!(push_of(3, &attributes[2..]).0, []);
        assert_eq!(push_of(2, &attributes[1..2]).0, []);
    }

    /// A reader who finds any spelling of a column in the map takes the column's attribute from there as well.
    #[test]
    fn a_key_of_the_other_end_keeps_the_columns_own_key_in_the_map() {
        let attributes = [entry("server.address", string("a")), entry("net.peer.name", string("b"))];
        let (filled, keys, _) = push_of(KIND_SERVER, &attributes);
        let want =
            [("server_address", "a"), ("client_address", "b")].map(|(name, value)| (name, value.to_owned()));
        assert_eq!(filled, want);
        assert_eq!(keys, ["net.peer.name", "server.address"]);
    }

    #[test]
    fn addresses_lose_their_port_and_listeners_inside_envoy_are_no_names() {
        let cases = [
            ("peer.address", "10.0.0.1:8080", Some("10.0.0.1")),
            ("peer.address", "[fd00::1]:8080", Some("fd00::1")),
            ("peer.address", "127.0.0.1", Some("127.0.0.1")),
            ("peer.address", "/run/app.sock", Some("/run/app.sock")),
            ("peer.address", "envoy://connect_originate/10.40.2.7:9080", Some("10.40.2.7")),
            ("peer.address", "envoy://internal_client_address/", None),
            ("net.sock.peer.addr", "envoy://connect_originate/[fd00::7]:9080", Some("fd00::7")),
            ("network.peer.address", "envoy://connect_originate/10.40.2.7:9080", Some("10.40.2.7")),
            ("network.peer.address", "envoy://internal_client_address/", None),
            ("server.address", "envoy://main_internal/", None),
            ("client.address", "envoy://connect_originate/10.40.2.7:9080", Some("10.40.2.7")),
            ("http.host", "reviews:9080", Some("reviews")),
            ("http.client_ip", "203.0.113.9", Some("203.0.113.9")),
        ];
        for (key, text, want) in cases {
            let column = OTHER_SPAN_KEYS.iter().find(|(other, _)| *other == key);
            let column = column.map_or(key.replace('.', "_"), |(_, column)| (*column).to_owned());
            let want: Vec<_> = want.into_iter().map(|want| (column.as_str(), want)).collect();
            check(&[entry(key, string(text))], &want, &[key]);
        }
        // Not an internal one: as sent, and out of the map.
        check(
            &[entry("network.peer.address", string("10.0.0.1:80"))],
            &[("network_peer_address", "10.0.0.1:80")],
            &[],
        );
    }

    /// A column says one thing whoever sends it: older instrumentation has path and query in one, and `2.0`; Envoy has the
    /// protocol of an access log.
    #[test]
    fn targets_are_read_as_paths_and_versions_as_http_has_them() {
        let cases = [
            ("http.target", "/cart?item=7&at=a?b", "url_path", "/cart"),
            ("http.target", "/?", "url_path", "/"),
            ("http.path", "/cart", "url_path", "/cart"),
            // An asterisk, and a proxy's target, which is no path at all.
            ("http.target", "*", "url_path", "*"),
            ("http.target", "http://a.example/cart?b", "url_path", "http://a.example/cart?b"),
            ("http.flavor", "1.1", "network_protocol_version", "1.1"),
            ("http.flavor", "2.0", "network_protocol_version", "2"),
            ("http.flavor", "QUIC", "network_protocol_version", "QUIC"),
            ("http.protocol", "HTTP/1.1", "network_protocol_version", "1.1"),
            ("http.protocol", "HTTP/2", "network_protocol_version", "2"),
        ];
        for (key, text, column, want) in cases {
            check(&[entry(key, string(text))], &[(column, want)], &[key]);
        }
        check(&[entry("url.path", string("/a?b"))], &[("url_path", "/a?b")], &[]);
    }

    #[test]
    fn the_status_of_a_call_is_read_by_number_and_by_name() {
        let status = |system: Option<(&str, &str)>, key: &str, value: otlp::AnyValue| {
            let system = system.map(|(key, name)| entry(key, string(name)));
            // The framework may come behind its code.
            let attributes: Vec<_> = [entry(key, value)].into_iter().chain(system).collect();
            let (_, keys, facts) = push(&attributes);
            assert!(keys.iter().any(|kept| kept == key), "{key} stays");
            (facts.grpc_status, facts.dubbo_status)
        };
        let name = "rpc.system.name";
        let cases = [
            (Some((name, "grpc")), "rpc.response.status_code", string("NOT_FOUND"), (Some(5), None)),
            (Some((name, "grpc")), "rpc.response.status_code", string("5"), (Some(5), None)),
            (Some((name, "grpc")), "rpc.response.status_code", int(5), (Some(5), None)),
            (Some((name, "grpc")), "rpc.status_code", string("NOT_FOUND"), (Some(5), None)),
            (Some(("rpc.system", "grpc")), "rpc.response.status_code", string("OK"), (Some(0), None)),
            (None, "rpc.response.status_code", string("UNAVAILABLE"), (Some(14), None)),
            (None, "rpc.response.status_code", string("-32602"), (None, None)),
            (Some((name, "jsonrpc")), "rpc.response.status_code", string("5"), (None, None)),
            (Some((name, "dubbo")), "rpc.response.status_code", string("SERVER_ERROR"), (None, Some(80))),
            (Some((name, "dubbo")), "rpc.response.status_code", string("20"), (None, Some(20))),
            (Some((name, "dubbo")), "rpc.response.status_code", string("DEADLINE_EXCEEDED"), (Some(4), None)),
            (None, "rpc.grpc.status_code", string("14"), (Some(14), None)),
            (None, "rpc.grpc.status_code", string("Unavailable"), (Some(14), None)),
            (None, "grpc.code", string("Unavailable"), (Some(14), None)),
            (None, "grpc.status_code", string("14"), (Some(14), None)),
            (None, "rpc.connect_rpc.error_code", string("not_found"), (Some(5), None)),
            (None, "rpc.grpc.status_code", string("NO_SUCH_CODE"), (None, None)),
        ];
        for (system, key, value, want) in cases {
            assert_eq!(status(system, key, value.clone()), want, "{system:?} {key} {value:?}");
        }
        let both =
            [entry("rpc.grpc.status_code", int(14)), entry("rpc.response.status_code", string("NOT_FOUND"))];
        let keys = ["rpc.response.status_code", "rpc.grpc.status_code"];
        check(&both, &[("rpc_grpc_status_code", "14")], &keys);
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
        check(&[text.clone(), number.clone()], &[("http_route", "1")], &["http.route"]);
        check(&[text, number.clone(), other], &[("http_route", "b")], &["http.route"]);
        check(&[number.clone(), number], &[("http_route", "1")], &["http.route"]);
        let older = [entry("http.method", string("GET")), entry("http.method", string("PUT"))];
        check(&older, &[("http_request_method", "PUT")], &["http.method"]);
    }

    #[test]
    fn of_several_spellings_the_first_of_the_list_that_can_be_read_counts() {
        let addresses = [
            entry("peer.address", string("10.0.0.3")),
            entry("net.peer.ip", string("10.0.0.2")),
            entry("net.sock.peer.addr", int(1)),
            entry("peer.ipv4", string("10.0.0.4")),
        ];
        let keys = ["peer.address", "net.peer.ip", "net.sock.peer.addr", "peer.ipv4"];
        check(&addresses, &[("network_peer_address", "10.0.0.2")], &keys);
        let unfit_last = [entry("http.target", string("/a")), entry("http.target", string("-"))];
        check(&unfit_last, &[], &["http.target"]);
        let own =
            [entry("http.status_code", string("503")), entry("http.response.status_code", string("200"))];
        let keys = ["http.status_code", "http.response.status_code"];
        check(&own, &[("http_response_status_code", "200")], &keys);
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
