//! Formats of proxies that were not run here: the examples of their own documentation, and what it says they mean.

use serde_json::{Value, json};

use super::{check, one};
use crate::access_log::LineFormat;

/// Each is recognised as what it is, and read as such.
fn example(format: &str, line: &str, want: &serde_json::Value) {
    let detected = LineFormat::detect(&[line.as_bytes()]).map(|format| format.name());
    assert_eq!(detected, Some(format), "{line}");
    check(&one(line, format), want);
}

#[test]
fn gateways_built_on_envoy() {
    let line = r#"{"start_time":"2024-08-08T00:21:14.929Z","method":"HEAD","x-envoy-origin-path":"/","protocol":"HTTP/2","response_code":"429","response_flags":"RL","response_code_details":"request_rate_limited","connection_termination_details":"-","upstream_transport_failure_reason":"-","bytes_received":"0","bytes_sent":"0","duration":"1","x-envoy-upstream-service-time":"-","x-forwarded-for":"172.19.0.1","user-agent":"curl/8.9.1","x-request-id":"04186347-7203-41d0-8b56-965bc32ef60a",":authority":"httpbin.example.com","upstream_host":"-","upstream_cluster":"httproute/httpbin/httpbin/rule/0","upstream_local_address":"-","downstream_local_address":"10.42.0.22:10443","downstream_remote_address":"172.19.0.1:62217","requested_server_name":"httpbin.example.com","route_name":"httproute/httpbin/httpbin/rule/0/match/0/httpbin_example_com"}"#;
    example(
        "envoy_gateway_json",
        line,
        &json!({"method": "HEAD", "path": "/", "protocol": "HTTP/2", "response_code": 429, "duration_nano": 1_000_000,
                "response_flags_text": "RL", "fault_class": "rate_limited", "outcome": "client_error",
                "forwarded_for": "172.19.0.1", "user_agent": "curl/8.9.1", "authority": "httpbin.example.com",
                "upstream_cluster": "httproute/httpbin/httpbin/rule/0", "attempts": 0, "observer": "gateway",
                "source_service": "envoy-gateway", "attributes": {}}),
    );
    let line = r#"{"@timestamp":"2020-12-02T21:46:04.219Z","authority":"x.example","bytes_received":0,"bytes_sent":0,"downstream_local_address":"10.0.0.1:80","downstream_remote_address":"10.0.0.2:5","duration":"7","method":"GET","path":"/a","protocol":"HTTP/1.1","request_id":"r","requested_server_name":null,"response_code":503,"response_flags":"UF","uber_trace_id":null,"upstream_cluster":"default/kuard/80/da39a3ee5e","upstream_host":"10.0.0.3:8080","upstream_local_address":null,"upstream_service_time":null,"user_agent":"u","x_forwarded_for":null,"grpc_status":null,"grpc_status_number":null}"#;
    example(
        "contour_json",
        line,
        &json!({"duration_nano": 7_000_000, "response_code": 503, "fault_class": "upstream_connect", "attempts": 1,
                "destination_service": "default/kuard/80/da39a3ee5e", "source_service": "contour"}),
    );
}

