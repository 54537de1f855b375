//! Which OTLP logs are access logs: those become rows of `requests`, not of `logs`.
//!
//! Envoy's OTLP access logger says who it is in the resource (`log_name`, `node_name`), unless it is told not to, as
//! Istio's default is. Then a record is told by what it is: without severity and time of observation, which Envoy never
//! sends, and with a body that is a line in one of its formats. Of other senders (a Collector's file receiver, Fluent Bit)
//! only lines are looked for that configuration speaks of.
//!
//! Source: Envoy `source/extensions/access_loggers/open_telemetry` (`otlp_log_utils.cc`).

use std::borrow::Cow;

use crate::access_log::origin::LineOrigin;
use crate::access_log::rows::LineReader;
use crate::access_log::rows::records::{NamedValue, Record, is_of_envoy};
use crate::decode::otlp::any_value::{AnyValue, KeyValue};
use crate::decode::otlp::value_writer::ValueWriter;
use crate::normalize::requests::facts::TraceContext;
use crate::normalize::requests::proxy::{ProxyIdentity, WorkloadFacts, release_of_build};
use crate::protobuf::wire::{Fields, WireError, repeated};

/// What says of a resource that Envoy's logger sent it. Source: Envoy, `OpenTelemetryAccessLogConfig`, built-in labels.
const ENVOYS_OWN: [&str; 2] = ["log_name", "node_name"];

/// The sender of a resource's records, as far as they may be access logs.
pub(super) struct Logger<'a> {
    /// What the resource says: of Envoy what no fact of the proxy is, of others all.
    attributes: Vec<KeyValue<'a>>,
    /// Envoy, where the resource says that it is.
    envoy: Option<ProxyIdentity>,
    /// What the resource says of whoever logged lines that are looked for.
    pub origin: Option<LineOrigin>,
}

impl<'a> Logger<'a> {
    /// Reads the resource of a `ResourceLogs` message. Lines of `lines` are looked for whoever sent them.
    pub(super) fn read(
        envelope: &'a [u8],
        lines: Option<&LineOrigin>,
        writer: &mut ValueWriter,
    ) -> Result<Self, WireError> {
        let mut attributes = Vec::new();
        for resource in repeated(envelope, 1) {
            for field in Fields::new(resource?) {
                if let (1, value) = field? {
                    attributes.push(writer.read(value.bytes(1)?)?);
                }
            }
        }
        let text = |key: &str| {
            let found = attributes.iter().rev().find(|entry| entry.key == key.as_bytes());
            found.and_then(|entry| entry.value.plain_text()).unwrap_or_default().into_owned()
        };
        let is_envoy =
            attributes.iter().any(|entry| ENVOYS_OWN.iter().any(|key| entry.key == key.as_bytes()));
        let envoy = is_envoy.then(|| envoy_of(&text));
        let origin = lines.filter(|_| !is_envoy).map(|lines| origin_of(lines, &text));
        if is_envoy {
            attributes.retain(|entry| !ENVOY_FACTS.iter().any(|key| entry.key == key.as_bytes()));
        }
        Ok(Logger { attributes, envoy, origin })
    }
}

/// What of a resource is a fact of the proxy, or an attribute under another name.
const ENVOY_FACTS: [&str; 4] = ["log_name", "zone_name", "cluster_name", "node_name"];

fn envoy_of(text: &impl Fn(&str) -> String) -> ProxyIdentity {
    let (node, cluster) = (text("node_name"), text("cluster_name"));
    let facts = WorkloadFacts {
        instance: text("k8s.pod.name").into(),
        namespace: text("k8s.namespace.name").into(),
        workload: text("k8s.deployment.name").into(),
        version: text("service.version").into(),
        proxy_version: release(text).into(),
        ..WorkloadFacts::default()
    };
    // A node without a cluster is named by its operator's name for the service, if by anything.
    let service = if cluster.is_empty() { text("service.name") } else { cluster };
    ProxyIdentity::new(&node, &service, facts)
        .with_attribute("log_name", &text("log_name"))
        .with_attribute("cloud.availability_zone", &text("zone_name"))
}

/// The release of the proxy: Istio's where the resource has it, by the name that rows of the log service have; else that
/// of the Envoy whose own tracing and logging it names as the SDK.
fn release(text: &impl Fn(&str) -> String) -> String {
    let istio = text("istio.version");
    if !istio.is_empty() || text("telemetry.sdk.name") != "envoy" {
        return istio;
    }
    release_of_build(&text("telemetry.sdk.version")).to_owned()
}

fn origin_of(lines: &LineOrigin, text: &impl Fn(&str) -> String) -> LineOrigin {
    let or = |own: &str, key: &str| if own.is_empty() { text(key) } else { own.to_owned() };
    LineOrigin {
        service: or(&lines.service, "service.name"),
        namespace: or(&or(&lines.namespace, "service.namespace"), "k8s.namespace.name"),
        workload: or(&lines.workload, "k8s.deployment.name"),
        version: or(&lines.version, "service.version"),
        instance: or(&or(&lines.instance, "k8s.pod.name"), "host.name"),
        cluster: or(&lines.cluster, "k8s.cluster.name"),
        ..lines.clone()
    }
}

