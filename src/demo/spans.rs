//! The spans and measurements of one visit, as instrumented applications would make them.
//!
//! Pure translation of the model into the names of the semantic conventions (HTTP, database and messaging;
//! <https://opentelemetry.io/docs/specs/semconv/>, version 1.37). Times and ids come from the model; which
//! application says it is the index of the pod.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};
use opentelemetry::{KeyValue, Value};

use super::mesh::{DATABASE, DATABASE_PORT, EXTERNAL, EXTERNAL_PORT, Instance, InstanceId, Mesh, QUEUE};
use super::model::{AppSpan, Attempt, Call, Callee, Visit};

/// A span before the SDK has it.
#[derive(Debug, Clone)]
pub struct DraftSpan {
    pub instance: InstanceId,
    pub context: SpanContext,
    /// The parent, in this application or another; `None` for the root.
    pub parent: Option<SpanContext>,
    pub links: Vec<Link>,
    pub name: String,
    pub kind: SpanKind,
    pub start: SystemTime,
    pub end: SystemTime,
    pub attributes: Vec<KeyValue>,
    /// The description of the status ERROR; `None` when the status is not set.
    pub error: Option<String>,
    pub measurement: Measurement,
    pub duration: Duration,
}

/// The duration metric that an application records beside a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    HttpServer,
    HttpClient,
    Database,
    Publish,
    Process,
}

/// The spans of a visit that started at `start`.
pub fn spans(mesh: &Mesh, visit: &Visit, start: SystemTime) -> Vec<DraftSpan> {
    let mut drafts = Vec::new();
    let drafter =
        Drafter { mesh, trace_id: TraceId::from(visit.trace_id), start, user_agent: visit.user_agent };
    drafter.add_call(&visit.entry, None, &mut drafts);
    drafts
}

struct Drafter<'a> {
    mesh: &'a Mesh,
    trace_id: TraceId,
    start: SystemTime,
    user_agent: &'static str,
}

impl Drafter<'_> {
    /// `parent` is the caller's SERVER span.
    fn add_call(&self, call: &Call, parent: Option<&SpanContext>, into: &mut Vec<DraftSpan>) {
        let client = call.client_span.as_ref().map(|span| self.client(call, span, parent.cloned()));
        let remote = client.as_ref().map(|draft| self.context(draft.context.span_id(), true));
        into.extend(client);
        for attempt in &call.attempts {
            let Some(span) = &attempt.server_span else { continue };
            let server = self.server(call, attempt, span, remote.clone());
            let context = server.context.clone();
            into.push(server);
            attempt.calls.iter().for_each(|inner| self.add_call(inner, Some(&context), into));
        }
    }

    fn client(&self, call: &Call, span: &AppSpan, parent: Option<SpanContext>) -> DraftSpan {
        let operation = &call.operation;
        let (name, kind, measurement, attributes) = match call.callee {
            Callee::Service { .. } | Callee::External => {
                let name = operation.method.to_owned();
                (name, SpanKind::Client, Measurement::HttpClient, self.http_client(call, span))
            }
            Callee::Database => {
                let name = format!("SELECT {}", operation.route);
                (name, SpanKind::Client, Measurement::Database, database(operation.path.clone(), span))
            }
            Callee::Queue => {
                (format!("send {QUEUE}"), SpanKind::Producer, Measurement::Publish, messaging("send", "send"))
            }
        };
        self.draft(call.caller, span, parent, name, kind, attributes, measurement)
    }

    fn server(
        &self,
        call: &Call,
        attempt: &Attempt,
        span: &AppSpan,
        parent: Option<SpanContext>,
    ) -> DraftSpan {
        if matches!(call.callee, Callee::Queue) {
            let name = format!("process {QUEUE}");
            let attributes = messaging("process", "process");
            let links = parent.iter().map(|creation| Link::new(creation.clone(), Vec::new(), 0)).collect();
            let draft = self.draft(
                attempt.server,
                span,
                parent,
                name,
                SpanKind::Consumer,
                attributes,
                Measurement::Process,
            );
            return DraftSpan { links, ..draft };
        }
        let name = format!("{} {}", call.operation.method, call.operation.route);
        let attributes = self.http_server(call, attempt, span);
        self.draft(attempt.server, span, parent, name, SpanKind::Server, attributes, Measurement::HttpServer)
    }

    #[expect(clippy::too_many_arguments, reason = "each is one property of the span, named at the calls")]
    fn draft(
        &self,
        instance: InstanceId,
        span: &AppSpan,
        parent: Option<SpanContext>,
        name: String,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
        measurement: Measurement,
    ) -> DraftSpan {
        let start = self.start + Duration::from_nanos(span.start);
        let duration = Duration::from_nanos(span.duration);
        DraftSpan {
            instance,
            context: self.context(SpanId::from(span.id), false),
            parent,
            links: Vec::new(),
            name,
            kind,
            start,
            end: start + duration,
            attributes,
            error: span.failed.then(|| error_description(span)),
            measurement,
            duration,
        }
    }

    fn context(&self, span_id: SpanId, is_remote: bool) -> SpanContext {
        SpanContext::new(self.trace_id, span_id, TraceFlags::SAMPLED, is_remote, TraceState::default())
    }

    fn http_client(&self, call: &Call, span: &AppSpan) -> Vec<KeyValue> {
        let (scheme, host, port) = match call.callee {
            Callee::Service { name, .. } => ("http", name, 9080),
            _ => ("https", EXTERNAL, EXTERNAL_PORT),
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", call.operation.method),
            KeyValue::new("url.full", format!("{scheme}://{host}:{port}{}", call.operation.path)),
            KeyValue::new("server.address", host),
            KeyValue::new("server.port", i64::from(port)),
            KeyValue::new("network.protocol.version", "1.1"),
        ];
        attributes.extend(status_attributes(span));
        attributes
    }

    fn http_server(&self, call: &Call, attempt: &Attempt, span: &AppSpan) -> Vec<KeyValue> {
        let server = self.mesh.instance(attempt.server);
        let (path, query) = call.operation.path.split_once('?').unwrap_or((&call.operation.path, ""));
        let mut attributes = vec![
            KeyValue::new("http.request.method", call.operation.method),
            KeyValue::new("http.route", call.operation.route),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("url.path", path.to_owned()),
            KeyValue::new("server.address", server.service),
            KeyValue::new("server.port", i64::from(server.port)),
            KeyValue::new("network.peer.address", "127.0.0.6"),
            KeyValue::new("network.peer.port", i64::from(attempt.port)),
            KeyValue::new("network.protocol.version", "1.1"),
            KeyValue::new("user_agent.original", self.user_agent),
        ];
        if !query.is_empty() {
            attributes.push(KeyValue::new("url.query", query.to_owned()));
        }
        attributes.extend(status_attributes(span));
        attributes
    }
}

