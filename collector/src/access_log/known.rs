//! Formats that are known by name and recognised by themselves, the more particular ones first.
//!
//! Where one format is another with fields added, both read the same lines; the one with more fields stands first. nginx
//! and Apache write the same `combined` until something has to be escaped; nginx stands first, and quotes behind
//! backslashes, which only Apache writes, tell the rest.

use std::sync::{Arc, LazyLock};

use super::field::Field;
use super::haproxy;
use super::json::{Member, Object};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::{Language, LineFormat, Matcher, Program};
use crate::normalize::requests::proxy::ProxyKind;

/// All of them.
pub(super) fn all() -> &'static [LineFormat] {
    static ALL: LazyLock<Vec<LineFormat>> = LazyLock::new(|| {
        let texts = TEXTS.iter().map(|known| {
            let matcher = known.language.matcher(known.format).expect("a test compiles all of them");
            (known.name, known.program, matcher)
        });
        let objects = [
            ("istio_json", SIDECAR, istio_json()),
            ("haproxy_json", Language::Haproxy.program(), haproxy_json()),
        ];
        let objects = objects.map(|(name, program, object)| (name, program, Matcher::Json(object)));
        let all = objects.into_iter().chain(texts);
        all.map(|(name, program, matcher)| LineFormat { name, program, matcher: Arc::new(matcher) }).collect()
    });
    &ALL
}

/// A format that is text in one of the languages.
struct Text {
    name: &'static str,
    language: Language,
    program: Program,
    format: &'static str,
}

/// Stands beside an application, whose name the lines do not have.
const SIDECAR: Program = Program { service: "", kind: ProxyKind::Sidecar };

const TEXTS: [Text; 10] = [
    Text {
        // Istio `pilot/pkg/model/telemetry_logging.go`, `EnvoyTextLogFormat`.
        name: "istio_text",
        language: Language::Envoy,
        program: SIDECAR,
        format: "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
                 \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% \
                 %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
                 %REQUESTED_SERVER_NAME% %ROUTE_NAME%",
    },
    Text {
        // Envoy, "Default format string".
        name: "envoy_default",
        language: Language::Envoy,
        program: Language::Envoy.program(),
        format: "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                 %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
                 %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
                 \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"",
    },
    Text {
        // HAProxy, "Configuration Manual", 8.2.4 (HTTPS log format), 8.2.3, 8.2.2 and 8.2.5 (CLF).
        name: "haproxy_https",
        language: Language::Haproxy,
        program: Language::Haproxy.program(),
        format: "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs \
                 %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
                 %[ssl_fc_sni]/%sslv/%sslc",
    },
    Text {
        name: "haproxy_http",
        language: Language::Haproxy,
        program: Language::Haproxy.program(),
        format: "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs \
                 %{+Q}r",
    },
    Text {
        name: "haproxy_tcp",
        language: Language::Haproxy,
        program: Language::Haproxy.program(),
        format: "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
    },
    Text {
        // The lists of captured headers at the end are seldom there, and then leave nothing but spaces.
        name: "haproxy_clf",
        language: Language::Haproxy,
        program: Language::Haproxy.program(),
        format: "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc \
                 %sc %rc %sq %bq %CC %CS",
    },
    Text {
        // ingress-nginx, "Log format", `log-format-upstream`.
        name: "ingress_nginx",
        language: Language::Nginx,
        program: Program { service: "ingress-nginx", kind: ProxyKind::Plain },
        format: "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
                 \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
                 [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length \
                 $upstream_response_time $upstream_status $req_id",
    },
    Text {
        // nginx, ngx_http_log_module, the predefined format.
        name: "nginx_combined",
        language: Language::Nginx,
        program: Language::Nginx.program(),
        format: "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
                 \"$http_user_agent\"",
    },
    Text {
        // As Debian's apache2.conf has it.
        name: "apache_vhost_combined",
        language: Language::Apache,
        program: Language::Apache.program(),
        format: "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"",
    },
    Text {
        // Apache httpd, mod_log_config, "Combined Log Format".
        name: "apache_combined",
        language: Language::Apache,
        program: Language::Apache.program(),
        format: "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"",
    },
];

/// Members by path and meaning; those that a line must have are marked.
fn object(required: &[(&str, Field)], fields: &[(&str, Field)]) -> Object {
    let member = |is_required: bool| {
        move |(path, field): &(&str, Field)| {
            ((*path).to_owned(), Member::Field { field: field.clone(), is_required })
        }
    };
    Object::new(required.iter().map(member(true)).chain(fields.iter().map(member(false))))
}

/// Istio `pilot/pkg/model/telemetry_logging.go`, `EnvoyJSONLogFormatIstio`. Older proxies write every value as text.
fn istio_json() -> Object {
    object(
        &[
            ("start_time", Field::Start(TimeFormat::Any)),
            ("response_code", Field::Status),
            ("response_flags", Field::Flags),
            ("upstream_cluster", Field::Cluster),
        ],
        &envoy_members(),
    )
}

/// HAProxy has no JSON of its own; operators name the members after the manual's names of the aliases, or after the
/// aliases. The names of its timers tell it from others.
fn haproxy_json() -> Object {
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

fn envoy_members() -> [(&'static str, Field); 20] {
    [
        ("route_name", Field::Route),
        ("method", Field::Method),
        ("path", Field::Path),
        ("protocol", Field::Protocol),
        ("response_code_details", Field::Details),
        ("connection_termination_details", Field::TerminationDetails),
        ("bytes_received", Field::RequestBytes),
        ("bytes_sent", Field::ResponseBytes),
        ("duration", Field::Duration(Unit::Millis)),
        ("upstream_service_time", Field::UpstreamDuration(Unit::Millis)),
        ("x_forwarded_for", Field::ForwardedFor),
        ("user_agent", Field::UserAgent),
        ("request_id", Field::RequestId),
        ("authority", Field::Authority),
        ("upstream_host", Field::UpstreamHost),
        ("upstream_local_address", Field::UpstreamLocal),
        ("downstream_local_address", Field::Local),
        ("downstream_remote_address", Field::Remote),
        ("requested_server_name", Field::ServerName),
        ("upstream_transport_failure_reason", Field::FailureReason),
    ]
}
