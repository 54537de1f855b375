//! HAProxy's default formats, and JSON as its operators write it.
//!
//! Source: HAProxy, "Configuration Manual", 8.2.2 to 8.2.5. HAProxy has no JSON of its own: members are named after the
//! manual's names of the aliases, or after the aliases; the names of its timers tell it from others.

use super::field::Field;
use super::haproxy;
use super::json::{Object, object};
use super::moment::TimeFormat;

pub(super) const HTTPS: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs \
                 %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
                 %[ssl_fc_sni]/%sslv/%sslc";

pub(super) const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs \
                 %{+Q}r";

pub(super) const TCP: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";

/// The lists of captured headers at the end are seldom there, and then leave nothing but spaces.
pub(super) const CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc \
                 %sc %rc %sq %bq %CC %CS";

pub(super) fn json() -> Object {
    let names = [
        ("client_ip", "ci"),
        ("client_port", "cp"),
        ("frontend_ip", "fi"),
        ("frontend_port", "fp"),
        ("server_ip", "si"),
        ("frontend", "ft"),
        ("frontend_name", "f"),
        ("frontend_name_transport", "ft"),
        ("backend", "b"),
        ("backend_name", "b"),
        ("server", "s"),
        ("server_name", "s"),
        ("fe", "f"),
        ("be", "b"),
        ("srv", "s"),
        ("date_time", "t"),
        ("request_date", "tr"),
        ("timestamp", "Ts"),
        ("status", "ST"),
        ("status_code", "ST"),
        ("bytes", "B"),
        ("bytes_read", "B"),
        ("bytes_uploaded", "U"),
        ("term", "tsc"),
        ("termination_state", "tsc"),
        ("retries", "rc"),
        ("method", "HM"),
        ("http_method", "HM"),
        ("req", "HU"),
        ("path", "HU"),
        ("uri", "HU"),
        ("http_request", "r"),
        ("request", "r"),
        ("ver", "HV"),
        ("http_version", "HV"),
        ("ssl_version", "sslv"),
        ("sslv", "sslv"),
        ("ssl_ciphers", "sslc"),
        ("unique_id", "ID"),
        ("hdrs", "hr"),
        ("TR", "TR"),
        ("Tw", "Tw"),
        ("Tc", "Tc"),
        ("Tt", "Tt"),
        ("Td", "Td"),
        ("actconn", "ac"),
        ("feconn", "fc"),
        ("beconn", "bc"),
        ("srv_conn", "sc"),
        ("srv_queue", "sq"),
        ("backend_queue", "bq"),
        ("ac", "ac"),
        ("fc", "fc"),
        ("bc", "bc"),
        ("sc", "sc"),
        ("rc", "rc"),
    ];
    let mut fields: Vec<_> = names.map(|(name, alias)| (name, haproxy::field(alias))).into();
    fields.extend([
        ("ts", Field::Start(TimeFormat::Any)),
        ("client", Field::Remote),
        ("traceparent", Field::Traceparent),
        ("user_agent", Field::UserAgent),
        ("host", Field::Authority),
    ]);
    object(&[("Tr", haproxy::field("Tr")), ("Ta", haproxy::field("Ta"))], &fields)
}
