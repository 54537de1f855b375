//! The labels of a stored series: its attributes, and what its resource and scope add.
//!
//! As Prometheus's OTLP receiver has them with `promote_scope_metadata` and a list of `promote_resource_attributes`:
//! - `job` is `service.name`, behind `service.namespace/` where there is one; `instance` is `service.instance.id`;
//! - attributes of the scope are `otel_scope_*`, of points all, of the resource the [`Promoted`] ones;
//! - names are made plain, and values of attributes whose names then are the same are joined with `;`.
//!
//! Beyond that the three names that dashboards of Kubernetes select by, and which a scraping Prometheus takes from service
//! discovery, are made of the resource too ([`DISCOVERED`]); a receiver of OTLP could not know better.
//!
//! Sources: <https://prometheus.io/docs/guides/opentelemetry/>, the OpenTelemetry page on compatibility.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::REMOTE_WRITTEN;
use crate::samples::naming::{label, value};

/// Attributes of resources that become labels of every series unless others are configured: those that Prometheus's guide
/// to OpenTelemetry names.
pub const PROMOTED: [&str; 19] = [
    "service.instance.id",
    "service.name",
    "service.namespace",
    "service.version",
    "cloud.availability_zone",
    "cloud.region",
    "container.name",
    "deployment.environment",
    "deployment.environment.name",
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.cronjob.name",
    "k8s.daemonset.name",
    "k8s.deployment.name",
    "k8s.job.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.replicaset.name",
    "k8s.statefulset.name",
];

/// Attributes that are also what Prometheus's discovery in Kubernetes calls them.
const DISCOVERED: [(&str, &str); 3] =
    [("k8s.namespace.name", "namespace"), ("k8s.pod.name", "pod"), ("k8s.container.name", "container")];

/// What `target_info` does not repeat, as `job` and `instance` are made of it.
const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// Attributes of resources that become labels of every series.
#[derive(Debug, Clone)]
pub struct Promoted(Arc<[String]>);

impl Default for Promoted {
    fn default() -> Self {
        Promoted(PROMOTED.map(str::to_owned).into())
    }
}

impl From<Vec<String>> for Promoted {
    fn from(attributes: Vec<String>) -> Self {
        Promoted(attributes.into())
    }
}

/// What a resource adds to the labels of its series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceLabels {
    job: Option<String>,
    instance: Option<String>,
    promoted: Vec<(String, String)>,
}

impl ResourceLabels {
    /// Of a resource as it is stored: a JSON object, and the types of its values.
    pub fn of(resource: &str, types: &str, promoted: &Promoted) -> Self {
        let attributes = value::of_object(resource, types);
        let get =
            |key: &str| attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        let job = get("service.name").map(|name| match get("service.namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        });
        let promoted = promoted.0.iter().filter_map(|key| Some((label::name(key)?, get(key)?.to_owned())));
        let discovered =
            DISCOVERED.into_iter().filter_map(|(key, name)| Some((name.to_owned(), get(key)?.to_owned())));
        ResourceLabels {
            promoted: promoted.chain(discovered).filter(|(_, value)| !value.is_empty()).collect(),
            job,
            instance: get("service.instance.id").map(str::to_owned),
        }
    }

    /// The labels of the resource's `target_info`, sorted by name; none where it has nothing to tell, or nothing that a series
    /// could be joined with it by.
    pub fn of_target(resource: &str, types: &str) -> Option<Vec<(String, String)>> {
        let resource_labels = ResourceLabels::of(resource, types, &Promoted(Arc::default()));
        if resource_labels.job.is_none() && resource_labels.instance.is_none() {
            return None;
        }
        let mut attributes = value::of_object(resource, types);
        attributes.retain(|(key, _)| !IDENTIFYING.contains(&key.as_str()));
        if attributes.is_empty() {
            return None;
        }
        let mut labels = joined(attributes, &mut Vec::new());
        resource_labels.identify(&mut labels);
        labels.retain(|_, value| !value.is_empty());
        Some(labels.into_iter().collect())
    }

    fn identify(&self, labels: &mut BTreeMap<String, String>) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                labels.insert(name.to_owned(), value.clone());
            }
        }
    }
}

/// The scope of a series, as it is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub schema_url: &'a str,
    pub attributes: &'a str,
    pub attribute_types: &'a str,
}

/// The labels of a series but its name, sorted by name, with the labels whose values had to be joined in `collisions`.
pub fn labels(
    resource: &ResourceLabels,
    scope: Scope<'_>,
    mut attributes: Vec<(String, String)>,
    collisions: &mut Vec<String>,
) -> Vec<(String, String)> {
    attributes.retain(|(key, _)| key != "__name__");
    if scope.name == REMOTE_WRITTEN {
        attributes.sort();
        attributes.dedup_by(|later, kept| later.0 == kept.0);
        attributes.retain(|(_, value)| !value.is_empty());
        return attributes;
    }
    let mut labels = joined(attributes, collisions);
    for (name, value) in &resource.promoted {
        let own = labels.entry(name.clone()).or_default();
        if own.is_empty() {
            own.clone_from(value);
        }
    }
    resource.identify(&mut labels);
    if !scope.name.is_empty() {
        for (key, value) in value::of_object(scope.attributes, scope.attribute_types) {
            labels.extend(label::name(&format!("otel_scope_{key}")).map(|name| (name, value)));
        }
        let told = [("name", scope.name), ("version", scope.version), ("schema_url", scope.schema_url)];
        labels.extend(told.map(|(key, value)| (format!("otel_scope_{key}"), value.to_owned())));
    }
    labels.retain(|_, value| !value.is_empty());
    labels.into_iter().collect()
}