/// The attributes that the metric beside a span has: few values each, no addresses, no paths.
pub fn metric_attributes(draft: &DraftSpan) -> Vec<KeyValue> {
    const KEPT: [&str; 12] = [
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "url.scheme",
        "server.address",
        "server.port",
        "error.type",
        "db.system.name",
        "db.operation.name",
        "db.collection.name",
        "messaging.system",
        "messaging.destination.name",
    ];
    let is_server = draft.measurement == Measurement::HttpServer;
    let kept = |key: &str| KEPT.contains(&key) && !(is_server && key.starts_with("server."));
    draft.attributes.iter().filter(|attribute| kept(attribute.key.as_str())).cloned().collect()
}

/// What identifies an application: service, version and pod (Kubernetes and service conventions).
pub fn resource_attributes(instance: &Instance) -> Vec<KeyValue> {
    vec![
        KeyValue::new("service.name", instance.service),
        KeyValue::new("service.namespace", instance.namespace),
        KeyValue::new("service.version", instance.version),
        KeyValue::new("service.instance.id", format!("{}.{}", instance.namespace, instance.pod)),
        KeyValue::new("deployment.environment.name", "demo"),
        KeyValue::new("k8s.cluster.name", "Kubernetes"),
        KeyValue::new("k8s.namespace.name", instance.namespace),
        KeyValue::new("k8s.deployment.name", instance.workload.clone()),
        KeyValue::new("k8s.pod.name", instance.pod.clone()),
        KeyValue::new("k8s.pod.ip", instance.ip.to_string()),
        KeyValue::new("k8s.container.name", instance.service),
    ]
}

fn status_attributes(span: &AppSpan) -> Vec<KeyValue> {
    let Some(status) = span.status else { return Vec::new() };
    let mut attributes = vec![KeyValue::new("http.response.status_code", i64::from(status))];
    if span.failed {
        attributes.push(KeyValue::new("error.type", status.to_string()));
    }
    attributes
}

