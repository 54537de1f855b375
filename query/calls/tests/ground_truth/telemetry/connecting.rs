//! Spans of what a caller does to have a connection: inside of its request, or beside it where drivers of data stores do so.
//!
//! Sources: OpenTelemetry's instrumentation of Node for DNS and sockets, and of its driver of PostgreSQL (`pg-pool.connect`).

use super::ids::Part;
use super::spans::{CLIENT, Said, Teller};
use super::tags;
use crate::mesh::Nanos;
use crate::story::{Call, Place, Target};

impl Teller<'_> {
    /// `above` is the parent of the request, which is `inside`.
    pub fn connecting(
        &mut self,
        call: &Call,
        caller: Place,
        (above, inside): (u64, u64),
        (start, duration): (Nanos, Nanos),
    ) {
        if let (Target::Store(store), true) = (call.target, call.number.is_multiple_of(2)) {
            let mut said = Said::new(CLIENT, "pg-pool.connect", start, duration);
            said.tags = tags::of_store(self.mesh, call, store);
            self.application(caller, call.number, Part::Connect, above, said);
            return;
        }
        for (part, name) in [(Part::Lookup, "dns.lookup"), (Part::Connect, "tcp.connect")] {
            let mut said = Said::new(CLIENT, name, start, duration);
            said.tags.push(("net.peer.ip", tags::address(self.mesh, call)));
            self.application(caller, call.number, part, inside, said);
        }
    }
}
