//! Kong: the log of the nginx inside, and the JSON that its logging plugins write.
//!
//! Source: Kong, "File Log", log format; `kong_log_format` of kong.conf.default.

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::numbers::Unit;

/// In nginx's language.
pub(super) const TEXT: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                               \"$http_referer\" \"$http_user_agent\" kong_request_id: \"$request_id\"";

pub(super) fn json() -> Object {
    object(
        &[
            ("started_at", Field::Start(TimeFormat::Number(Unit::Millis))),
            ("latencies/request", Field::Duration(Unit::Millis)),
            ("response/status", Field::Status),
            ("request/method", Field::Method),
        ],
        &[
            ("latencies/proxy", Field::UpstreamDuration(Unit::Millis)),
            ("request/uri", Field::Path),
            ("request/size", Field::RequestBytes),
            ("request/id", Field::RequestId),
            ("request/headers/host", Field::Authority),
            ("request/headers/user-agent", Field::UserAgent),
            ("request/headers/x-forwarded-for", Field::ForwardedFor),
            ("request/headers/traceparent", Field::Traceparent),
            ("request/tls/version", Field::TlsVersion),
            ("response/size", Field::ResponseBytes),
            ("response/headers/grpc-status", Field::GrpcStatus),
            ("service/name", Field::Cluster),
            ("route/name", Field::Route),
            ("client_ip", Field::Remote),
            ("tries", Field::Tries),
        ],
    )
}