/// Attributes under plain names. Of those that have one name the values are joined, in the order of their keys.
fn joined(mut attributes: Vec<(String, String)>, collisions: &mut Vec<String>) -> BTreeMap<String, String> {
    attributes.sort();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in attributes {
        let Some(name) = label::name(&key) else { continue };
        let own = labels.entry(name.clone()).or_default();
        if own.is_empty() {
            *own = value;
            continue;
        }
        own.push(';');
        own.push_str(&value);
        if !collisions.contains(&name) {
            collisions.push(name);
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = r#"{"host.name":"h","k8s.namespace.name":"prod","k8s.pod.name":"cart-1","service.instance.id":"i-1","service.name":"cart","service.namespace":"shop"}"#;

    fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn of(
        resource: &str,
        scope: Scope<'_>,
        attributes: &[(&str, &str)],
    ) -> (Vec<(String, String)>, Vec<String>) {
        let types = "s".repeat(8);
        let mut collisions = Vec::new();
        let labels = labels(
            &ResourceLabels::of(resource, &types, &Promoted::default()),
            scope,
            own(attributes),
            &mut collisions,
        );
        (labels, collisions)
    }

    #[test]
    fn a_series_is_labelled_by_resource_scope_and_attributes() {
        let scope = Scope {
            name: "lib",
            version: "1.2",
            schema_url: "",
            attributes: r#"{"a.b":"c"}"#,
            attribute_types: "s",
        };
        let (labels, collisions) =
            of(RESOURCE, scope, &[("http.method", "GET"), ("pod", "own"), ("job", "lost")]);
        let want = own(&[
            ("http_method", "GET"),
            ("instance", "i-1"),
            ("job", "shop/cart"),
            ("k8s_namespace_name", "prod"),
            ("k8s_pod_name", "cart-1"),
            ("namespace", "prod"),
            ("otel_scope_a_b", "c"),
            ("otel_scope_name", "lib"),
            ("otel_scope_version", "1.2"),
            ("pod", "own"),
            ("service_instance_id", "i-1"),
            ("service_name", "cart"),
            ("service_namespace", "shop"),
        ]);
        assert_eq!((labels, collisions), (want, vec![]));
    }

    #[test]
    fn only_attributes_that_are_configured_are_promoted() {
        let promoted = Promoted::from(vec!["host.name".to_owned(), "absent".to_owned()]);
        let resource = ResourceLabels::of(RESOURCE, &"s".repeat(6), &promoted);
        let labels = labels(&resource, Scope::default(), Vec::new(), &mut Vec::new());
        let want = [
            ("host_name", "h"),
            ("instance", "i-1"),
            ("job", "shop/cart"),
            ("namespace", "prod"),
            ("pod", "cart-1"),
        ];
        assert_eq!(labels, own(&want));
    }

    /// `a-b`, `a.b` and `a_b` are one label; the bytes `-`, `.` and `_` come in that order.
    #[test]
    fn values_of_attributes_with_one_name_are_joined() {
        let (labels, collisions) =
            of("{}", Scope::default(), &[("a_b", "3"), ("a.b", "2"), ("a-b", "1"), ("__name__", "x")]);
        assert_eq!((labels, collisions), (own(&[("a_b", "1;2;3")]), vec!["a_b".to_owned()]));
    }

    #[test]
    fn remote_written_labels_stay_as_they_are() {
        let scope = Scope { name: REMOTE_WRITTEN, ..Scope::default() };
        let (labels, _) = of(RESOURCE, scope, &[("job", "node"), ("ä.b", "1"), ("a_", "2")]);
        assert_eq!(labels, own(&[("a_", "2"), ("job", "node"), ("ä.b", "1")]));
    }

    #[test]
    fn a_target_tells_what_does_not_identify_it() {
        let target = ResourceLabels::of_target(RESOURCE, &"s".repeat(6)).expect("it has more than a name");
        let want = own(&[
            ("host_name", "h"),
            ("instance", "i-1"),
            ("job", "shop/cart"),
            ("k8s_namespace_name", "prod"),
            ("k8s_pod_name", "cart-1"),
        ]);
        assert_eq!(target, want);
        for silent in [r#"{"service.name":"a"}"#, r#"{"host.name":"h"}"#, "{}"] {
            assert_eq!(ResourceLabels::of_target(silent, "s"), None, "{silent}");
        }
    }
}