#[test]
fn ztunnel_names_both_ends() {
    let line = r#"2024-04-11T15:38:42.182974Z  INFO access: connection complete src.addr=10.244.0.24:46238 src.workload="shell-6d8bcd654d-t88gp" src.namespace="default" src.identity="spiffe://cluster.local/ns/default/sa/default" dst.addr=10.244.0.42:15008 dst.hbone_addr=10.96.108.116:80 dst.service="echo.default.svc.cluster.local" dst.workload="echo-7d6f9b9d5d-p2xq9" dst.identity="spiffe://cluster.local/ns/default/sa/echo" direction="outbound" bytes_sent=67 bytes_recv=490 duration="13ms""#;
    // The line was written when it was over: date -u -d 2024-04-11T15:38:42Z +%s is 1712849922.
    let start = 1_712_849_922_182_974_000_i64 - 13_000_000;
    let ends = json!({
        "layer": "l4", "protocol": "TCP", "counted": true, "outcome": "ok", "duration_nano": 13_000_000,
        "time_unix_nano": start, "request_bytes": 67, "response_bytes": 490,
        "source_workload": "shell", "source_namespace": "default", "source_instance": "shell-6d8bcd654d-t88gp",
        "destination_service": "echo", "destination_namespace": "default", "destination_workload": "echo",
        "destination_principal": "spiffe://cluster.local/ns/default/sa/echo",
    });
    example("ztunnel_text", line, &ends);
    let outbound = one(line, "ztunnel_text");
    check(&outbound, &json!({"observer": "client", "source_address": "10.244.0.24"}));
    let inbound = line
        .replace("outbound", "inbound")
        .replace("bytes_sent=67 bytes_recv=490", "bytes_sent=490 bytes_recv=67");
    let inbound =
        one(&inbound.replace(" dst.identity", " dst.namespace=\"default\" dst.identity"), "ztunnel_text");
    check(&inbound, &ends);
    check(
        &inbound,
        &json!({"observer": "server", "source_principal": "spiffe://cluster.local/ns/default/sa/default"}),
    );
    let refused =
        line.replace("duration=", "error=\"connection failed: Connection refused (os error 111)\" duration=");
    check(&one(&refused, "ztunnel_text"), &json!({"outcome": "error", "fault_class": "upstream_connect"}));
    let json = r#"{"level":"info","time":"2024-04-11T15:38:42.182974Z","scope":"access","message":"connection complete","src.addr":"10.244.0.24:46238","src.workload":"shell-6d8bcd654d-t88gp","src.namespace":"default","src.identity":"spiffe://cluster.local/ns/default/sa/default","dst.addr":"10.244.0.42:15008","dst.hbone_addr":"10.96.108.116:80","dst.service":"echo.default.svc.cluster.local","dst.workload":"echo-7d6f9b9d5d-p2xq9","dst.identity":"spiffe://cluster.local/ns/default/sa/echo","direction":"outbound","bytes_sent":67,"bytes_recv":490,"duration":"13ms"}"#;
    example("ztunnel_json", json, &ends);
}

#[test]
fn linkerd_logs_what_its_application_is_called_with() {
    let line = r#"10.42.0.63:51160 traffic.booksapp.serviceaccount.identity.linkerd.cluster.local - [2022-08-23T20:28:20.071809491Z] "GET http://webapp:7000/books HTTP/2.0" 200 1402"#;
    let want = json!({
        "observer": "server", "time_unix_nano": 1_661_286_500_071_809_491_i64, "method": "GET", "path": "/books",
        "authority": "webapp:7000", "protocol": "HTTP/2", "response_code": 200, "response_bytes": 1402,
        "source_service": "traffic", "source_namespace": "booksapp", "source_address": "10.42.0.63",
        "identity_source": "certificate",
    });
    example("linkerd_apache", line, &want);
    let json = r#"{"client.addr":"10.42.0.63:51160","client.id":"traffic.booksapp.serviceaccount.identity.linkerd.cluster.local","host":"webapp:7000","method":"GET","processing_ns":"39826","request_bytes":"","response_bytes":"1402","status":200,"timestamp":"2022-08-23T20:28:20.071809491Z","total_ns":"18441","trace_id":"","uri":"http://webapp:7000/books","user_agent":"Go-http-client/1.1","version":"HTTP/2.0"}"#;
    example("linkerd_json", json, &want);
    check(&one(json, "linkerd_json"), &json!({"duration_nano": 18_441, "upstream_duration_nano": 39_826}));
}

