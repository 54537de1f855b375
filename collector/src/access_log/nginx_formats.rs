//! JSON as nginx's operators write it: a `log_format` with `escape=json` whose keys are the names of its variables, or short
//! for them.
//!
//! nginx has no JSON of its own, and this is how its tutorials and those of shippers of logs write one. An address and a status
//! by nginx's names tell it from others. Source: nginx, "Alphabetical index of variables".

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::nginx;

const NAMES: [&str; 33] = [
    "time_local",
    "time_iso8601",
    "msec",
    "remote_port",
    "remote_user",
    "request",
    "request_method",
    "args",
    "query_string",
    "server_protocol",
    "scheme",
    "host",
    "http_host",
    "server_addr",
    "server_port",
    "body_bytes_sent",
    "request_length",
    "request_time",
    "request_id",
    "http_referer",
    "http_user_agent",
    "http_x_forwarded_for",
    "http_x_request_id",
    "http_traceparent",
    "ssl_protocol",
    "ssl_server_name",
    "proxy_host",
    "upstream_addr",
    "upstream_status",
    "upstream_response_time",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_length",
];

/// Keys for the time that are no variable's names.
const TIMES: [&str; 4] = ["@timestamp", "timestamp", "time", "ts"];

/// Keys of others, and paths: members come in any order, and one that was rewritten is the path where no other is told.
fn others() -> [(&'static str, Field); 12] {
    [
        ("request_uri", Field::OriginalPath),
        ("uri", Field::Path),
        ("path", Field::Path),
        ("method", Field::Method),
        ("proto", Field::Protocol),
        ("protocol", Field::Protocol),
        ("user_agent", Field::UserAgent),
        ("referer", Field::Attribute("referer".into())),
        ("x_forwarded_for", Field::ForwardedFor),
        ("xff", Field::ForwardedFor),
        ("upstream", Field::UpstreamHosts),
        ("traceparent", Field::Traceparent),
    ]
}

pub(super) fn json() -> Object {
    let variable = |name: &'static str| (name, nginx::variable(name));
    let times = TIMES.map(|name| (name, Field::End(TimeFormat::Any)));
    let fields = [&NAMES.map(variable)[..], &times, &others()].concat();
    object(&["remote_addr", "status"].map(variable), &fields)
}
