//! The addresses by which two proxies know each other, and the tries that never got so far.
//!
//! Pods have addresses of their own. Where all run on one machine, connections are of its loopback address, at other ports; then
//! a request needs an id of its own, for the address tells no caller from another.

use super::Logger;
use crate::features::Feature;
use crate::story::{Call, Place, Target};

impl Logger<'_> {
    /// What the other end of the call's connection sees as this one's address.
    pub fn address(&self, call: &Call, place: Place) -> String {
        if self.is_local(call) { "127.0.0.1".to_owned() } else { self.instance(place).address.clone() }
    }

    /// Where a proxy takes the call.
    pub fn endpoint(&self, call: &Call, place: Place) -> String {
        let port = if self.is_local(call) { 9_000 + 10 * place.service + place.instance } else { 80 };
        format!("{}:{port}", self.address(call, place))
    }

    fn is_local(&self, call: &Call) -> bool {
        let is_plain = |place: Place| !self.service(place).is_ambient && !self.service(place).is_tcp;
        let has_own_id = !self.features.has(Feature::SharedRequestIds);
        let ends = call.caller.into_iter().chain(call.tries.iter().map(|tried| tried.at));
        has_own_id && self.features.has(Feature::Loopback) && ends.into_iter().all(is_plain)
    }

    /// Tries of the caller's proxy that met nobody, where the callee's own tells what arrived.
    pub fn unconnected(&self, call: &Call) -> usize {
        let Target::Service(callee) = call.target else { return 0 };
        let callee = &self.story.mesh.services[callee];
        let is_told = callee.logs_received() && !callee.is_tcp && !call.tries.is_empty();
        let is_on = self.features.has(Feature::Unconnected);
        if is_on && is_told { (call.number % 3) as usize } else { 0 }
    }
}
