//! The deterministic mesh: from a seed, one visit after the other, with exact numbers.
//!
//! The model decides everything that can be observed and knows nothing of any wire format; the emitters
//! decide nothing. So the truth that the answers are compared with is arithmetic over the model and
//! not a reading of what some encoder made of it.
//! Limits: pods do not queue, one visit does not slow another, and children are called one after the other.

mod transport;
mod services;
mod chances;
mod call;

pub use call::{AppSpan, Attempt, Call, Callee, Fate, Flag, Operation, ProxyReport, Visit};

use super::mesh::{GATEWAY, InstanceId, Mesh, PRODUCTPAGE, Replacement};
use super::random::Random;
use chances::Times;

/// Browsers of the outside callers.
const USER_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
];

/// Products with an even id below this exist; callers that ask for one that does not, ask for this id.
const UNKNOWN_PRODUCT_ID: u64 = 999;

/// Ephemeral ports: the range that Linux uses by default (net.ipv4.ip_local_port_range).
const PORTS: (u64, u64) = (32_768, 61_000);

/// The mesh and its future, as the seed wrote it.
#[derive(Debug, Clone)]
pub struct Model {
    mesh: Mesh,
    random: Random,
    /// The connection that the next attempt between two pods uses. Attempts of one call never share
    /// one, as Envoy closes an HTTP/1.1 connection whose response it does not want.
    next_port: u64,
    /// The service of which one pod is dead, and its callers' proxies do not know it yet.
    half_dead: Option<&'static str>,
}

impl Model {
    pub fn new(seed: u64) -> Self {
        Model { mesh: Mesh::bookinfo(), random: Random::new(seed), next_port: PORTS.0, half_dead: None }
    }

    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The next request from outside and all that comes of it.
    pub fn visit(&mut self) -> Visit {
        let trace_id = (u128::from(self.random.id()) << 64) | u128::from(self.random.id());
        let request_id = uuid(self.random.bits(), self.random.bits());
        let client_address = format!("198.51.100.{}", self.random.within(1, 255));
        let user_agent = USER_AGENTS[self.random.within(0, USER_AGENTS.len() as u64) as usize];
        let operation = self.entry_operation();
        let gateway = self.pod_of(GATEWAY, None);
        let page = Callee::Service { name: PRODUCTPAGE, subset: None };
        Visit {
            trace_id,
            request_id,
            client_address,
            user_agent,
            entry: self.call(gateway, page, operation, 0),
        }
    }

    /// Replaces the oldest pod of a service and gives back it and the new one. One that is killed its callers go on calling
    /// until [`Model::forget_dead`].
    pub fn replace_oldest(&mut self, service: &'static str, how: Replacement) -> (InstanceId, InstanceId) {
        let pods = self.mesh.pods_of(service, None);
        let old = *pods.first().expect("every service has pods");
        self.half_dead = (how == Replacement::Killed).then_some(service);
        (old, self.mesh.replace(old, how))
    }

    pub fn forget_dead(&mut self) {
        self.half_dead = None;
    }

    /// Whether a call meets a dead pod: it is one beside those that serve, and each is as likely.
    fn meets_dead(&mut self, service: &str) -> bool {
        let alive = self.mesh.pods_of(service, None).len() as f64;
        self.half_dead == Some(service) && self.random.happens(1.0 / (alive + 1.0))
    }

    fn entry_operation(&mut self) -> Operation {
        let kind = self.random.fraction();
        let (list, product) = (chances::VISITS_PAGE, chances::VISITS_PAGE + chances::VISITS_LIST);
        let get = |route, path: String| Operation { method: "GET", route, path, request_bytes: 0 };
        if kind < list {
            get("/productpage", format!("/productpage?u=visitor{}", self.random.within(0, 500)))
        } else if kind < product {
            get("/api/v1/products", "/api/v1/products".to_owned())
        } else if kind < product + chances::VISITS_PRODUCT {
            let unknown = self.random.happens(chances::UNKNOWN_PRODUCT);
            let id = if unknown { UNKNOWN_PRODUCT_ID } else { self.random.within(0, 100) };
            get("/api/v1/products/{id}", format!("/api/v1/products/{id}"))
        } else {
            let request_bytes = self.random.within(180, 900);
            Operation { method: "POST", route: "/checkout", path: "/checkout".to_owned(), request_bytes }
        }
    }

