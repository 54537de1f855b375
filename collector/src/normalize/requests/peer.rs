//! One end of a call, and how sure its name is.
//!
//! Names borrow from the facts of the request or from the proxy's identity; nothing is copied before it reaches a column.

/// What told who the far end of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    PeerMetadata,
    NodeId,
    ClusterName,
    Certificate,
    ServerName,
    Authority,
    Address,
}

impl IdentitySource {
    pub const fn name(self) -> &'static str {
        match self {
            IdentitySource::PeerMetadata => "peer_metadata",
            IdentitySource::NodeId => "node_id",
            IdentitySource::ClusterName => "cluster_name",
            IdentitySource::Certificate => "certificate",
            IdentitySource::ServerName => "server_name",
            IdentitySource::Authority => "authority",
            IdentitySource::Address => "address",
        }
    }
}

/// One end of a call. Empty text means unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer<'a> {
    pub workload: &'a str,
    pub service: &'a str,
    pub namespace: &'a str,
    pub version: &'a str,
    /// The Kubernetes cluster.
    pub cluster: &'a str,
    pub principal: &'a str,
    pub instance: &'a str,
    /// IP address without port.
    pub address: &'a str,
}
