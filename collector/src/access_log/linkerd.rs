//! linkerd's proxy, which logs what its own application is called with, in a common log or JSON.
//!
//! Source: Linkerd, "Access Logging"; linkerd2-proxy `http/access-log`. The certificate's name of the client is the name
//! of its service account.

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::numbers::Unit;

/// In the language of `template`.
pub(super) const APACHE: &str =
    "{remote} {source_principal} - [{start}] \"{request_line}\" {status} {response_bytes}";

pub(super) fn json() -> Object {
    object(
        &[
            ("client.addr", Field::Remote),
            ("timestamp", Field::Start(TimeFormat::Any)),
            ("total_ns", Field::Duration(Unit::Nanos)),
        ],
        &[
            ("client.id", Field::CallerPrincipal),
            ("processing_ns", Field::UpstreamDuration(Unit::Nanos)),
            ("method", Field::Method),
            ("uri", Field::Url),
            ("version", Field::Protocol),
            ("trace_id", Field::TraceId),
            ("request_bytes", Field::RequestBytes),
            ("response_bytes", Field::ResponseBytes),
            ("status", Field::Status),
            ("user_agent", Field::UserAgent),
            ("host", Field::Authority),
        ],
    )
}
