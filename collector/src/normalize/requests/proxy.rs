//! Who a proxy is, and what Istio's metadata says about a workload.
//!
//! The same facts describe a proxy itself (its node metadata) and its peers (metadata exchanged with each
//! request), so one set of rules names both; an edge then has the same names from either end.
//!
//! Sources: Istio `pilot/pkg/model/context.go` (node id), `pkg/workload` and the labels that define the
//! canonical service and revision (`service.istio.io/canonical-name`, then `app.kubernetes.io/name`, `app`,
//! the workload's name; `service.istio.io/canonical-revision`, then `app.kubernetes.io/version`, `version`).

use std::borrow::Cow;

use super::hosts::workload_of_pod;

/// Bytes of each text that is known of a proxy, longer ones are cut: they are in every row that it sends. Names of
/// Kubernetes have at most 253; Istio's node ids are three of those.
const IDENTITY_BYTES_MAX: usize = 1 << 10;

/// Addresses that are known of a proxy. Pods have one for each family, hosts of gateways a few more.
const ADDRESSES_MAX: usize = 32;

/// A workload as metadata describes it. Empty text means that nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadFacts<'a> {
    /// The instance: a pod's name.
    pub instance: Cow<'a, str>,
    pub namespace: Cow<'a, str>,
    pub workload: Cow<'a, str>,
    /// `kubernetes://apis/apps/v1/namespaces/<namespace>/deployments/<name>`.
    pub owner: Cow<'a, str>,
    /// The Kubernetes cluster.
    pub cluster: Cow<'a, str>,
    /// SPIFFE identity.
    pub principal: Cow<'a, str>,
    /// IP addresses, comma separated.
    pub addresses: Cow<'a, str>,
    pub canonical_name: Cow<'a, str>,
    pub app_name: Cow<'a, str>,
    pub app: Cow<'a, str>,
    pub canonical_revision: Cow<'a, str>,
    pub app_version: Cow<'a, str>,
    pub version: Cow<'a, str>,
    /// Release of the proxy itself.
    pub proxy_version: Cow<'a, str>,
    /// Whether all of this was read off a node id, which names no more than the pod.
    pub from_node_id: bool,
}

impl<'a> WorkloadFacts<'a> {
    /// What a node id says; `None` when it is not one of Istio's.
    pub fn from_node_id(id: &'a str) -> Option<Self> {
        let node = NodeId::parse(id)?;
        Some(WorkloadFacts {
            instance: node.instance.into(),
            namespace: node.namespace.into(),
            addresses: node.address.into(),
            from_node_id: true,
            ..WorkloadFacts::default()
        })
    }

    /// The same facts, held apart from the payload that they were read from.
    pub fn into_owned(self) -> WorkloadFacts<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        WorkloadFacts {
            instance: owned(self.instance),
            namespace: owned(self.namespace),
            workload: owned(self.workload),
            owner: owned(self.owner),
            cluster: owned(self.cluster),
            principal: owned(self.principal),
            addresses: owned(self.addresses),
            canonical_name: owned(self.canonical_name),
            app_name: owned(self.app_name),
            app: owned(self.app),
            canonical_revision: owned(self.canonical_revision),
            app_version: owned(self.app_version),
            version: owned(self.version),
            proxy_version: owned(self.proxy_version),
            from_node_id: self.from_node_id,
        }
    }

    /// Takes a Kubernetes label that names the service or its version; ignores others.
    pub fn set_label(&mut self, key: &str, value: Cow<'a, str>) {
        match key {
            "service.istio.io/canonical-name" => self.canonical_name = value,
            "app.kubernetes.io/name" => self.app_name = value,
            "app" => self.app = value,
            "service.istio.io/canonical-revision" => self.canonical_revision = value,
            "app.kubernetes.io/version" => self.app_version = value,
            "version" => self.version = value,
            _ => {}
        }
    }

    pub(super) fn service(&self) -> &str {
        match first_known([&self.canonical_name, &self.app_name, &self.app]) {
            "" => self.workload(),
            named => named,
        }
    }

    pub(super) fn workload(&self) -> &str {
        // Most peers say it; taking the other names apart costs more than all else that is asked of a peer.
        if !self.workload.is_empty() {
            return &self.workload;
        }
        match self.owner.rsplit('/').next().unwrap_or_default() {
            "" => workload_of_pod(&self.instance),
            owner => owner,
        }
    }

    pub(super) fn version(&self) -> &str {
        first_known([&self.canonical_revision, &self.app_version, &self.version])
    }

    pub(super) fn address(&self) -> &str {
        self.addresses.split(',').next().unwrap_or_default()
    }
}