#[test]
fn traefik() {
    let line = r#"10.0.0.9 - - [23/Nov/2026:07:07:07 +0000] "GET /api HTTP/1.1" 200 157 "-" "curl/8" 12 "api@docker" "http://172.17.0.2:80" 5ms"#;
    example(
        "traefik_common",
        line,
        &json!({"duration_nano": 5_000_000, "route": "api@docker", "upstream_host": "172.17.0.2:80", "attempts": 1,
                "time_unix_nano": 1_795_417_627_000_000_000_i64}),
    );
    let json = r#"{"ClientAddr":"10.0.0.9:48122","ClientHost":"10.0.0.9","ClientPort":"48122","ClientUsername":"-","DownstreamContentSize":157,"DownstreamStatus":502,"Duration":1500000,"OriginContentSize":0,"OriginDuration":1200000,"OriginStatus":502,"Overhead":300000,"RequestAddr":"shop.example","RequestContentSize":11,"RequestCount":3,"RequestHost":"shop.example","RequestMethod":"POST","RequestPath":"/cart?x=1","RequestPort":"-","RequestProtocol":"HTTP/2.0","RequestScheme":"https","RetryAttempts":2,"RouterName":"shop@docker","ServiceAddr":"172.17.0.2:80","ServiceName":"shop@docker","StartUTC":"2026-11-23T07:07:07.123456789Z","TLSVersion":"1.3","level":"info","msg":"","request_User-Agent":"curl/8","time":"2026-11-23T07:07:07Z"}"#;
    example(
        "traefik_json",
        json,
        &json!({"time_unix_nano": 1_795_417_627_123_456_789_i64, "duration_nano": 1_500_000, "attempts": 3,
                "upstream_duration_nano": 1_200_000, "response_code": 502, "path": "/cart?x=1", "protocol": "HTTP/2",
                "scheme": "https", "tls_version": "TLSv1.3", "destination_service": "shop@docker",
                "downstream_direct_remote_address": "10.0.0.9:48122", "request_bytes": 11, "response_bytes": 157}),
    );
}

#[test]
fn kong() {
    let line = r#"10.0.0.9 - - [23/Nov/2026:07:07:07 +0000] "GET /x HTTP/1.1" 404 48 "-" "curl/8" kong_request_id: "f52e7b2e3a""#;
    example(
        "kong_text",
        line,
        &json!({"request_id": "f52e7b2e3a", "response_code": 404, "source_service": "kong"}),
    );
    let json = r#"{"started_at":1726783839123,"client_ip":"10.0.0.9","request":{"method":"GET","uri":"/anything?a=b","size":137,"id":"2f6946","headers":{"host":"localhost:8000","user-agent":"curl/8.7.1"}},"response":{"status":200,"size":9982,"headers":{"server":"gunicorn"}},"latencies":{"request":515,"kong":58,"proxy":457},"service":{"name":"example_service","host":"httpbin.konghq.com"},"route":{"name":"example_route"},"tries":[{"ip":"10.1.1.1","port":80,"balancer_latency":0},{"ip":"18.211.130.98","port":443,"balancer_latency":1}],"upstream_status":"200","workspace_name":"default"}"#;
    example(
        "kong_json",
        json,
        &json!({"time_unix_nano": 1_726_783_839_123_000_000_i64, "duration_nano": 515_000_000, "attempts": 2,
                "upstream_duration_nano": 457_000_000, "upstream_host": "18.211.130.98:443", "route": "example_route",
                "destination_service": "example_service", "path": "/anything?a=b", "authority": "localhost:8000"}),
    );
}

#[test]
fn load_balancers_of_clouds() {
    // AWS's example of HTTPS: 0.086 + 0.048 + 0.037 s; the second of a target that did not answer is its example of a 502.
    let line = r#"https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678" 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_123456"#;
    example(
        "aws_alb",
        line,
        // date -u -d 2018-07-02T22:22:48Z +%s is 1530570168.
        &json!({"time_unix_nano": 1_530_570_168_364_000_000_i64, "duration_nano": 171_000_000, "path": "/",
                "upstream_duration_nano": 85_000_000, "scheme": "https", "authority": "www.example.com:443",
                "tls_version": "TLSv1.2", "response_code": 200, "attempts": 1, "response_bytes": 57,
                "downstream_remote_address": "192.168.131.39:2817", "upstream_host": "10.0.0.1:80"}),
    );
    let failed = line.replace("0.086 0.048 0.037 200 200", "0.001 -1 -1 504 -");
    check(&one(&failed, "aws_alb"), &json!({"fault_class": "timeout", "upstream_duration_nano": null}));

    let json = r#"{"httpRequest":{"latency":"0.039654s","remoteIp":"1.2.3.4","requestMethod":"GET","requestSize":"412","requestUrl":"http://5.6.7.8/path?q=1","responseSize":"1012","serverIp":"10.5.3.1","status":502,"userAgent":"curl"},"insertId":"1oek5rg3l3fxj7","jsonPayload":{"@type":"type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry","statusDetails":"failed_to_connect_to_backend"},"resource":{"labels":{"backend_service_name":"shop","forwarding_rule_name":"f","project_id":"p","target_proxy_name":"t","url_map_name":"u","zone":"global"},"type":"http_load_balancer"},"severity":"WARNING","spanId":"7b6d2b9a2f0d4a11","timestamp":"2020-06-08T23:41:30.078651Z","trace":"projects/p/traces/241d69833e64b3bf83fabac8c873d992"}"#;
    example(
        "gcp_load_balancer_json",
        json,
        &json!({"duration_nano": 39_654_000, "response_code": 502, "fault_class": "upstream_connect", "path": "/path?q=1",
                "authority": "5.6.7.8", "destination_service": "shop", "request_bytes": 412, "response_bytes": 1012,
                "trace_id": "241d69833e64b3bf83fabac8c873d992", "span_id": "7b6d2b9a2f0d4a11",
                "response_code_details": "failed_to_connect_to_backend", "upstream_host": "10.5.3.1"}),
    );
}

