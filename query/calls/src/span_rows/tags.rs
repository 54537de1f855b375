//! What only a proxy's span says, all of it in plain attributes.
//!
//! Sources: istio pilot/pkg/networking/core/tracing.go for the tags, Envoy's tracing documentation for `node_id`,
//! `upstream_cluster` and `response_flags`.

use meshlake_schema::ResponseFlags;
use meshlake_schema::rows::Attributes;

use crate::hosts::{cluster_host, is_own_cluster, kubernetes, telling_port};
use crate::party::PartyName;
use crate::proxy_flags;
use crate::spans::Role;

/// Everything that is read of plain attributes.
pub const KEYS: [&str; 6] =
    [UPSTREAM_CLUSTER, NODE_ID, CANONICAL_SERVICE, NAMESPACE, CANONICAL_REVISION, RESPONSE_FLAGS];

const UPSTREAM_CLUSTER: &str = "upstream_cluster";
const NODE_ID: &str = "node_id";
const CANONICAL_SERVICE: &str = "istio.canonical_service";
const NAMESPACE: &str = "istio.namespace";
const CANONICAL_REVISION: &str = "istio.canonical_revision";
const RESPONSE_FLAGS: &str = "response_flags";

/// The tags of a proxy's span that tell of calls.
#[derive(Default)]
pub struct ProxyTags<'a> {
    pub upstream_cluster: Option<&'a str>,
    service: Option<&'a str>,
    namespace: Option<&'a str>,
    pub version: Option<&'a str>,
    /// The pod, where the proxy's node id tells it.
    pub instance: Option<&'a str>,
    pub is_gateway: bool,
    is_waypoint: bool,
    /// One side stopped waiting.
    pub is_cancelled: bool,
    /// The call never left the proxy.
    pub is_refused: bool,
}

impl<'a> ProxyTags<'a> {
    pub fn of(attributes: &Attributes<'a>, row: usize) -> Self {
        let tag =
            |key: &str| attributes.get(row, key).filter(|value| !value.is_empty() && *value != "unknown");
        let upstream_cluster = tag(UPSTREAM_CLUSTER);
        let node = tag(NODE_ID).unwrap_or_default();
        let flags = tag(RESPONSE_FLAGS).map(ResponseFlags::from_short_names).unwrap_or_default();
        ProxyTags {
            upstream_cluster,
            service: tag(CANONICAL_SERVICE),
            namespace: tag(NAMESPACE),
            version: tag(CANONICAL_REVISION),
            // `<type>~<address>~<pod>.<namespace>~<domain>`
            instance: node.split('~').nth(2).and_then(|pod| pod.rsplit_once('.')).map(|(pod, _)| pod),
            is_gateway: node.starts_with("router~"),
            is_waypoint: node.starts_with("waypoint~")
                || upstream_cluster.is_some_and(|cluster| cluster.starts_with("inbound-vip|")),
            is_cancelled: proxy_flags::is_cancelled(flags),
            is_refused: proxy_flags::is_refused(flags),
        }
    }

    /// A waypoint is transparent: the service behind it received the call.
    pub fn is_waypoint(&self) -> bool {
        self.is_waypoint && self.upstream_cluster.and_then(cluster_host).is_some()
    }

    /// Whom the span speaks for; `service` and `namespace` are those of its resource.
    pub fn party<'b>(&self, service: Option<&'b str>, namespace: Option<&'b str>) -> PartyName<'b>
    where
        'a: 'b,
    {
        if let Some(at) = self.upstream_cluster.and_then(cluster_host).filter(|_| self.is_waypoint) {
            let (name, namespace) =
                kubernetes(at.host).map_or((at.host, None), |(name, ns)| (name, Some(ns)));
            let port = if namespace.is_none() { telling_port(at.port) } else { 0 };
            return PartyName { name, namespace, port, ..PartyName::default() };
        }
        PartyName {
            name: self.service.or(service).unwrap_or(super::UNKNOWN_SERVICE),
            namespace: self.namespace.or(namespace),
            ..PartyName::default()
        }
    }

    /// With `spawn_upstream_span`, Envoy calls the outer span of an outbound listener SERVER though it
    /// stands for a call that was made, and the inner one of an inbound listener CLIENT though it only
    /// hands the call to its own application. A waypoint's spans all stand for what the service behind received.
    pub fn role(&self, role: Role) -> Role {
        let cluster = self.upstream_cluster.unwrap_or_default();
        match role {
            Role::Received | Role::Made if self.is_waypoint() => Role::Received,
            Role::Received if cluster.starts_with("outbound|") && !self.is_gateway => Role::Made,
            Role::Made if is_own_cluster(cluster) && !self.is_gateway => Role::Internal,
            role => role,
        }
    }
}
