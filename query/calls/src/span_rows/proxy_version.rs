//! The release of the proxy that made a span, where its resource names it.
//!
//! Envoy's own tracer names itself as the SDK and its build as the SDK's version. What other proxies trace with is a
//! library with versions of its own, which say nothing of the proxy.
//!
//! Sources: Envoy, `source/extensions/tracers/opentelemetry/resource_detectors/resource_provider.cc`, and
//! `source/common/version/version.cc` for a build, `<revision>/<release>/<state>/<kind>/<TLS library>`.

use meshlake_schema::attributes::resource_value;

/// The release; none where the resource is not an Envoy's.
pub fn proxy_version(resource: &str) -> Option<String> {
    if resource_value(resource, "telemetry.sdk.name")? != "envoy" {
        return None;
    }
    let build = resource_value(resource, "telemetry.sdk.version")?;
    let release = build.split('/').nth(1).unwrap_or(&build);
    (!release.is_empty()).then(|| release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoy_names_its_release_and_no_other_sdk_does() {
        let of = |name: &str, version: &str| {
            proxy_version(&format!(
                r#"{{"service.name":"a","telemetry.sdk.name":"{name}","telemetry.sdk.version":"{version}"}}"#
            ))
        };
        let build = "9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL";
        assert_eq!(of("envoy", build).as_deref(), Some("1.40.0"));
        assert_eq!(of("envoy", "1.40.0").as_deref(), Some("1.40.0"));
        assert_eq!([of("opentelemetry", "1.40.0"), of("envoy", ""), proxy_version("{}")], [None, None, None]);
    }
}
