//! Metadata of the workload at the far end, a fact at a time, as Istio's proxies can write it into a line.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::reading::{PeerEnd, Reading};

/// What metadata says of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerFact {
    Instance,
    Namespace,
    Workload,
    Cluster,
    Service,
    Revision,
    App,
    Version,
    Principal,
}

impl PeerFact {
    /// The fact by its name in the flat vocabulary of Istio 1.24 and later, or in that of node metadata.
    pub(super) fn named(name: &str) -> Option<PeerFact> {
        Some(match name {
            "name" | "NAME" => PeerFact::Instance,
            "namespace" | "NAMESPACE" => PeerFact::Namespace,
            "workload" | "WORKLOAD_NAME" => PeerFact::Workload,
            "cluster" | "CLUSTER_ID" => PeerFact::Cluster,
            "service" => PeerFact::Service,
            "revision" => PeerFact::Revision,
            "app" => PeerFact::App,
            "version" => PeerFact::Version,
            "identity" | "IDENTITY" => PeerFact::Principal,
            _ => return None,
        })
    }
}

pub(super) fn set_peer<'a>(end: PeerEnd, fact: PeerFact, text: Cow<'a, str>, to: &mut Reading<'a>) {
    let peer = match end {
        PeerEnd::Upstream => &mut to.seen.upstream_peer,
        PeerEnd::Downstream => &mut to.seen.downstream_peer,
    };
    let facts = Arc::make_mut(peer.get_or_insert_default());
    let slot = match fact {
        PeerFact::Instance => &mut facts.instance,
        PeerFact::Namespace => &mut facts.namespace,
        PeerFact::Workload => &mut facts.workload,
        PeerFact::Cluster => &mut facts.cluster,
        PeerFact::Service => &mut facts.canonical_name,
        PeerFact::Revision => &mut facts.canonical_revision,
        PeerFact::App => &mut facts.app,
        PeerFact::Version => &mut facts.version,
        PeerFact::Principal => &mut facts.principal,
    };
    *slot = text;
}

/// Takes in a whole `Struct` of metadata in either vocabulary, as Envoy writes filter state as text: JSON, in an `Any` or by
/// itself. Any other text is kept as an attribute.
pub(super) fn set_peer_object(end: PeerEnd, text: &str, to: &mut Reading<'_>) {
    let json = serde_json::from_str::<Value>(text).unwrap_or_default();
    let Some(members) = json.get("value").unwrap_or(&json).as_object() else {
        let name = match end {
            PeerEnd::Upstream => "upstream_peer",
            PeerEnd::Downstream => "downstream_peer",
        };
        return to.attributes.push_text("filter_state.", name, text);
    };
    for (key, value) in members {
        if let (Some(fact), Some(text)) = (PeerFact::named(key), value.as_str()) {
            set_peer(end, fact, text.to_owned().into(), to);
        }
    }
    let labels = members.get("labels").or_else(|| members.get("LABELS")).and_then(Value::as_object);
    let peer = match end {
        PeerEnd::Upstream => &mut to.seen.upstream_peer,
        PeerEnd::Downstream => &mut to.seen.downstream_peer,
    };
    for (key, value) in labels.into_iter().flatten() {
        let facts = Arc::make_mut(peer.get_or_insert_default());
        facts.set_label(key, value.as_str().unwrap_or_default().to_owned().into());
    }
}
