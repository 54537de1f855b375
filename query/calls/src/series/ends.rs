//! What labels say of caller and callee, in Istio's words, none of them empty: Prometheus drops empty labels, and Kiali
//! leaves out series that lack one.
//!
//! What nothing tells is `unknown`, and a revision `latest`, as Istio has it. A service that tells of itself and names no
//! workload, as an SDK does, is its own workload, as it is in a graph by workloads.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::catch_all;
use crate::cells::Book;
use crate::nodes::NodeKind;
use crate::party::{Marks, Party, PartyId};
use crate::placed::Placed;
use crate::services::{Service, ServiceId, Services};

pub const UNKNOWN: &str = "unknown";

/// Source: Istio, `pkg/model`, the canonical revision of a workload without one.
const REVISION: &str = "latest";

/// The domain of services in a cluster where nothing else is told. Source: Kubernetes, "DNS for Services and Pods".
const DOMAIN: &str = "svc.cluster.local";

/// One end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End<'a> {
    pub kind: NodeKind,
    /// Of the service, as far as anything tells it.
    pub name: &'a str,
    pub namespace: &'a str,
    pub workload: Cow<'a, str>,
    pub revision: &'a str,
    pub version: &'a str,
    /// What a service graph calls it.
    pub node: Cow<'a, str>,
}

impl End<'_> {
    /// The host that a service is called by in its cluster; of what is none, its name.
    pub fn host(&self) -> String {
        if self.kind.reports() && self.namespace != UNKNOWN {
            format!("{}.{}.{DOMAIN}", self.name, self.namespace)
        } else {
            self.name.to_owned()
        }
    }

    /// What a caller's proxy that knew no service calls the callee; its name elsewhere.
    pub fn service_name(&self, catch_all: Option<&str>) -> &str {
        match catch_all {
            Some(catch_all::PASSTHROUGH) if !self.kind.reports() => "PassthroughCluster",
            Some(catch_all::BLACK_HOLE) if !self.kind.reports() => "BlackHoleCluster",
            _ => self.name,
        }
    }
}

/// Names of all ends of one chunk.
pub struct Ends<'a> {
    book: &'a Book,
    services: &'a Services,
    /// The workload and version of a service that has only one, for whom its callers know by another name.
    only: HashMap<ServiceId, Option<PartyId>>,
}

impl<'a> Ends<'a> {
    pub fn of(book: &'a Book, services: &'a Services, cells: &[Placed]) -> Self {
        let mut only: HashMap<ServiceId, Option<PartyId>> = HashMap::new();
        let own = |party: PartyId| book.parties.party(party);
        let ends = cells.iter().flat_map(|cell| {
            let source = cell.caller.map(|caller| (caller, cell.line.source));
            source.into_iter().chain([(cell.target, cell.line.destination)])
        });
        for (service, party) in ends.filter(|(_, party)| own(*party).marks.has(Marks::OBSERVED)) {
            let known = only.entry(service).or_insert(Some(party));
            let is_other = known.is_some_and(|known| !is_same_part(own(known), own(party)));
            if is_other {
                *known = None;
            }
        }
        Ends { book, services, only }
    }

    /// What is told of a service where a cell calls it `party`.
    pub fn end(&self, service: ServiceId, party: PartyId) -> End<'a> {
        let held = self.services.service(service);
        let told = self.book.parties.party(party);
        let is_bare = told.workload.is_none() && !told.marks.has(Marks::OBSERVED);
        let only = self.only.get(&service).copied().flatten().filter(|_| is_bare);
        self.named(service, held, only.map_or(told, |only| self.book.parties.party(only)))
    }

    fn named(&self, id: ServiceId, service: &'a Service, part: &'a Party) -> End<'a> {
        let kind = NodeKind::of(service);
        let is_known = kind != NodeKind::Client && service.name != UNKNOWN && !service.name.is_empty();
        let name = if is_known { service.name.as_str() } else { UNKNOWN };
        let own_workload = (kind.reports() && service.marks.has(Marks::OBSERVED)).then_some(name);
        let node = match service.owner {
            Some(_) => Cow::Owned(self.services.plain_id(id)),
            None => Cow::Borrowed(service.name.as_str()),
        };
        End {
            kind,
            name,
            namespace: service.namespace.as_deref().filter(|_| is_known).unwrap_or(UNKNOWN),
            workload: Cow::Borrowed(part.workload.as_deref().or(own_workload).unwrap_or(UNKNOWN)),
            revision: part.version.as_deref().unwrap_or(REVISION),
            version: part.version.as_deref().unwrap_or(UNKNOWN),
            node,
        }
    }
}

fn is_same_part(a: &Party, b: &Party) -> bool {
    (&a.workload, &a.version) == (&b.workload, &b.version)
}
