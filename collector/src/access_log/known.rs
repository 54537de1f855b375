//! Formats that are known by name and recognised by themselves, the more particular ones first.
//!
//! Where one format is another with fields added, both read the same lines; the one with more fields stands first. What
//! older releases of a program wrote is the same format, the newest way of it first. nginx and Apache write the same `combined` until something has to be escaped; nginx stands first, and quotes behind
//! backslashes, which only Apache writes, tell the rest.

use std::sync::LazyLock;

use super::{Language, LineFormat, Matcher, Program};
use super::{
    caddy, cloud, envoy_formats, haproxy_formats, kong, linkerd, nginx_formats, traefik, w3c, ztunnel,
};
use crate::normalize::requests::facts::Observer;
use crate::normalize::requests::proxy::ProxyKind;

/// All of them.
pub(super) fn all() -> &'static [LineFormat] {
    static ALL: LazyLock<Vec<LineFormat>> = LazyLock::new(|| {
        let objects =
            OBJECTS.iter().map(|(name, program, object)| (*name, *program, Matcher::Json(object())));
        let texts = TEXTS.iter().map(|(name, language, program, ways)| {
            let patterns = ways.iter().map(|way| language.pattern(way).expect("a test compiles all of them"));
            (*name, *program, Matcher::Text(patterns.collect()))
        });
        let iis = w3c::patterns(w3c::IIS_FIELDS).expect("a test compiles all of them");
        let others = [
            ("ztunnel_text", MANY, Matcher::Pairs(ztunnel::text())),
            (W3C, program("iis"), Matcher::Text(iis)),
        ];
        let all = objects.chain(texts).chain(others);
        all.map(|(name, program, matcher)| LineFormat::new(name, program, matcher)).collect()
    });
    &ALL
}

/// The format whose fields a file says itself, with those of a `#Fields` line; `None` for any other line.
pub(super) fn w3c(line: &str) -> Option<LineFormat> {
    Some(LineFormat::new(W3C, program("iis"), Matcher::Text(w3c::patterns(line)?)))
}

pub(super) const W3C: &str = "w3c";

/// Stands beside an application, whose name the lines do not have.
const SIDECAR: Program = Program { service: "", kind: ProxyKind::Sidecar, observer: None };

/// The same, and logs only what its application is called with.
const INBOUND: Program = Program { observer: Some(Observer::Server), ..SIDECAR };

/// Stands beside many, and each line says which.
const MANY: Program = SIDECAR;

/// A proxy that is a party of its own.
const fn program(service: &'static str) -> Program {
    Program { service, kind: ProxyKind::Plain, observer: None }
}

type Named = (&'static str, Program, fn() -> super::json::Object);

const OBJECTS: [Named; 11] = [
    ("envoy_gateway_json", program("envoy-gateway"), envoy_formats::gateway_json),
    ("istio_json", SIDECAR, envoy_formats::istio_json),
    ("contour_json", program("contour"), envoy_formats::contour_json),
    ("ztunnel_json", MANY, ztunnel::json),
    ("haproxy_json", program("haproxy"), haproxy_formats::json),
    ("caddy_json", program("caddy"), caddy::json),
    ("traefik_json", program("traefik"), traefik::json),
    ("linkerd_json", INBOUND, linkerd::json),
    ("kong_json", program("kong"), kong::json),
    ("gcp_load_balancer_json", program("gcp-load-balancer"), cloud::gcp),
    ("nginx_json", program("nginx"), nginx_formats::json),
];

/// A name, and the ways in which its program has written it.
type Text = (&'static str, Language, Program, &'static [&'static str]);

const TEXTS: [Text; 17] = [
    ("istio_text", Language::Envoy, SIDECAR, &envoy_formats::ISTIO),
    ("envoy_default", Language::Envoy, program("envoy"), &[envoy_formats::DEFAULT]),
    ("haproxy_https", Language::Haproxy, program("haproxy"), &[haproxy_formats::HTTPS]),
    ("haproxy_http", Language::Haproxy, program("haproxy"), &[haproxy_formats::HTTP]),
    ("haproxy_tcp", Language::Haproxy, program("haproxy"), &[haproxy_formats::TCP]),
    ("haproxy_clf", Language::Haproxy, program("haproxy"), &[haproxy_formats::CLF]),
    ("aws_alb", Language::Fields, program("aws-alb"), &[cloud::AWS_ALB]),
    // ingress-nginx, "Log format", `log-format-upstream`.
    (
        "ingress_nginx",
        Language::Nginx,
        program("ingress-nginx"),
        &[
            "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
                 \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
                 [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length \
                 $upstream_response_time $upstream_status $req_id",
        ],
    ),
    ("kong_text", Language::Nginx, program("kong"), &[kong::TEXT]),
    ("traefik_common", Language::Fields, program("traefik"), &[traefik::COMMON]),
    // As nginx.conf has it in nginx's own packages and images, by the name `main`.
    (
        "nginx_main",
        Language::Nginx,
        program("nginx"),
        &[
            "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
                 \"$http_user_agent\" \"$http_x_forwarded_for\"",
        ],
    ),
    // nginx, ngx_http_log_module, the predefined format.
    (
        "nginx_combined",
        Language::Nginx,
        program("nginx"),
        &[
            "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \
                 \"$http_user_agent\"",
        ],
    ),
    // As Debian's apache2.conf has it, and without the port.
    (
        "apache_vhost_combined",
        Language::Apache,
        program("apache"),
        &[
            r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#,
            r#"%v %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#,
        ],
    ),
    // Apache httpd, mod_log_config, "Combined Log Format"; varnishncsa's default, with whole URLs.
    (
        "apache_combined",
        Language::Apache,
        program("apache"),
        &[r#"%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#],
    ),
    // Apache httpd, mod_log_config, "Common Log Format", and that "with Virtual Host".
    ("apache_vhost_common", Language::Apache, program("apache"), &[r#"%v %h %l %u %t "%r" %>s %b"#]),
    ("apache_common", Language::Apache, program("apache"), &[r#"%h %l %u %t "%r" %>s %b"#]),
    ("linkerd_apache", Language::Fields, INBOUND, &[linkerd::APACHE]),
];
