//! Metadata of the workload at the far end, a fact at a time, as Istio's proxies can write it into a line.

use std::borrow::Cow;

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
    let facts = peer.get_or_insert_default();
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
