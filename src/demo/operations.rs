//! What operators are to be told of the mesh: who ended calls and why, what each pod received, what came in at the gateway,
//! and which version and which pod is the bad one.
//!
//! Every number is what one observer saw: a call that its caller's proxy gave up on is one whose caller is gone to the callee's,
//! and both are told.

use std::collections::BTreeMap;

use serde::Serialize;

use super::mesh::{EXTERNAL, InstanceId, Mesh, PUBLIC_HOST, RATINGS, REVIEWS};
use super::model::{Attempt, Call, Callee, Flag, ProxyReport, Visit};

/// The version that is slow.
const CANARY: &str = "v3";

/// The truth. Serialised as JSON for whoever compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationsTruth {
    /// Sorted by caller, callee, observer, reason.
    pub policies: Vec<PolicyTruth>,
    pub instances: Vec<InstanceTruth>,
    pub gateways: Vec<GatewayTruth>,
    /// Versions that are worse than the others of their service.
    pub worse: Vec<Bad>,
    /// Pods that get more than their share, and are slow for it.
    pub overloaded: Vec<Bad>,
    /// Calls that came without TLS, and that went to where proxies know no service. Sorted by caller, callee.
    pub dark: Vec<DarkTruth>,
}

/// Calls that the mesh does not protect or does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DarkTruth {
    pub client: String,
    pub server: String,
    /// `plaintext`, by the callee's proxy, or `passthrough`, by the caller's.
    pub kind: &'static str,
    pub requests: u64,
}

/// Calls that ended for a reason, as one observer told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyTruth {
    pub client: String,
    pub server: String,
    /// `client`, `server` or `gateway`.
    pub at: &'static str,
    /// A response flag, or `retried`.
    pub reason: &'static str,
    pub requests: u64,
}

/// What a pod's proxy received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceTruth {
    pub service: String,
    pub instance: String,
    pub requests: u64,
}

/// What the gateway was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayTruth {
    pub gateway: String,
    pub host: &'static str,
    pub requests: u64,
}

/// A part of a service: a version, or a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bad {
    pub service: String,
    pub part: String,
}

/// Caller, callee, observer, reason.
type Key = (String, String, &'static str, &'static str);

/// Adds up visits as they are sent.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    policies: BTreeMap<Key, u64>,
    received: BTreeMap<InstanceId, u64>,
    entered: BTreeMap<InstanceId, u64>,
    /// Caller, callee, kind.
    dark: BTreeMap<(String, String, &'static str), u64>,
}

impl Operations {
    pub fn add(&mut self, mesh: &Mesh, visit: &Visit) {
        *self.entered.entry(visit.entry.caller).or_default() += 1;
        self.add_call(mesh, &visit.entry);
    }

    fn add_call(&mut self, mesh: &Mesh, call: &Call) {
        let caller = mesh.instance(call.caller);
        if let (Some(seen), Callee::Service { name, .. }) = (&call.outbound, call.callee) {
            let at = if caller.is_gateway() { "gateway" } else { "client" };
            let callee = mesh.pods_of(name, None).first().map(|pod| mesh.instance(*pod).node());
            let ends = (caller.node(), callee.expect("every service that is called has pods"));
            self.ended(&ends, at, seen);
            let retries = u64::from(seen.attempts.saturating_sub(1));
            if retries > 0 {
                *self.policies.entry((ends.0, ends.1, at, "retried")).or_default() += retries;
            }
        }
        if call.callee == Callee::External && call.outbound.is_some() {
            *self.dark.entry((caller.node(), EXTERNAL.to_owned(), "passthrough")).or_default() += 1;
        }
        call.attempts.iter().for_each(|attempt| self.add_attempt(mesh, call, attempt));
    }

    fn add_attempt(&mut self, mesh: &Mesh, call: &Call, attempt: &Attempt) {
        if let Some(seen) = &attempt.inbound {
            *self.received.entry(attempt.server).or_default() += 1;
            let caller = mesh.instance(call.caller);
            let ends = (caller.node(), mesh.instance(attempt.server).node());
            self.ended(&ends, "server", seen);
            if !caller.is_protected() {
                *self.dark.entry((ends.0, ends.1, "plaintext")).or_default() += 1;
            }
        }
        attempt.calls.iter().for_each(|inner| self.add_call(mesh, inner));
    }

