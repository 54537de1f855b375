//! How a call arrives: once or in several tries, through a gateway, at a mirror too.

use super::Drawer;
use crate::features::Feature;
use crate::mesh::{GAP, Sdk};
use crate::story::{Call, Place, Received, Target, Tried, Try, Verdict};

impl Drawer<'_> {
    /// How often a call is tried, and how that shows.
    pub fn tries(&mut self, caller: Place, service: usize, has_rows: bool) -> (usize, Tried) {
        let is_full = self.mesh.services[caller.service].sdk == Sdk::Full;
        let count = 2 + self.random.below(2);
        let callee = &self.mesh.services[service];
        if self.has(Feature::Resends) && is_full && !has_rows && self.random.percent(25) {
            return (count, self.random.pick(&[Tried::UnderOperation, Tried::Resent]));
        }
        if self.has(Feature::Pages) && is_full && !has_rows && self.random.percent(25) {
            return (count, Tried::Separate);
        }
        // Nothing tells tries of one call from calls where only the callee's proxy logs.
        let is_told_once = callee.is_ambient || callee.is_inbound_only;
        let can_hide = !self.mesh.services[caller.service].is_gateway && !is_told_once;
        if self.has(Feature::HiddenRetries) && can_hide && self.random.percent(25) {
            return (count, Tried::Hidden);
        }
        (1, Tried::Hidden)
    }

    /// Cuts the time of the call into one slice for each try; all but the last fail.
    pub fn fill_tries(&mut self, call: &mut Call, count: usize, depth: usize) {
        let Target::Service(service) = call.target else { return };
        let callee = &self.mesh.services[service];
        let slice = call.duration / count as i64;
        let is_passed_on = callee.is_gateway;
        let only = self.place(service);
        for at in 0..count {
            let is_last = at + 1 == count;
            let start = call.start + at as i64 * slice + GAP;
            let mut duration = slice - 3 * GAP;
            let verdict = match call.tried {
                _ if is_last => call.verdict,
                Tried::Separate => Verdict::Ok,
                _ => self.failure(call),
            };
            if verdict == Verdict::TimedOut {
                // It works on long after the caller is gone, also while the next try runs.
                duration += slice / 2;
            }
            // Two clocks would tell of tries that overlap.
            let place = if self.has(Feature::Skew) || count == 1 { only } else { self.place(service) };
            let mut tried = Try {
                number: self.number(),
                at: place,
                start,
                duration,
                verdict,
                received: self.frames(place),
                calls: Vec::new(),
            };
            if is_passed_on {
                self.pass_on(&mut tried, depth);
            } else if callee.reports() {
                let least = usize::from(callee.sdk == Sdk::Made);
                tried.calls = self.calls(place, start, duration.min(slice - 3 * GAP), depth, least);
            }
            call.tries.push(tried);
        }
        call.duration = count as i64 * slice - GAP;
    }

    /// How a try fails that is followed by another.
    fn failure(&mut self, call: &Call) -> Verdict {
        let gave_up = self.has(Feature::Timeouts) && call.tried == Tried::Hidden && self.random.percent(40);
        match (gave_up, call.is_grpc) {
            (true, _) => Verdict::TimedOut,
            (false, true) => Verdict::GrpcUnavailable,
            (false, false) => Verdict::Failed,
        }
    }

    /// A gateway makes one call of what it received, and answers what it was answered.
    fn pass_on(&mut self, tried: &mut Try, depth: usize) {
        let gateway = tried.at.service;
        let to: Vec<usize> = (0..self.mesh.services.len())
            .filter(|to| *to != gateway && self.mesh.may_call(gateway, *to))
            .filter(|to| !self.mesh.services[*to].is_tcp)
            .filter(|to| self.mesh.services[*to].host == self.mesh.services[*to].name)
            .collect();
        if to.is_empty() {
            return;
        }
        let service = self.random.pick(&to);
        let inner = self.service_call(Some(tried.at), service, tried.start, tried.duration + GAP, depth + 1);
        if let Some(inner) = inner {
            tried.duration = inner.duration;
            tried.verdict = match inner.verdict {
                Verdict::TimedOut | Verdict::Threw => return,
                verdict => verdict,
            };
            tried.calls = vec![inner];
        }
    }

    pub fn frames(&mut self, at: Place) -> Received {
        let is_full = self.mesh.services[at.service].sdk == Sdk::Full;
        let frames = if self.has(Feature::Frames) && is_full { self.random.below(3) as u8 } else { 0 };
        Received {
            frames,
            is_other_kind: self.has(Feature::Push) && is_full && self.random.percent(20),
            internal_between: self.has(Feature::Internal) && self.random.percent(50),
            ..Received::default()
        }
    }

    /// Only two applications share an id: a proxy between them has spans of its own.
    pub fn share_ids(&mut self, call: &mut Call) {
        let Some(caller) = call.caller else { return };
        let both_full = [caller.service, call.tries[0].at.service].into_iter().all(|service| {
            let service = &self.mesh.services[service];
            service.sdk == Sdk::Full && !service.sidecar.spans
        });
        call.shares_id =
            self.has(Feature::SharedIds) && both_full && call.tries.len() == 1 && self.random.percent(50);
        // A child of two halves of one service would be the received one's.
        call.made.connecting &= !(call.shares_id && caller.service == call.tries[0].at.service);
    }

    pub fn mirror(&mut self, call: &mut Call, depth: usize) {
        let Some(caller) = call.caller else { return };
        let Target::Service(service) = call.target else { return };
        let is_plain = |at: usize| {
            let service = &self.mesh.services[at];
            service.sdk == Sdk::Full && !service.sidecar.rows && !service.sidecar.spans
        };
        // What a mirror answers is no upgrade.
        let is_request = call.tries.len() == 1 && !call.shares_id && call.upgrade.is_none();
        let can_be = is_plain(caller.service) && is_plain(service) && is_request;
        if !self.has(Feature::Mirrors) || !can_be || !self.random.percent(20) {
            return;
        }
        let to: Vec<usize> = (0..self.mesh.services.len())
            .filter(|to| is_plain(*to) && *to != service && *to != caller.service)
            .collect();
        if to.is_empty() {
            return;
        }
        let place = {
            let to = self.random.pick(&to);
            self.place(to)
        };
        let (start, duration) = (call.tries[0].start, call.tries[0].duration);
        let tried = Try {
            number: self.number(),
            at: place,
            start,
            duration,
            verdict: self.verdict(&[Verdict::Failed]),
            received: Received { is_other_kind: false, ..self.frames(place) },
            calls: self.calls(place, start, duration, depth, 0),
        };
        call.mirrors.push(tried);
    }
}