#[test]
fn a_w3c_log_says_its_fields_itself() {
    let log = "#Software: Microsoft Internet Information Services 10.0\r\n\
               #Fields: date time cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status time-taken\r\n\
               2026-11-23 07:07:07 GET /svc/ok a=b 443 10.0.0.9 curl/8 200 15\r\n\
               #Fields: date time sc-status cs-uri-stem\r\n\
               2026-11-23 07:07:08 404 /none\r\n";
    for format in ["w3c", "recognised"] {
        let (rows, tally) = super::rows_of(log.as_bytes(), &super::origin(format));
        assert_eq!((tally.received, tally.unread.as_slice()), (2, [].as_slice()), "directives are no lines");
        check(
            &rows[0],
            &json!({"time_unix_nano": 1_795_417_627_000_000_000_i64 - 15_000_000, "duration_nano": 15_000_000,
                    "path": "/svc/ok?a=b", "response_code": 200, "downstream_remote_address": "10.0.0.9",
                    "source_format": "w3c", "source_service": "iis"}),
        );
        check(&rows[1], &json!({"response_code": 404, "path": "/none"}));
    }
    let first: Vec<_> = super::lines(log.as_bytes()).collect();
    assert_eq!(LineFormat::detect(&first).map(|format| format.name()), Some("w3c"));
    let iis = "2026-11-23 07:07:07 10.0.0.1 GET /svc/ok - 80 - 10.0.0.9 curl/8 - 200 0 0 15";
    check(&one(iis, "w3c"), &json!({"path": "/svc/ok", "downstream_local_address": "10.0.0.1:80"}));
}

#[test]
fn fields_that_are_said_are_not_guessed() {
    use crate::access_log::origin::LineOrigin;

    let line = "2026-11-23 07:07:07 10.0.0.1 GET /svc/ok - 80 - 10.0.0.9 curl/8 - 200 0 0 15";
    let unread = |origin: &LineOrigin, log: &str| {
        let (rows, _) = super::rows_of(log.as_bytes(), origin);
        rows.last().expect("a row")["attributes"]["unread_field"].clone()
    };
    for format in ["w3c", "recognised"] {
        let said = format!("#Fields: sc-status date time\n{line}\n");
        assert_eq!(unread(&super::origin(format), &said), "response_code", "{format}");
        let before =
            LineOrigin { fields: "#Fields: sc-status date time".to_owned(), ..super::origin(format) };
        assert_eq!(unread(&before, line), "response_code", "{format}");
        let (rows, _) = super::rows_of(b"404 2026-11-23 07:07:07", &before);
        check(&rows[0], &json!({"response_code": 404, "source_format": "w3c", "counted": true}));
    }
    let midway = LineOrigin { lacks_head: true, ..LineOrigin::default() };
    assert_eq!(unread(&midway, line), "#Fields");
    assert_eq!(unread(&LineOrigin::default(), line), Value::Null, "nothing else was ever said");
}