    fn ended(&mut self, ends: &(String, String), at: &'static str, seen: &ProxyReport) {
        if let Some(flag) = seen.flag {
            let key = (ends.0.clone(), ends.1.clone(), at, short_name(flag));
            *self.policies.entry(key).or_default() += 1;
        }
    }

    /// The sums of all that was added.
    pub fn truth(&self, mesh: &Mesh) -> OperationsTruth {
        let policy = |((client, server, at, reason), requests): (&Key, &u64)| PolicyTruth {
            client: client.clone(),
            server: server.clone(),
            at,
            reason,
            requests: *requests,
        };
        let instance = |(pod, requests): (&InstanceId, &u64)| InstanceTruth {
            service: mesh.instance(*pod).node(),
            instance: mesh.instance(*pod).pod.clone(),
            requests: *requests,
        };
        let gateway = |(pod, requests): (&InstanceId, &u64)| GatewayTruth {
            gateway: mesh.instance(*pod).node(),
            host: PUBLIC_HOST,
            requests: *requests,
        };
        let dark = |((client, server, kind), requests): (&(String, String, &'static str), &u64)| DarkTruth {
            client: client.clone(),
            server: server.clone(),
            kind,
            requests: *requests,
        };
        let part =
            |pod: &InstanceId, part: &str| Bad { service: mesh.instance(*pod).node(), part: part.to_owned() };
        let canaries = mesh.pods_of(REVIEWS, Some(CANARY));
        let favoured = mesh.pods_of(RATINGS, None);
        OperationsTruth {
            policies: self.policies.iter().map(policy).collect(),
            dark: self.dark.iter().map(dark).collect(),
            instances: self.received.iter().map(instance).collect(),
            gateways: self.entered.iter().map(gateway).collect(),
            worse: canaries.first().map(|pod| part(pod, CANARY)).into_iter().collect(),
            overloaded: favoured.first().map(|pod| part(pod, &mesh.instance(*pod).pod)).into_iter().collect(),
        }
    }
}

fn short_name(flag: Flag) -> &'static str {
    match flag {
        Flag::CallerGone => "DC",
        Flag::TimedOut => "UT",
        Flag::Overflow => "UO",
        Flag::RateLimited => "RL",
        Flag::RetriesExhausted => "URX",
        Flag::NoConnection => "UF",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::model::Model;

    fn truth_of(visits: usize) -> OperationsTruth {
        let mut model = Model::new(7);
        let mesh = model.mesh().clone();
        let mut operations = Operations::default();
        (0..visits).for_each(|_| operations.add(&mesh, &model.visit()));
        operations.truth(&mesh)
    }

    #[test]
    fn every_policy_of_the_mesh_is_met() {
        let truth = truth_of(3_000);
        let reasons: std::collections::BTreeSet<_> =
            truth.policies.iter().map(|row| (row.at, row.reason)).collect();
        for met in
            [("client", "UO"), ("client", "UT"), ("client", "retried"), ("gateway", "DC"), ("server", "RL")]
        {
            assert!(reasons.contains(&met), "{met:?} in {reasons:?}");
        }
        assert_eq!(truth.gateways[0].requests, 3_000);
        let dark: Vec<_> = truth.dark.iter().map(|row| (row.server.as_str(), row.kind)).collect();
        assert_eq!(dark, [("api.payments.example", "passthrough"), ("default/ratings", "plaintext")]);
    }

    /// Half of the calls to ratings go to its first pod, and of the rest every other one: three quarters.
    #[test]
    fn one_pod_gets_three_quarters() {
        let truth = truth_of(3_000);
        let of_ratings: Vec<_> =
            truth.instances.iter().filter(|row| row.service == truth.overloaded[0].service).collect();
        let first =
            of_ratings.iter().find(|row| row.instance == truth.overloaded[0].part).expect("it is there");
        let all: u64 = of_ratings.iter().map(|row| row.requests).sum();
        let share = first.requests as f64 / all as f64;
        assert!((share - 0.75).abs() < 0.05, "{share} of {all}");
    }
}
