//! Draws a story from a seed: what happens in the mesh, with the features that are on.

mod messages;
mod tries;

use crate::features::{Feature, Features};
use crate::mesh::{GAP, MILLI, Mesh, Nanos, SECOND, Sdk, Service};
use crate::oracle::{FROM, TO};
use crate::random::Random;
use crate::story::{
    Call, Made, Place, Received, Refusal, Root, Spelling, Story, Target, Trace, Tried, Try, Upgrade, Verdict,
};

/// Calls inside calls inside calls.
const DEPTH_MAX: usize = 3;
const TRACES_MAX: usize = 24;
/// What a call must last for others to fit inside.
const ROOM_MIN: Nanos = 40 * MILLI;

pub fn story(seed: u64, allowed: Features) -> (Story, Features) {
    let mut random = Random::new(seed);
    let features = Features::drawn(&mut random).and(allowed);
    let mesh = Mesh::drawn(features, &mut random);
    let mut drawer = Drawer { mesh: &mesh, features, random, number: 0 };
    let traces = (0..2 + drawer.random.below(TRACES_MAX)).filter_map(|number| drawer.trace(number as u64));
    let mut traces: Vec<Trace> = traces.collect();
    drawer.batches(&mut traces);
    (Story { seed, mesh, traces }, features)
}

pub struct Drawer<'a> {
    mesh: &'a Mesh,
    features: Features,
    random: Random,
    number: u64,
}

