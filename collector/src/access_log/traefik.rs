//! Traefik's access logs: a common log with four fields more, and JSON.
//!
//! Source: Traefik, "Access Logs", and `pkg/middlewares/accesslog/logdata.go`, whose durations are nanoseconds.

use super::field::Field;
use super::json::{Object, object};
use super::language::request_header;
use super::moment::TimeFormat;
use super::numbers::Unit;

/// In the language of `template`.
pub(super) const COMMON: &str = "{remote} - {remote_user} [{start}] \"{request_line}\" {status} {response_bytes} \
                                 \"{referer}\" \"{user_agent}\" {request_count} \"{route}\" \"{upstream_host}\" \
                                 {duration:ms}";

pub(super) fn json() -> Object {
    object(
        &[("DownstreamStatus", Field::Status), ("Duration", Field::Duration(Unit::Nanos))],
        &[
            ("StartUTC", Field::Start(TimeFormat::Any)),
            ("StartLocal", Field::Skip),
            ("time", Field::End(TimeFormat::Any)),
            ("OriginDuration", Field::UpstreamDuration(Unit::Nanos)),
            ("RequestMethod", Field::Method),
            ("RequestPath", Field::Path),
            ("RequestProtocol", Field::Protocol),
            ("RequestScheme", Field::Scheme),
            ("RequestAddr", Field::Authority),
            ("RequestHost", Field::Skip),
            ("RequestContentSize", Field::RequestBytes),
            ("DownstreamContentSize", Field::ResponseBytes),
            ("ClientAddr", Field::DirectRemote),
            ("ClientHost", Field::Remote),
            ("RouterName", Field::Route),
            ("ServiceName", Field::Cluster),
            ("ServiceAddr", Field::UpstreamHost),
            ("RetryAttempts", Field::Retries),
            ("TLSVersion", Field::TlsVersion),
            ("TraceId", Field::TraceId),
            ("SpanId", Field::SpanId),
            ("request_User-Agent", Field::UserAgent),
            ("request_X-Request-Id", Field::RequestId),
            ("request_X-Forwarded-For", Field::ForwardedFor),
            ("request_Traceparent", Field::Traceparent),
            ("request_Referer", request_header("referer")),
            ("downstream_Grpc-Status", Field::GrpcStatus),
        ],
    )
}