/// The first text that is not empty.
pub(super) fn first_known<const N: usize>(texts: [&str; N]) -> &str {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// What is kept of a text that every row of a proxy has.
fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(IDENTITY_BYTES_MAX)].to_owned()
}

/// The release in what Envoy says of its build, `<revision>/<release>/<state>/<kind>/<TLS library>`; all of another text.
/// Source: Envoy, `source/common/version/version.cc`.
pub fn release_of_build(build: &str) -> &str {
    build.split('/').nth(1).unwrap_or(build)
}

/// An Istio node id: `<type>~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NodeId<'a> {
    kind: &'a str,
    address: &'a str,
    instance: &'a str,
    namespace: &'a str,
}

impl<'a> NodeId<'a> {
    fn parse(id: &'a str) -> Option<Self> {
        let mut parts = id.splitn(4, '~');
        let (kind, address) = (parts.next()?, parts.next()?);
        let (instance, namespace) = parts.next()?.rsplit_once('.')?;
        parts.next()?;
        Some(NodeId { kind, address, instance, namespace })
    }
}

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// Stands beside one application and sees its calls out and in.
    Sidecar,
    /// Lets calls into or out of the mesh (Istio's `router`).
    Gateway,
    /// Stands before the services of a namespace in ambient mode.
    Waypoint,
    /// No Istio proxy: an Envoy whose operator gave it an id of his own.
    Plain,
}

/// The sender of a stream of access logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyIdentity {
    pub kind: ProxyKind,
    /// Envoy's node id.
    pub node_id: String,
    pub service: String,
    pub workload: String,
    pub namespace: String,
    pub version: String,
    pub cluster: String,
    pub instance: String,
    /// Release of the proxy itself; empty when it tells none.
    pub proxy_version: String,
    /// IP addresses of the proxy, which are those of its application.
    pub addresses: Vec<String>,
    /// What every row of the stream has in its attributes: log name, region, zone.
    pub attributes: Vec<(&'static str, String)>,
}

impl ProxyIdentity {
    /// Names a proxy from its node id, its node cluster (`<app>.<namespace>` in Istio, free text elsewhere)
    /// and its metadata.
    pub fn new(node_id: &str, node_cluster: &str, mut facts: WorkloadFacts<'_>) -> Self {
        let node = NodeId::parse(node_id);
        let kind = match node.map(|node| node.kind) {
            Some("router") => ProxyKind::Gateway,
            Some("waypoint") => ProxyKind::Waypoint,
            Some(_) => ProxyKind::Sidecar,
            None => ProxyKind::Plain,
        };
        let mut cluster_service = node_cluster;
        if let Some(node) = node {
            let known = |fact: &str, from_id: &str| first_known([fact, from_id]).to_owned();
            facts.instance = known(&facts.instance, node.instance).into();
            facts.namespace = known(&facts.namespace, node.namespace).into();
            facts.addresses = known(&facts.addresses, node.address).into();
            cluster_service = node_cluster
                .strip_suffix(&*facts.namespace)
                .and_then(|name| name.strip_suffix('.'))
                .unwrap_or(node_cluster);
        }
        // A workload's name serves as the service's only where nothing else does.
        let service = first_known([
            &facts.canonical_name,
            &facts.app_name,
            &facts.app,
            cluster_service,
            facts.workload(),
        ]);
        let addresses = facts.addresses.split(',').filter(|address| !address.is_empty());
        ProxyIdentity {
            kind,
            node_id: kept(node_id),
            service: kept(service),
            workload: kept(facts.workload()),
            namespace: kept(&facts.namespace),
            version: kept(facts.version()),
            cluster: kept(&facts.cluster),
            instance: kept(first_known([&facts.instance, node_id])),
            proxy_version: kept(&facts.proxy_version),
            addresses: addresses.take(ADDRESSES_MAX).map(kept).collect(),
            attributes: Vec::new(),
        }
    }

