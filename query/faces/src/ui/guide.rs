//! How to send data here, with the addresses that this server listens on, and where to read it.

use super::html::Text;
use super::put;
use crate::Endpoints;

/// Read endpoints of this server: (path, what it answers).
const APIS: [(&str, &str); 5] = [
    ("/api/v1/golden?by=service", "golden metrics by service, operation, edge, version or instance"),
    ("/api/v1/graph", "nodes and edges with their evidence; focus= and depth= for a part of it"),
    ("/api/v1/services", "every service heard of"),
    ("/api/v1/ledger", "every record received, by what became of it"),
    ("/api/v1/graph?by=version", "the graph with versions apart, for canaries"),
];

/// Writes the guide; open when nothing has come yet.
pub fn write(out: &mut String, endpoints: &Endpoints, is_open: bool) {
    let Endpoints { otlp_grpc, otlp_http } = endpoints;
    let (host, port) = otlp_grpc.rsplit_once(':').unwrap_or((otlp_grpc, "4317"));
    out.push_str("<section aria-labelledby=send><h2 id=send>Send data here</h2><div class=cards>");
    let sdk = format!(
        "export OTEL_SERVICE_NAME=checkout\n\
         export OTEL_RESOURCE_ATTRIBUTES=service.namespace=default,service.version=v1\n\
         export OTEL_EXPORTER_OTLP_PROTOCOL=grpc\n\
         export OTEL_EXPORTER_OTLP_ENDPOINT=http://{otlp_grpc}\n\
         # over HTTP: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n\
         #            OTEL_EXPORTER_OTLP_ENDPOINT=http://{otlp_http}"
    );
    card(out, "OpenTelemetry SDK or agent", "Any language; the variables are read at start.", &sdk, is_open);
    let collector = format!(
        "exporters:\n  otlp/meshlake:\n    endpoint: {otlp_grpc}\n    tls: {{insecure: true}}\n\
         service:\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [otlp/meshlake]}}"
    );
    card(out, "OpenTelemetry Collector", "As one more exporter beside those you have.", &collector, is_open);
    card(
        out,
        "Istio",
        "Access logs of every sidecar and gateway. The service must lead to this server's gRPC port.",
        &istio(port),
        is_open,
    );
    card(
        out,
        "Envoy",
        "The same for a proxy without Istio: an access log, and a cluster that speaks HTTP/2.",
        &envoy(host, port),
        is_open,
    );
    out.push_str("</div></section><section aria-labelledby=read><h2 id=read>Read it</h2><ul class=apis>");
    for (path, answer) in APIS {
        put(out, format_args!("<li><a href=\"{path}\"><code>{path}</code></a> {answer}</li>"));
    }
    out.push_str(
        "<li><code>POST /api/v1/sql</code> read-only SQL over <code>spans</code>, <code>requests</code>, \
         <code>logs</code> and the metric tables: <code>{\"sql\": \"SELECT ...\"}</code></li></ul></section>",
    );
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

fn card(out: &mut String, title: &str, text: &str, code: &str, is_open: bool) {
    let open = if is_open { " open" } else { "" };
    put(
        out,
        format_args!(
            "<details class=card{open}><summary>{title}</summary><p>{text}</p><pre tabindex=0><code>{}</code></pre></details>",
            Text(code)
        ),
    );
}
