//! How an Istio proxy introduces itself on an access log stream, and how it describes the other end of a call.
//!
//! Keys and shapes are those that were seen from Istio 1.27 proxies: the node's metadata in capitals, the peer
//! (`upstream_peer`, `downstream_peer`; since Istio 1.24) flat in small letters.

use std::collections::HashMap;

use prost::Message;

use super::envoy_messages::{Any, Identifier, Kind, Locality, Node, Struct, Value};
use super::mesh::Instance;

const LOG_NAME: &str = "http_envoy_accesslog";
const CLUSTER: &str = "Kubernetes";
const REGION: &str = "us-west1";
const ZONE: &str = "us-west1-a";

/// The identifier of a stream's first message.
pub fn identifier(instance: &Instance) -> Identifier {
    let node_type = if instance.is_gateway() { "router" } else { "sidecar" };
    let namespace = instance.namespace;
    let node = Node {
        id: format!("{node_type}~{}~{}.{namespace}~{namespace}.svc.cluster.local", instance.ip, instance.pod),
        cluster: format!("{}.{namespace}", instance.service),
        metadata: Some(metadata(instance)),
        locality: Some(Locality { region: REGION.to_owned(), zone: ZONE.to_owned() }),
        user_agent_name: "envoy".to_owned(),
    };
    Identifier { node: Some(node), log_name: LOG_NAME.to_owned() }
}

fn metadata(instance: &Instance) -> Struct {
    let namespace = instance.namespace;
    let labels = fields(&[
        ("app", instance.service),
        ("version", instance.version),
        ("service.istio.io/canonical-name", instance.service),
        ("service.istio.io/canonical-revision", instance.version),
        ("security.istio.io/tlsMode", "istio"),
    ]);
    let mut metadata = fields(&[
        ("NAME", &instance.pod),
        ("NAMESPACE", namespace),
        ("WORKLOAD_NAME", &instance.workload),
        (
            "OWNER",
            &format!("kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{}", instance.workload),
        ),
        ("CLUSTER_ID", CLUSTER),
        ("MESH_ID", "cluster.local"),
        ("SERVICE_ACCOUNT", &instance.service_account()),
        ("INSTANCE_IPS", &instance.ip.to_string()),
        ("ISTIO_VERSION", &instance.proxy_version()),
    ]);
    metadata.fields.insert("LABELS".to_owned(), Value { kind: Some(Kind::StructValue(labels)) });
    metadata
}

/// The filter state that describes a pod as a peer.
pub fn peer(instance: &Instance) -> Any {
    let described = fields(&[
        ("workload", &instance.workload),
        ("type", "deployment"),
        ("name", &instance.pod),
        ("cluster", CLUSTER),
        ("namespace", instance.namespace),
        ("service", instance.service),
        ("revision", instance.version),
        ("app", instance.service),
        ("version", instance.version),
        ("identity", &instance.principal()),
        ("region", REGION),
        ("availability_zone", ZONE),
    ]);
    Any {
        type_url: "type.googleapis.com/google.protobuf.Struct".to_owned(),
        value: described.encode_to_vec(),
    }
}

fn fields(pairs: &[(&str, &str)]) -> Struct {
    let value = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields: HashMap<_, _> = pairs.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    Struct { fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::mesh::{GATEWAY, Mesh, RATINGS};

    #[test]
    fn a_sidecar_says_where_it_runs() {
        let mesh = Mesh::bookinfo();
        let pod = mesh.instance(mesh.pods_of(RATINGS, None)[0]);
        let node = identifier(pod).node.expect("a node");
        assert_eq!(node.id, format!("sidecar~{}~{}.default~default.svc.cluster.local", pod.ip, pod.pod));
        assert_eq!(node.cluster, "ratings.default");
        let metadata = node.metadata.expect("metadata").fields;
        let Some(Kind::StructValue(labels)) = &metadata["LABELS"].kind else { panic!("labels are a struct") };
        let revision = labels.fields["service.istio.io/canonical-revision"].kind.clone();
        assert_eq!(revision, Some(Kind::StringValue("v1".to_owned())));
    }

    #[test]
    fn the_gateway_is_a_router() {
        let mesh = Mesh::bookinfo();
        let gateway = mesh.instance(mesh.pods_of(GATEWAY, None)[0]);
        let node = identifier(gateway).node.expect("a node");
        assert!(node.id.starts_with("router~10.244.0.10~istio-ingressgateway-"), "{}", node.id);
        assert!(node.id.ends_with(".istio-system~istio-system.svc.cluster.local"), "{}", node.id);
    }
}