impl Drawer<'_> {
    fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn trace(&mut self, number: u64) -> Option<Trace> {
        let weight = if self.has(Feature::Sampling) { self.random.pick(&[1, 2, 4, 16]) } else { 1 };
        let is_kept = self.random.below(weight) == 0;
        let start = self.start();
        let duration = self.random.between(100, 3_000) * MILLI + self.random.between(0, 999_999);
        let is_job = self.random.percent(20);
        let root = if is_job { self.job(start, duration) } else { self.entry(start, duration) }?;
        Some(Trace { number, weight: weight as u32, is_kept, root })
    }

    /// A moment inside the range, or well outside: farther from its ends than clocks differ.
    fn start(&mut self) -> Nanos {
        let fraction = self.random.between(0, 999_999_999);
        if self.has(Feature::OutOfRange) && self.random.percent(15) {
            let second = if self.random.percent(50) { self.random.between(-55, -20) } else { 610 };
            return FROM + second * SECOND + fraction;
        }
        let seconds = (TO - FROM) / SECOND;
        FROM + self.random.between(20, seconds - 60) * SECOND + fraction
    }

    fn place(&mut self, service: usize) -> Place {
        Place { service, instance: self.random.below(self.mesh.services[service].instances.len()) }
    }

    fn job(&mut self, start: Nanos, duration: Nanos) -> Option<Root> {
        let candidates: Vec<usize> =
            (0..self.mesh.services.len()).filter(|at| self.mesh.services[*at].sdk == Sdk::Full).collect();
        let service = (!candidates.is_empty()).then(|| self.random.pick(&candidates))?;
        let at = self.place(service);
        let calls = self.calls(at, start, duration, 0, 1);
        Some(Root::Job { at, start, duration, calls })
    }

    /// A call from outside, to whom can tell that it was called.
    fn entry(&mut self, start: Nanos, duration: Nanos) -> Option<Root> {
        let can_tell = |at: &usize| {
            let service = &self.mesh.services[*at];
            !service.is_tcp && (service.sdk == Sdk::Full || service.sidecar.rows || service.sidecar.spans)
        };
        let candidates: Vec<usize> = (0..self.mesh.services.len()).filter(can_tell).collect();
        let service = (!candidates.is_empty()).then(|| self.random.pick(&candidates))?;
        self.service_call(None, service, start, duration, 0).map(Root::Entry)
    }

    /// Calls that fit between `start` and its end, one after the other.
    fn calls(&mut self, at: Place, start: Nanos, duration: Nanos, depth: usize, least: usize) -> Vec<Call> {
        let count = least.max(if depth < DEPTH_MAX { self.random.below(4) } else { 0 });
        let slice = (duration - 4 * GAP) / count.max(1) as i64;
        if slice < ROOM_MIN {
            return Vec::new();
        }
        (0..count as i64)
            .filter_map(|number| {
                let start = start + 2 * GAP + number * slice;
                let length = slice / 2 + self.random.between(0, slice / 2 - GAP);
                self.call(at, start, length, depth + 1)
            })
            .collect()
    }

    fn call(&mut self, caller: Place, start: Nanos, duration: Nanos, depth: usize) -> Option<Call> {
        let has_sdk = self.mesh.services[caller.service].sdk != Sdk::Silent;
        let mut targets: Vec<Target> = (0..self.mesh.services.len())
            .filter(|to| *to != caller.service || self.may_call_itself(caller))
            .filter(|to| self.mesh.may_call(caller.service, *to) && !self.mesh.services[*to].is_gateway)
            .map(Target::Service)
            .collect();
        if has_sdk {
            targets.extend((0..self.mesh.stores.len()).map(Target::Store));
            targets.extend((0..self.mesh.queues.len()).map(Target::Queue));
        }
        targets.extend((0..self.mesh.hosts.len()).map(Target::Host));
        if targets.is_empty() {
            return None;
        }
        match self.random.pick(&targets) {
            Target::Service(service) => self.service_call(Some(caller), service, start, duration, depth),
            Target::Queue(queue) => self.message(caller, queue, start, duration, depth),
            target => Some(self.plain(caller, target, start, duration)),
        }
    }

    fn may_call_itself(&self, caller: Place) -> bool {
        let service = &self.mesh.services[caller.service];
        self.has(Feature::SelfCalls)
            && (service.sdk == Sdk::Full || service.sidecar.spans || service.sidecar.rows)
    }

    /// A call to what never reports.
    fn plain(&mut self, caller: Place, target: Target, start: Nanos, duration: Nanos) -> Call {
        let verdict = self.verdict(&[Verdict::Failed]);
        let mut made = self.made(caller);
        if let Target::Store(store) = target {
            made.operation |= self.mesh.stores[store].is_behind_http;
        }
        Call {
            number: self.number(),
            caller: Some(caller),
            target,
            is_grpc: false,
            start,
            duration,
            verdict,
            upgrade: None,
            refusal: None,
            made,
            tried: Tried::Hidden,
            shares_id: false,
            tries: Vec::new(),
            mirrors: Vec::new(),
        }
    }

    fn made(&mut self, caller: Place) -> Made {
        let service = &self.mesh.services[caller.service];
        let is_full = service.sdk == Sdk::Full;
        let layered = is_full && self.has(Feature::Layers);
        Made {
            internals: if self.has(Feature::Internal) && is_full { self.random.below(3) as u8 } else { 0 },
            operation: layered && self.random.percent(30),
            connecting: layered && self.random.percent(30),
            spelling: self.spelling(),
            by_client: self.has(Feature::Push) && self.random.percent(30),
            created: false,
        }
    }

    fn spelling(&mut self) -> Spelling {
        let spelling = self.random.pick(&Spelling::ALL);
        let is_url = matches!(spelling, Spelling::UrlFull | Spelling::HttpUrl);
        if is_url && !self.has(Feature::Urls) { Spelling::ServerAddress } else { spelling }
    }

    fn verdict(&mut self, of: &[Verdict]) -> Verdict {
        if self.has(Feature::Errors) && self.random.percent(30) { self.random.pick(of) } else { Verdict::Ok }
    }

    fn service_call(
        &mut self,
        caller: Option<Place>,
        service: usize,
        start: Nanos,
        duration: Nanos,
        depth: usize,
    ) -> Option<Call> {
        let callee = &self.mesh.services[service];
        if callee.is_tcp {
            return self.connection(caller?, service, start, duration);
        }
        let is_grpc = self.has(Feature::Grpc) && self.random.percent(40);
        let from = caller.map(|place| &self.mesh.services[place.service]);
        let has_rows = callee.logs_received() || from.is_some_and(Service::logs_made);
        let verdict = self.service_verdict(caller, callee, is_grpc, has_rows);
        let tells = callee.sdk == Sdk::Full || callee.sidecar.spans || callee.sidecar.rows;
        let (count, tried) = match caller.filter(|_| tells && verdict != Verdict::TimedOut) {
            Some(caller) => self.tries(caller, service, has_rows),
            None => (1, Tried::Hidden),
        };
        let mut call = Call {
            number: self.number(),
            caller,
            target: Target::Service(service),
            is_grpc,
            start,
            duration,
            verdict,
            upgrade: None,
            refusal: None,
            made: caller.map(|caller| self.made(caller)).unwrap_or_default(),
            tried,
            shares_id: false,
            tries: Vec::new(),
            mirrors: Vec::new(),
        };
        if self.is_refused(&call) {
            let refusals = [Refusal::RateLimited, Refusal::NoHealthyUpstream, Refusal::ConnectionFailed];
            let refusal = self.random.pick(&refusals);
            call.refusal = Some(refusal);
            call.tried = Tried::Hidden;
            let is_limited = refusal == Refusal::RateLimited;
            call.verdict = if is_limited { Verdict::GrpcExhausted } else { Verdict::GrpcUnavailable };
            return Some(call);
        }
        call.upgrade = self.upgrade(&call, count);
        self.fill_tries(&mut call, count, depth);
        if call.tries.len() > 1 || caller.is_none() || has_rows {
            // Of a message, several tries would be deliveries, one from nowhere would have no caller, and access
            // logs would tell of what they cannot know to be no message.
            call.tries.iter_mut().for_each(|tried| tried.received.is_other_kind = false);
        }
        if callee.is_gateway && call.tries.iter().any(|tried| tried.calls.is_empty()) {
            // A gateway that answers by itself shows in other ways.
            return None;
        }
        if callee.sdk == Sdk::Made && call.tries.iter().any(|tried| tried.calls.is_empty()) {
            // Nothing would tell that it was called.
            return None;
        }
        self.share_ids(&mut call);
        self.mirror(&mut call, depth);
        Some(call)
    }

    fn service_verdict(
        &mut self,
        caller: Option<Place>,
        callee: &Service,
        is_grpc: bool,
        has_rows: bool,
    ) -> Verdict {
        if caller.is_some() && self.has(Feature::Timeouts) && self.random.percent(15) {
            return Verdict::TimedOut;
        }
        let mut verdicts = vec![Verdict::Failed, Verdict::NotFound];
        if is_grpc {
            verdicts.extend([Verdict::GrpcUnavailable, Verdict::GrpcExhausted]);
        }
        if self.has(Feature::SpanStatus) && !has_rows && callee.sdk == Sdk::Full {
            verdicts.push(Verdict::Threw);
        }
        self.verdict(&verdicts)
    }

    /// What a call becomes that went well. A gateway's one row tells of two calls, of which either might.
    fn upgrade(&mut self, call: &Call, tries: usize) -> Option<Upgrade> {
        let Target::Service(callee) = call.target else { return None };
        let ends = call.caller.map(|place| place.service).into_iter().chain([callee]);
        let has_gateway = ends.into_iter().any(|service| self.mesh.services[service].is_gateway);
        let can_be = !call.is_grpc && tries == 1 && call.verdict == Verdict::Ok && !has_gateway;
        (can_be && self.has(Feature::Upgrades) && self.random.percent(20))
            .then(|| self.random.pick(&[Upgrade::Socket, Upgrade::Tunnel]))
    }

    fn connection(&mut self, caller: Place, service: usize, start: Nanos, duration: Nanos) -> Option<Call> {
        let at = self.place(service);
        let mut call = self.plain(caller, Target::Service(service), start, duration);
        call.verdict = Verdict::Ok;
        call.tries.push(Try {
            number: self.number(),
            at,
            start: start + GAP,
            duration: duration - 2 * GAP,
            verdict: Verdict::Ok,
            received: Received::default(),
            calls: Vec::new(),
        });
        Some(call)
    }

    fn is_refused(&mut self, call: &Call) -> bool {
        let Some(caller) = call.caller.map(|place| &self.mesh.services[place.service]) else { return false };
        let Target::Service(callee) = call.target else { return false };
        let callee = &self.mesh.services[callee];
        let has_proxy = caller.logs_made() || caller.proxy_makes_spans();
        // To spans alone, what never answers is a service by the namespace in its host only.
        let is_known = callee.namespace.is_some() && callee.host == callee.name;
        let can_be = has_proxy && !caller.is_gateway && is_known;
        can_be && self.has(Feature::Refusals) && self.random.percent(15)
    }
}