    fn pod_of(&mut self, service: &str, subset: Option<&str>) -> InstanceId {
        let pods = self.mesh.pods_of(service, subset);
        assert!(!pods.is_empty(), "no pod serves {service} {subset:?}");
        if service == chances::FAVOURS && self.random.happens(chances::FAVOURED) {
            return pods[0];
        }
        pods[self.random.within(0, pods.len() as u64) as usize]
    }

    fn port(&mut self) -> u16 {
        self.next_port = if self.next_port + 1 < PORTS.1 { self.next_port + 1 } else { PORTS.0 };
        u16::try_from(self.next_port).expect("PORTS ends below 65,536")
    }

    fn span(&mut self, start: u64, end: u64, status: Option<u16>, failed: bool) -> AppSpan {
        AppSpan { id: self.random.id(), start, duration: end - start, status, failed }
    }

    /// A time drawn from the distribution, at least a microsecond.
    fn time(&mut self, times: Times) -> u64 {
        (self.random.log_normal(times.median as f64, times.sigma) as u64).max(1_000)
    }

    fn delay(&mut self, (least, most): (u64, u64)) -> u64 {
        self.random.within(least, most)
    }
}

/// A random UUID (RFC 9562, version 4) from 128 random bits.
fn uuid(high: u64, low: u64) -> String {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::mesh::{RATINGS, REVIEWS};

    const VISITS: usize = 4_000;

    fn calls_of(seed: u64) -> Vec<Call> {
        fn collect(call: &Call, into: &mut Vec<Call>) {
            into.push(call.clone());
            call.attempts.iter().flat_map(|attempt| &attempt.calls).for_each(|inner| collect(inner, into));
        }
        let mut model = Model::new(seed);
        let mut calls = Vec::new();
        (0..VISITS).for_each(|_| collect(&model.visit().entry, &mut calls));
        calls
    }

    #[test]
    fn a_seed_reproduces_its_visits() {
        let visits = |seed| {
            let mut model = Model::new(seed);
            (0..200).map(|_| model.visit()).collect::<Vec<_>>()
        };
        assert_eq!(visits(42), visits(42));
        assert_ne!(visits(42), visits(43));
    }

    #[test]
    fn every_scenario_happens() {
        let calls = calls_of(42);
        let outbound: Vec<_> = calls.iter().filter_map(|call| call.outbound).collect();
        let inbound: Vec<_> =
            calls.iter().flat_map(|call| &call.attempts).filter_map(|attempt| attempt.inbound).collect();
        let wanted = [Flag::CallerGone, Flag::TimedOut, Flag::Overflow, Flag::RetriesExhausted];
        for flag in wanted {
            assert!(outbound.iter().any(|seen| seen.flag == Some(flag)), "{flag:?} at a caller's proxy");
        }
        for flag in [Flag::CallerGone, Flag::RateLimited] {
            assert!(inbound.iter().any(|seen| seen.flag == Some(flag)), "{flag:?} at a callee's proxy");
        }
        for status in [200, 201, 404, 429, 500, 502, 503, 504] {
            assert!(outbound.iter().any(|seen| seen.status == Some(status)), "status {status}");
        }
        for callee in [Callee::Database, Callee::Queue, Callee::External] {
            assert!(calls.iter().any(|call| call.callee == callee), "{callee:?}");
        }
    }

    #[test]
    fn an_observer_inside_sees_less_time_than_one_outside() {
        for call in calls_of(7) {
            let Some(outbound) = call.outbound else { continue };
            assert_eq!(outbound.start % 1_000, 0, "Envoy's clock has microseconds");
            if let Some(span) = call.client_span {
                assert!(span.start <= outbound.start && outbound.end() <= span.end());
            }
            for attempt in &call.attempts {
                let Some(inbound) = attempt.inbound else { continue };
                assert!(outbound.start <= inbound.start);
                if outbound.status.is_some() && outbound.flag != Some(Flag::TimedOut) {
                    assert!(inbound.end() <= outbound.end());
                }
            }
        }
    }

    #[test]
    fn a_proxy_that_tries_again_logs_once_and_is_logged_each_time() {
        let calls = calls_of(42);
        let to_ratings: Vec<_> = calls
            .iter()
            .filter(|call| matches!(call.callee, Callee::Service { name: RATINGS, .. }))
            .filter(|call| call.attempts.len() > 1)
            .collect();
        assert!(!to_ratings.is_empty());
        for call in to_ratings {
            let outbound = call.outbound.expect("services are called through a proxy");
            assert_eq!(outbound.attempts as usize, call.attempts.len());
            let (last, given_up) = call.attempts.split_last().expect("more than one attempt");
            for attempt in given_up {
                let inbound = attempt.inbound.expect("pods have a proxy");
                assert_eq!((inbound.status, inbound.flag), (Some(503), Some(Flag::CallerGone)));
            }
            assert_eq!(last.inbound.expect("pods have a proxy").flag, None);
            let ports: std::collections::HashSet<_> = call.attempts.iter().map(|a| a.port).collect();
            assert_eq!(ports.len(), call.attempts.len());
        }
    }

    #[test]
    fn an_open_circuit_breaker_reaches_nobody() {
        let calls = calls_of(42);
        let refused: Vec<_> =
            calls.iter().filter(|c| c.outbound.is_some_and(|o| o.flag == Some(Flag::Overflow))).collect();
        assert!(!refused.is_empty());
        assert!(refused.iter().all(|call| call.attempts.is_empty()));
        assert!(refused.iter().all(|call| call.client_span.is_some_and(|span| span.status == Some(503))));
    }

    #[test]
    fn a_dead_pod_costs_calls_until_it_is_forgotten() {
        let mut model = Model::new(42);
        let lost = |model: &mut Model| {
            let visits = (0..600).map(|_| model.visit().entry);
            let lost =
                visits.filter(|call| call.outbound.is_some_and(|o| o.flag == Some(Flag::NoConnection)));
            lost.inspect(|call| assert!(call.attempts.is_empty())).count()
        };
        assert_eq!(lost(&mut model), 0);
        let (old, new) = model.replace_oldest(PRODUCTPAGE, Replacement::Killed);
        assert_ne!(model.mesh().instance(old).pod, model.mesh().instance(new).pod);
        // A third of 600, within five standard deviations of 11.5.
        let while_dead = lost(&mut model);
        assert!((142..=258).contains(&while_dead), "{while_dead}");
        model.forget_dead();
        assert_eq!(lost(&mut model), 0);
        model.replace_oldest(PRODUCTPAGE, Replacement::Drained);
        assert_eq!(lost(&mut model), 0, "a pod that drains costs nothing");
    }

    #[test]
    fn the_canary_gets_its_share_and_is_slow() {
        let mut served: Vec<(bool, u64)> = Vec::new();
        for call in calls_of(42) {
            let Callee::Service { name: REVIEWS, subset: Some(version) } = call.callee else { continue };
            let spans = call.attempts.iter().filter_map(|attempt| attempt.server_span);
            served.extend(spans.map(|span| (version == "v3", span.duration)));
        }
        let canary = served.iter().filter(|(canary, _)| *canary).count() as f64;
        let ratio = canary / served.len() as f64;
        // About 2,850 draws with p = 0.1 have a standard deviation of 0.0056.
        assert!((ratio - 0.1).abs() < 0.03, "canary share {ratio}");
        let slowest_half = |is_canary: bool| {
            let mut times: Vec<_> = served.iter().filter(|(c, _)| *c == is_canary).map(|(_, t)| *t).collect();
            times.sort_unstable();
            times[times.len() / 2]
        };
        assert!(slowest_half(true) > 10 * slowest_half(false));
    }

    #[test]
    fn a_request_id_is_a_random_uuid() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
