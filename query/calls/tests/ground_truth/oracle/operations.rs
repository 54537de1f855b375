//! What operators are to be told of what happened, as far as access logs tell of it.

use std::collections::BTreeMap;

use super::figures::Label;
use super::names::{far_end, service_label};
use super::{FROM, TO};
use crate::mesh::Service;
use crate::story::{Call, Story, Target, Verdict};

/// Calls by what names them, `kind name` for nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// What ended or repeated calls: caller, callee, who tells, reason. What the callee tells is told of all callers.
    pub ended: BTreeMap<[String; 4], i64>,
    /// What gateways passed on: gateway, host, service behind it.
    pub passed_on: BTreeMap<[String; 3], i64>,
    /// What arrived at services with a sidecar, none of which know TLS.
    pub plaintext: BTreeMap<String, i64>,
    /// What left for hosts outside, past the mesh's own knowledge: caller, host.
    pub passed_through: BTreeMap<[String; 2], i64>,
}

/// Counts the calls of the range.
pub fn operations(story: &Story) -> Operations {
    let mut told = Operations::default();
    let calls = story.traces.iter().flat_map(|trace| trace.calls());
    for call in calls.filter(|call| (FROM..TO).contains(&call.start)) {
        told.made(call, story);
        told.received(call, story);
    }
    told
}

impl Operations {
    fn made(&mut self, call: &Call, story: &Story) {
        let Some(caller) = call.caller.map(|place| &story.mesh.services[place.service]) else { return };
        if !caller.logs_made() || matches!(call.target, Target::Store(_) | Target::Queue(_)) {
            return;
        }
        let target = match call.tries.last() {
            Some(last) => service_label(&story.mesh.services[last.at.service]),
            None => far_end(&story.mesh, call.target),
        };
        let ends = [label_of(caller), named(&target)];
        let flag = match (call.refusal, call.verdict) {
            (Some(refusal), _) => Some(refusal.flag()),
            (None, Verdict::TimedOut) => Some("UT"),
            (None, _) => None,
        };
        let [client, server] = ends.clone();
        let mut end = |reason: &str, calls| {
            let key = [client.clone(), server.clone(), "client".to_owned(), reason.to_owned()];
            *self.ended.entry(key).or_default() += calls;
        };
        flag.into_iter().for_each(|flag| end(flag, 1));
        if call.tries.len() > 1 {
            end("retried", call.tries.len() as i64 - 1);
        }
        if matches!(call.target, Target::Host(_)) {
            *self.passed_through.entry(ends).or_default() += 1;
        }
    }

    fn received(&mut self, call: &Call, story: &Story) {
        let Target::Service(_) = call.target else { return };
        for tried in &call.tries {
            let service = &story.mesh.services[tried.at.service];
            if !service.logs_received() {
                continue;
            }
            let label = label_of(service);
            if service.is_gateway {
                tried.calls.iter().for_each(|inner| self.pass_on(&label, service, inner, story));
                continue;
            }
            let reason = match tried.verdict {
                Verdict::TimedOut => Some("DC"),
                Verdict::GrpcExhausted => Some("grpc_8"),
                _ => None,
            };
            if let Some(reason) = reason {
                let key = [String::new(), label.clone(), "server".to_owned(), reason.to_owned()];
                *self.ended.entry(key).or_default() += 1;
            }
            if has_own_proxy(service) {
                *self.plaintext.entry(label).or_default() += 1;
            }
        }
    }

    /// A gateway has one row for what it received and what it made of it, with the host of the latter.
    fn pass_on(&mut self, label: &str, gateway: &Service, inner: &Call, story: &Story) {
        let Target::Service(to) = inner.target else { return };
        let to = &story.mesh.services[to];
        let other = to.namespace.as_ref().filter(|namespace| gateway.namespace.as_ref() != Some(*namespace));
        let host = other.map_or_else(|| to.host.clone(), |namespace| format!("{}.{namespace}", to.host));
        *self.passed_on.entry([label.to_owned(), host, label_of(to)]).or_default() += 1;
    }
}

/// Whether what logs is beside the application, and logs requests: a waypoint knows its callers by their tunnels.
pub fn has_own_proxy(service: &Service) -> bool {
    service.logs_received() && !service.is_gateway && !service.is_tcp && !service.is_ambient
}

pub fn label_of(service: &Service) -> String {
    named(&service_label(service))
}

fn named(label: &Label) -> String {
    format!("{} {}", label.kind, label.name)
}