fn database(statement: String, span: &AppSpan) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> = [
        ("db.system.name", Value::from("mysql")),
        ("db.namespace", Value::from("test")),
        ("db.operation.name", Value::from("SELECT")),
        ("db.collection.name", Value::from("ratings")),
        ("db.query.summary", Value::from("SELECT ratings")),
        ("db.query.text", Value::from(statement)),
        ("server.address", Value::from(DATABASE)),
        ("server.port", Value::from(i64::from(DATABASE_PORT))),
    ]
    .into_iter()
    .map(|(key, value)| KeyValue::new(key, value))
    .collect();
    if span.failed {
        attributes.push(KeyValue::new("error.type", DATABASE_ERROR));
        attributes.push(KeyValue::new("db.response.status_code", DATABASE_ERROR));
    }
    attributes
}

/// MySQL's ER_LOCK_WAIT_TIMEOUT.
const DATABASE_ERROR: &str = "1205";

fn messaging(name: &'static str, operation: &'static str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.destination.name", QUEUE),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", operation),
    ]
}

fn error_description(span: &AppSpan) -> String {
    match span.status {
        // By the HTTP conventions the status code says it all.
        Some(_) => String::new(),
        None => "Lock wait timeout exceeded; try restarting transaction".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::demo::model::Model;

    fn drafts(visits: usize) -> Vec<(Visit, Vec<DraftSpan>)> {
        let mut model = Model::new(42);
        let mesh = model.mesh().clone();
        let visits = (0..visits).map(|_| model.visit());
        let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        visits
            .map(|visit| {
                let drafts = spans(&mesh, &visit, start);
                (visit, drafts)
            })
            .collect()
    }

    fn attribute<'a>(draft: &'a DraftSpan, key: &str) -> Option<&'a Value> {
        draft
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == key)
            .map(|attribute| &attribute.value)
    }

    #[test]
    fn a_trace_has_one_root_and_no_missing_parent() {
        for (visit, drafts) in drafts(300) {
            let ids: HashSet<_> = drafts.iter().map(|draft| draft.context.span_id()).collect();
            assert_eq!(ids.len(), drafts.len());
            let roots = drafts.iter().filter(|draft| draft.parent.is_none()).count();
            // A visit that the rate limit refused has no span at all.
            assert_eq!(roots, usize::from(!drafts.is_empty()));
            for draft in &drafts {
                assert_eq!(draft.context.trace_id(), TraceId::from(visit.trace_id));
                assert!(draft.parent.as_ref().is_none_or(|parent| ids.contains(&parent.span_id())));
            }
        }
    }

    #[test]
    fn a_server_span_hangs_under_its_callers_client_span() {
        for (_, drafts) in drafts(300) {
            let kinds: HashMap<_, _> = drafts.iter().map(|d| (d.context.span_id(), d.kind.clone())).collect();
            for draft in &drafts {
                let parent = draft
                    .parent
                    .as_ref()
                    .map(|parent| (kinds[&parent.span_id()].clone(), parent.is_remote()));
                let want = match draft.kind {
                    SpanKind::Server => Some((SpanKind::Client, true)),
                    SpanKind::Consumer => Some((SpanKind::Producer, true)),
                    _ => Some((SpanKind::Server, false)),
                };
                assert!(parent == want || parent.is_none(), "{} under {parent:?}", draft.name);
            }
        }
    }

    #[test]
    fn a_statement_names_its_database() {
        let all = drafts(50);
        let draft =
            all.iter().flat_map(|(_, drafts)| drafts).find(|d| d.measurement == Measurement::Database);
        let draft = draft.expect("some page view asks for ratings");
        assert_eq!(draft.name, "SELECT ratings");
        assert_eq!(attribute(draft, "db.system.name"), Some(&Value::from("mysql")));
        assert_eq!(attribute(draft, "server.address"), Some(&Value::from("mysqldb")));
    }

    #[test]
    fn metrics_have_few_labels() {
        for (_, drafts) in drafts(50) {
            for draft in drafts.iter().filter(|draft| draft.measurement == Measurement::HttpServer) {
                let labels = metric_attributes(draft);
                let keys: Vec<_> = labels.iter().map(|label| label.key.as_str()).collect();
                let ok = ["http.request.method", "http.route", "url.scheme", "http.response.status_code"];
                assert!(keys == ok || keys == [&ok[..], &["error.type"]].concat(), "{keys:?}");
            }
        }
    }
}
