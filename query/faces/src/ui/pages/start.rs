//! `/start`: the right snippet for each sender and each client, with this server's addresses, and whether anything of it has
//! come yet.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use meshlake_query::status::status;
use meshlake_query::{Sender, Status};

use super::{answer, shown};
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{Page, Place, section};
use crate::ui::text::Text;
use crate::{Endpoints, FaceState};

/// Where people and programs read, below this server's own address: name, path, what it is.
const FACES: [(&str, &str); 4] = [
    ("Grafana: Prometheus", "/prometheus"),
    ("Kiali: external_services.prometheus.url", "/prometheus"),
    ("HTTP API", "/api/v1/golden?by=service"),
    ("HTTP API", "/api/v1/graph"),
];

/// A way in: its name, what to type, and which receivers it ends in.
struct Sending {
    name: &'static str,
    hint: &'static str,
    code: String,
    /// As senders are told of: signal or way in.
    heard_by: &'static [&'static str],
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    let words = asked.words();
    let found = status(&state.engine, &asked.tenant).await;
    let code = if found.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ways = shown(&asked, found, |status: Status| {
        let senders = status.intake.map(|intake| intake.senders).unwrap_or_default();
        html! { div class="cards" { @for way in ways(&state.endpoints, &asked) { (card(&asked, &way, &senders)) } } }
    });
    let body = html! {
        (section("send", words.send_data_here, &ways))
        (section("read", words.read_it, &readers(&asked)))
    };
    let title = words.start.to_owned();
    answer(&asked, code, &Page { place: Place::Start, title, has_range: false, data_since: None, body })
}

fn card(asked: &Asked, way: &Sending, senders: &[Sender]) -> Markup {
    let words = asked.words();
    let is_of = |sender: &&Sender| way.heard_by.contains(&sender.source.as_str());
    let last = senders.iter().filter(is_of).map(|sender| sender.last).max();
    html! {
        details class={ "card" @if last.is_some() { " heard" } } open[last.is_none()] {
            summary {
                (way.name)
                @match last {
                    Some(last) => span class="heard" { " ✓ " (words.last_heard) " " (format::moment(last)) }
                    None => span class="hint" { " " (words.nothing_yet) }
                }
            }
            p { (way.hint) }
            pre tabindex="0" { code { (Text(&way.code)) } }
        }
    }
}

fn readers(asked: &Asked) -> Markup {
    let words = asked.words();
    html! {
        ul class="apis" {
            @for (name, path) in FACES { li { (name) " " a href=(path) { code { (path) } } } }
            li { "PostgreSQL: " code { "psql -h 127.0.0.1 -p 7432 default" } }
            li { "Arrow Flight SQL: " code { "grpc://127.0.0.1:7050" } }
            li { "SQL: " a href=(asked.link("/sql", &[])) { code { "/sql" } } ", " code { "meshlake sql" } }
        }
        p class="hint" { (words.default_ports) }
    }
}

fn ways(endpoints: &Endpoints, asked: &Asked) -> Vec<Sending> {
    let words = asked.words();
    let Endpoints { otlp_grpc, otlp_http } = endpoints;
    let (host, port) = otlp_grpc.rsplit_once(':').unwrap_or((otlp_grpc, "4317"));
    let sdk = format!(
        "export OTEL_SERVICE_NAME=checkout\n\
         export OTEL_RESOURCE_ATTRIBUTES=service.namespace=default,service.version=v1\n\
         export OTEL_EXPORTER_OTLP_PROTOCOL=grpc\n\
         export OTEL_EXPORTER_OTLP_ENDPOINT=http://{otlp_grpc}\n\
         # over HTTP: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n\
         #            OTEL_EXPORTER_OTLP_ENDPOINT=http://{otlp_http}"
    );
    let collector = format!(
        "exporters:\n  otlp/meshlake:\n    endpoint: {otlp_grpc}\n    tls: {{insecure: true}}\n\
         service:\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [otlp/meshlake]}}"
    );
    let logs = format!(
        "meshlake import access.log*.gz\n\
         kubectl logs deploy/reviews -c istio-proxy | meshlake import -\n\
         curl --data-binary @access.log http://{otlp_http}/v1/access_logs"
    );
    let write = format!("remote_write:\n- url: http://{otlp_http}/api/v1/write");
    vec![
        Sending {
            name: "OpenTelemetry SDK",
            hint: words.hint_sdk,
            code: sdk,
            heard_by: &["otlp_grpc", "otlp_http_protobuf", "otlp_http_json"],
        },
        Sending {
            name: "OpenTelemetry Collector",
            hint: words.hint_collector,
            code: collector,
            heard_by: &["otlp_grpc", "otlp_http_protobuf", "otlp_http_json"],
        },
        Sending { name: "Istio", hint: words.hint_istio, code: istio(port), heard_by: &["envoy_als"] },
        Sending { name: "Envoy", hint: words.hint_envoy, code: envoy(host, port), heard_by: &["envoy_als"] },
        Sending {
            name: "nginx, HAProxy, Apache …",
            hint: words.hint_logs,
            code: logs,
            heard_by: &["access_log", "syslog"],
        },
        Sending {
            name: "Prometheus",
            hint: words.hint_prometheus,
            code: write,
            heard_by: &["remote_write_1", "remote_write_2"],
        },
    ]
}

fn istio(port: &str) -> String {
    format!(
        "meshConfig:\n  extensionProviders:\n  - name: meshlake\n    envoyHttpAls:\n\
         \x20     service: meshlake.observability.svc.cluster.local\n      port: {port}\n---\n\
         apiVersion: telemetry.istio.io/v1\nkind: Telemetry\n\
         metadata: {{name: meshlake, namespace: istio-system}}\n\
         spec:\n  accessLogging:\n  - providers: [{{name: meshlake}}]"
    )
}

fn envoy(host: &str, port: &str) -> String {
    format!(
        "access_log:\n- name: envoy.access_loggers.http_grpc\n  typed_config:\n\
         \x20   \"@type\": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig\n\
         \x20   common_config:\n      log_name: http\n      transport_api_version: V3\n\
         \x20     grpc_service: {{envoy_grpc: {{cluster_name: meshlake}}}}\n\
         clusters:\n- name: meshlake\n  type: STRICT_DNS\n  typed_extension_protocol_options:\n\
         \x20   envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n\
         \x20     \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n\
         \x20     explicit_http_config: {{http2_protocol_options: {{}}}}\n  load_assignment:\n\
         \x20   cluster_name: meshlake\n    endpoints:\n    - lb_endpoints:\n\
         \x20     - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}"
    )
}
