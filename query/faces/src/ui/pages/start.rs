//! `/start`: the right snippet for each sender and each client, with this server's addresses, and whether anything of it has
//! come yet.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
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

/// What other programs are to be given, below this server's own address: name and path. None is a page for people.
const SOURCES: [(&str, &str); 6] = [
    ("Grafana: Prometheus", "/prometheus"),
    ("Grafana: Tempo", "/tempo"),
    ("Grafana: Loki", "/loki"),
    ("Grafana: Jaeger", "/jaeger"),
    ("Grafana: Zipkin", "/zipkin"),
    ("Kiali: external_services.prometheus.url", "/prometheus"),
];

/// Answers of the API to look at.
const ANSWERS: [&str; 2] = ["/api/v1/golden?by=service", "/api/v1/graph"];

/// A way in: its name, what to type, and which receivers it ends in.
struct Sending {
    name: &'static str,
    hint: &'static str,
    code: String,
    /// As senders are told of: signal or way in.
    heard_by: &'static [&'static str],
}

/// Answers the page.
pub async fn page(State(state): State<FaceState>, headers: HeaderMap, asked: Asked) -> Response {
    let words = asked.words();
    let found = status(&state.engine, &asked.tenant).await;
    let code = if found.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let endpoints = typed(&state.endpoints, host_of(&headers));
    let ways = shown(&asked, found, |status: Status| {
        let senders = status.intake.map(|intake| intake.senders).unwrap_or_default();
        html! { div class="cards" { @for way in ways(&endpoints, &asked) { (card(&asked, &way, &senders)) } } }
    });
    let body = html! {
        (section("send", words.send_data_here, &ways))
        (section("read", words.read_it, &readers(&asked, &endpoints, headers.get(header::HOST).and_then(|host| host.to_str().ok()))))
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

/// The host that the browser found us by, without its port.
fn host_of(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    // The colons in `[::1]:7070` but the last are the address's own.
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _)| name);
    Some(name).filter(|name| !name.is_empty())
}

/// The addresses as somebody types them who reached this page by `host`: that of all interfaces leads nowhere.
fn typed(endpoints: &Endpoints, host: Option<&str>) -> Endpoints {
    let one = |address: &String| match (address.parse::<SocketAddr>(), host) {
        (Ok(bound), Some(host)) if bound.ip().is_unspecified() => format!("{host}:{}", bound.port()),
        _ => address.clone(),
    };
    Endpoints {
        otlp_grpc: one(&endpoints.otlp_grpc),
        otlp_http: one(&endpoints.otlp_http),
        postgres: endpoints.postgres.as_ref().map(one),
        flight_sql: endpoints.flight_sql.as_ref().map(one),
    }
}

fn readers(asked: &Asked, endpoints: &Endpoints, host: Option<&str>) -> Markup {
    let words = asked.words();
    let here = host.map_or(String::new(), |host| format!("http://{host}"));
    let listening = |address: &Option<String>, typed: &dyn Fn(&str) -> String| match address {
        Some(address) => html! { code { (Text(&typed(address))) } },
        None => html! { span class="hint" { (words.of_operate.does_not_listen) } },
    };
    html! {
        ul class="apis" {
            @for (name, path) in SOURCES { li { (name) " " code { (Text(&format!("{here}{path}"))) } } }
            @for path in ANSWERS { li { "HTTP API " a href=(path) { code { (Text(&format!("{here}{path}"))) } } } }
            li { "PostgreSQL: " (listening(&endpoints.postgres, &|at| format!("psql postgres://{at}/default"))) }
            li { "Arrow Flight SQL: " (listening(&endpoints.flight_sql, &|at| format!("grpc://{at}"))) }
            li { "SQL: " a href=(asked.link("/sql", &[])) { code { "/sql" } } ", " code { "meshlake sql" } }
        }
    }
}

fn ways(endpoints: &Endpoints, asked: &Asked) -> Vec<Sending> {
    let words = asked.words();
    let Endpoints { otlp_grpc, otlp_http, .. } = endpoints;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(host: &str, bound: &str) -> String {
        let headers = HeaderMap::from_iter([(header::HOST, host.parse().expect("a header"))]);
        let endpoints = Endpoints { otlp_grpc: bound.to_owned(), ..Endpoints::default() };
        typed(&endpoints, host_of(&headers)).otlp_grpc
    }

    #[test]
    fn an_address_of_all_interfaces_is_that_of_the_page() {
        for (host, bound, want) in [
            ("mesh.example:7070", "0.0.0.0:4317", "mesh.example:4317"),
            ("mesh.example", "[::]:4317", "mesh.example:4317"),
            ("[::1]:7070", "[::]:4317", "[::1]:4317"),
            ("[::1]", "[::]:4317", "[::1]:4317"),
            ("mesh.example:7070", "10.0.0.7:4317", "10.0.0.7:4317"),
            ("mesh.example:7070", "127.0.0.1:4317", "127.0.0.1:4317"),
            ("mesh.example:7070", "collector.internal:4317", "collector.internal:4317"),
            ("", "0.0.0.0:4317", "0.0.0.0:4317"),
        ] {
            assert_eq!(reached(host, bound), want, "{bound} by {host}");
        }
    }
}
