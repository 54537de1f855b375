//! Load balancers of clouds: AWS's Application Load Balancer, Google's in JSON.
//!
//! Sources: AWS, "Access logs for your Application Load Balancer", access log entries; Google Cloud, "Global external
//! Application Load Balancer logging", `LogEntry`. AWS adds fields at the end, so what follows the list of targets is one
//! attribute.

use super::field::Field;
use super::json::{Object, object};
use super::moment::TimeFormat;
use super::numbers::Unit;

/// In the language of `template`. The three times are until the target was chosen, until it began to answer, and until
/// the answer was passed on.
pub(super) const AWS_ALB: &str = "{type} {end} {load_balancer} {remote} {upstream_host} {queue_time} {response_time} \
     {data_time} {status} {target_status_code} {request_bytes} {response_bytes} \"{request_line}\" \"{user_agent}\" \
     {tls_cipher_suite} {tls_version} {upstream_cluster} \"{amzn_trace_id}\" \"{requested_server_name}\" \
     \"{chosen_cert_arn}\" {matched_rule_priority} {start} \"{actions_executed}\" \"{redirect_url}\" \
     \"{error_reason}\" {more}";

pub(super) fn gcp() -> Object {
    object(
        &[
            ("timestamp", Field::Start(TimeFormat::Any)),
            ("httpRequest/requestUrl", Field::Url),
            ("httpRequest/requestMethod", Field::Method),
        ],
        &[
            ("httpRequest/status", Field::Status),
            ("httpRequest/latency", Field::Duration(Unit::Seconds)),
            ("httpRequest/requestSize", Field::RequestBytes),
            ("httpRequest/responseSize", Field::ResponseBytes),
            ("httpRequest/userAgent", Field::UserAgent),
            ("httpRequest/remoteIp", Field::Remote),
            ("httpRequest/serverIp", Field::UpstreamHost),
            ("httpRequest/protocol", Field::Protocol),
            ("httpRequest/referer", Field::Attribute("referer".into())),
            ("jsonPayload/statusDetails", Field::Details),
            ("resource/labels/backend_service_name", Field::Cluster),
            ("resource/labels/url_map_name", Field::Route),
            ("trace", Field::TraceId),
            ("spanId", Field::SpanId),
        ],
    )
}
