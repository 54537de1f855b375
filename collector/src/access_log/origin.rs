//! Where lines come from, as far as they do not say it themselves.

use super::{LineFormat, Program};
use crate::normalize::requests::proxy::{ProxyIdentity, ProxyKind, WorkloadFacts};

/// Where lines come from: what configuration, a file's path or a sender says once for all of them. Empty text means that
/// nothing was said.
#[derive(Debug, Clone, Default)]
pub struct LineOrigin {
    /// `None`: each line is recognised by itself, among the known formats.
    pub format: Option<LineFormat>,
    /// Of the proxy that logs: its own application's, where it stands beside one.
    pub service: String,
    pub namespace: String,
    pub workload: String,
    pub version: String,
    /// The pod, or the host.
    pub instance: String,
    /// The Kubernetes cluster.
    pub cluster: String,
    /// `None`: as the format has it.
    pub kind: Option<ProxyKind>,
    /// Seconds east of UTC of times that are written without a zone.
    pub offset_seconds: i32,
    /// The `#Fields` line in force where the lines begin, of a file in W3C's format; empty: none is known.
    pub fields: String,
    /// Whether they are of the middle of a file, and nobody has said which fields stand at its head: none are guessed.
    pub lacks_head: bool,
    /// Goes to the attribute `log.file.path` of every row.
    pub log_path: String,
}

impl LineOrigin {
    /// Who the proxy is, for lines that `program` wrote.
    pub(super) fn proxy(&self, program: Program) -> ProxyIdentity {
        let facts = WorkloadFacts {
            instance: (&*self.instance).into(),
            namespace: (&*self.namespace).into(),
            workload: (&*self.workload).into(),
            cluster: (&*self.cluster).into(),
            version: (&*self.version).into(),
            ..WorkloadFacts::default()
        };
        let says_who = !self.service.is_empty() || !self.workload.is_empty() || !self.instance.is_empty();
        // A program that nobody has named is at least itself.
        let service = if says_who { &*self.service } else { program.service };
        let proxy = ProxyIdentity::new("", service, facts).with_attribute("log.file.path", &self.log_path);
        ProxyIdentity { kind: self.kind.unwrap_or(program.kind), ..proxy }
    }
}