/// What of a log record tells whether it is an access log, and is kept of one.
pub(super) struct Candidate<'a> {
    pub time_unix_nano: u64,
    /// Whether it has a severity or a time of observation.
    pub is_observed: bool,
    pub body: Option<&'a [u8]>,
    pub attributes: &'a [&'a [u8]],
    pub trace_context: Option<TraceContext>,
}

impl Logger<'_> {
    /// Whose access log a record is; `None` for any other record.
    pub(super) fn of<'l>(
        &'l self,
        candidate: &Candidate<'_>,
        reader: &LineReader<'_>,
    ) -> Result<Option<Found<'l>>, WireError> {
        if let Some(envoy) = &self.envoy {
            return Ok(Some(Found::Envoy(Some(envoy))));
        }
        if candidate.is_observed && self.origin.is_none() {
            return Ok(None);
        }
        let Some(AnyValue::String(body)) = candidate.body.map(AnyValue::read).transpose()? else {
            return Ok(None);
        };
        let Ok(text) = str::from_utf8(body) else { return Ok(None) };
        if !candidate.is_observed && self.attributes.is_empty() && is_of_envoy(text) {
            return Ok(Some(Found::Envoy(None)));
        }
        Ok((self.origin.is_some() && reader.is_line(text)).then_some(Found::Line))
    }

    /// The record as the rows of `requests` take it.
    pub(super) fn record<'a>(
        &'a self,
        found: &Found<'_>,
        candidate: &Candidate<'a>,
        writer: &mut ValueWriter,
    ) -> Result<Record<'a>, WireError> {
        let start = (candidate.time_unix_nano != 0).then(|| writer.time(candidate.time_unix_nano));
        let from_envoy = matches!(found, Found::Envoy(_));
        let mut record = Record {
            from_envoy,
            // The time of a line that was found is that of its writing, or of its reading.
            start_unix_nano: start.filter(|_| from_envoy),
            trace_context: candidate.trace_context,
            ..Record::default()
        };
        match candidate.body.map(AnyValue::read).transpose()? {
            Some(AnyValue::String(text)) => record.text = writer.utf8(text),
            Some(AnyValue::KeyValueList(list)) => {
                for entry in repeated(list, 1) {
                    let entry = KeyValue::read(entry?)?;
                    record.fields.push(named(entry, writer)?);
                }
            }
            Some(AnyValue::Unset) | None => {}
            Some(value) => record.fields.push(named(KeyValue { key: b"body", value }, writer)?),
        }
        for message in candidate.attributes {
            let entry = KeyValue::read(message)?;
            record.fields.push(named(entry, writer)?);
        }
        for entry in &self.attributes {
            record.fields.push(named(*entry, writer)?);
        }
        Ok(record)
    }
}

/// Whose access log a record is.
pub(super) enum Found<'l> {
    /// Envoy's own, of which more may be known.
    Envoy(Option<&'l ProxyIdentity>),
    /// A line that somebody passes on.
    Line,
}

impl<'l> Found<'l> {
    /// Who logged it, where more is known than the format says.
    pub(super) fn proxy(&self) -> Option<&'l ProxyIdentity> {
        match self {
            Found::Envoy(envoy) => *envoy,
            Found::Line => None,
        }
    }
}

fn named<'a>(entry: KeyValue<'a>, writer: &mut ValueWriter) -> Result<NamedValue<'a>, WireError> {
    let name = writer.utf8(entry.key);
    let (text, types) = match entry.value {
        AnyValue::String(text) => (writer.utf8(text), Cow::Borrowed("s")),
        value => {
            let (text, types) = writer.body(value)?;
            (Cow::Owned(text.to_owned()), Cow::Owned(types.to_owned()))
        }
    };
    Ok(NamedValue { name, text, types })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_names_the_release_of_its_proxy() {
        let build = ("telemetry.sdk.version", "9e55807/1.40.0/Clean/RELEASE/BoringSSL");
        let (envoy, other) = (("telemetry.sdk.name", "envoy"), ("telemetry.sdk.name", "opentelemetry"));
        let istio = ("istio.version", "1.27.1");
        let of = |said: &[(&str, &str)]| {
            let text = |key: &str| {
                said.iter()
                    .find(|(known, _)| *known == key)
                    .map_or(String::new(), |(_, value)| (*value).to_owned())
            };
            envoy_of(&text).proxy_version
        };
        assert_eq!(of(&[istio, envoy, build]), "1.27.1");
        assert_eq!(of(&[envoy, build]), "1.40.0");
        assert_eq!([of(&[other, build]), of(&[])], ["", ""]);
    }
}