    /// Adds what every row of the stream has in its attributes; nothing when `value` is empty.
    #[must_use]
    pub fn with_attribute(mut self, key: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.attributes.push((key, kept(value)));
        }
        self
    }

    pub(super) fn is_istio(&self) -> bool {
        self.kind != ProxyKind::Plain
    }

    /// Whether `address` is one of the proxy's own.
    pub(super) fn has_address(&self, address: &str) -> bool {
        self.addresses.iter().any(|own| own == address)
    }

    /// Whether a peer is the proxy's own application: sidecars also report the metadata of that side.
    pub(super) fn is_self(&self, facts: &WorkloadFacts<'_>) -> bool {
        let same_pod = !facts.instance.is_empty()
            && facts.instance == self.instance
            && facts.namespace == self.namespace;
        same_pod || facts.addresses.split(',').any(|address| self.has_address(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDECAR: &str =
        "sidecar~10.244.0.11~productpage-v1-6b746f74dc-9rlmh.default~default.svc.cluster.local";

    #[test]
    fn a_node_id_alone_names_an_istio_proxy() {
        let proxy = ProxyIdentity::new(SIDECAR, "productpage.default", WorkloadFacts::default());
        assert_eq!(proxy.kind, ProxyKind::Sidecar);
        assert_eq!((proxy.service.as_str(), proxy.namespace.as_str()), ("productpage", "default"));
        assert_eq!(proxy.workload, "productpage-v1");
        assert_eq!(proxy.instance, "productpage-v1-6b746f74dc-9rlmh");
        assert_eq!(proxy.addresses, ["10.244.0.11"]);
    }

    #[test]
    fn labels_outrank_the_node_cluster() {
        let mut facts = WorkloadFacts { workload: "w".into(), ..WorkloadFacts::default() };
        facts.set_label("app", "by-app".into());
        facts.set_label("service.istio.io/canonical-name", "canonical".into());
        facts.set_label("version", "v9".into());
        let proxy = ProxyIdentity::new(SIDECAR, "cluster.default", facts);
        assert_eq!((proxy.service.as_str(), proxy.version.as_str()), ("canonical", "v9"));
    }

    #[test]
    fn what_every_row_repeats_is_bounded() {
        let long = "é".repeat(IDENTITY_BYTES_MAX);
        let addresses: Vec<_> = (0..=ADDRESSES_MAX).map(|number| format!("10.0.0.{number}")).collect();
        let facts = WorkloadFacts { addresses: addresses.join(",").into(), ..WorkloadFacts::default() };
        let proxy = ProxyIdentity::new(&long, &long, facts).with_attribute("log_name", &long);
        for text in [&proxy.node_id, &proxy.service, &proxy.instance, &proxy.attributes[0].1] {
            assert_eq!(text.len(), IDENTITY_BYTES_MAX);
        }
        assert_eq!(proxy.addresses, addresses[..ADDRESSES_MAX]);
    }

    #[test]
    fn a_build_names_its_release() {
        let build = "9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL";
        let releases = [build, "1.40.0", ""].map(release_of_build);
        assert_eq!(releases, ["1.40.0", "1.40.0", ""]);
    }

    #[test]
    fn kinds_by_node_id() {
        let kind = |id: &str| ProxyIdentity::new(id, "c", WorkloadFacts::default()).kind;
        assert_eq!(
            kind("router~10.0.0.1~gw-1.istio-system~istio-system.svc.cluster.local"),
            ProxyKind::Gateway
        );
        assert_eq!(kind("waypoint~10.0.0.1~w.default~default.svc.cluster.local"), ProxyKind::Waypoint);
        assert_eq!(kind("front-proxy-0"), ProxyKind::Plain);
        assert_eq!(kind(""), ProxyKind::Plain);
    }

    #[test]
    fn a_plain_envoy_is_named_by_its_node_cluster() {
        let proxy = ProxyIdentity::new("front-proxy-0", "front.proxy", WorkloadFacts::default());
        assert_eq!((proxy.service.as_str(), proxy.namespace.as_str()), ("front.proxy", ""));
        assert_eq!(proxy.instance, "front-proxy-0");
    }

    #[test]
    fn the_owner_names_the_workload_when_nothing_else_does() {
        let owner = "kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1";
        let facts = WorkloadFacts { owner: owner.into(), ..WorkloadFacts::default() };
        assert_eq!((facts.workload(), facts.service()), ("reviews-v1", "reviews-v1"));
    }

    #[test]
    fn the_own_application_is_known_by_pod_or_address() {
        let proxy = ProxyIdentity::new(SIDECAR, "productpage.default", WorkloadFacts::default());
        let by_id = |id| WorkloadFacts::from_node_id(id).expect("an Istio id");
        assert!(proxy.is_self(&by_id("sidecar~10.244.0.11~other.default~default.svc.cluster.local")));
        assert!(proxy.is_self(&by_id("sidecar~1.2.3.4~productpage-v1-6b746f74dc-9rlmh.default~x")));
        assert!(!proxy.is_self(&by_id("sidecar~1.2.3.4~other.default~default.svc.cluster.local")));
        assert!(!proxy.is_self(&WorkloadFacts::default()));
    }
}
