//! Caddy's access log, which is JSON, written when a request is over.
//!
//! Source: Caddy, "How Logging Works" and `modules/caddyhttp/marshalers.go`. Limits: Caddy does not log which upstream
//! answered.

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::numbers::Unit;

pub(super) fn json() -> Object {
    object(
        &[
            ("ts", Field::End(TimeFormat::Any)),
            ("status", Field::Status),
            ("duration", Field::Duration(Unit::Seconds)),
            ("request/method", Field::Method),
            ("request/uri", Field::Path),
        ],
        &[
            ("request/remote_ip", Field::DirectRemote),
            ("request/client_ip", Field::Remote),
            ("request/remote_addr", Field::DirectRemote),
            ("request/remote_port", Field::RemotePort),
            ("request/proto", Field::Protocol),
            ("request/host", Field::Authority),
            ("request/headers/User-Agent", Field::UserAgent),
            ("request/headers/X-Request-Id", Field::RequestId),
            ("request/headers/X-Forwarded-For", Field::ForwardedFor),
            ("request/headers/Traceparent", Field::Traceparent),
            ("request/headers/Referer", Field::Attribute("referer".into())),
            ("request/tls/version", Field::TlsVersion),
            ("request/tls/server_name", Field::ServerName),
            ("bytes_read", Field::RequestBytes),
            ("size", Field::ResponseBytes),
            ("resp_headers/Grpc-Status", Field::GrpcStatus),
            ("msg", Field::Skip),
        ],
    )
}
