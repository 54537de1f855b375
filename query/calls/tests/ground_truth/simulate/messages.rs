//! Messages: sent, delivered at once or pushed, or taken in batches, later where the queue has a name.

use super::{DEPTH_MAX, Drawer};
use crate::features::Feature;
use crate::mesh::{MILLI, Nanos, SECOND, Sdk};
use crate::oracle::names::is_direct;
use crate::oracle::{FROM, TO};
use crate::story::{Batch, Call, Place, Received, Root, Taken, Target, Trace, Try, Verdict};

impl Drawer<'_> {
    /// Consumers that take what traces so far have sent, each message once. Traces that stand for several
    /// would have to be kept together for a count to be known, so that these features exclude one another.
    pub fn batches(&mut self, traces: &mut Vec<Trace>) {
        if !self.has(Feature::Batches) || self.has(Feature::Sampling) {
            return;
        }
        for queue in 0..self.mesh.queues.len() {
            let sent = traces.iter().flat_map(Trace::calls);
            let sent =
                sent.filter(|call| call.target == Target::Queue(queue) && (FROM..TO).contains(&call.start));
            let (messages, ends): (Vec<u64>, Vec<Nanos>) =
                sent.map(|call| (call.number, call.start + call.duration)).unzip();
            let consumers: Vec<usize> =
                (0..self.mesh.services.len()).filter(|at| self.mesh.services[*at].sdk == Sdk::Full).collect();
            if messages.is_empty() || consumers.is_empty() {
                continue;
            }
            let place = {
                let to = self.random.pick(&consumers);
                self.place(to)
            };
            // Only links join what goes through a queue without a name, and those are followed for a minute.
            let at_once = is_direct(self.mesh, queue);
            let taken = match self.random.below(if at_once { 2 } else { 3 }) {
                0 => Taken::OneByOne { by_client: true },
                1 => Taken::OneByOne { by_client: false },
                _ => Taken::Together,
            };
            let count = if taken == Taken::Together { 1 } else { messages.len() };
            let start = TO - 30 * SECOND;
            let starts = ends.into_iter().zip(0..).take(count);
            let starts = starts.map(|(end, at)| if at_once { end } else { start } + at * 100 * MILLI);
            let tries = starts.collect::<Vec<_>>().into_iter().map(|at| self.taken(place, at)).collect();
            let root = Root::Batch(Batch { queue, messages, taken, tries });
            traces.push(Trace { number: 1_000 + queue as u64, weight: 1, is_kept: true, root });
        }
    }

    fn taken(&mut self, at: Place, start: Nanos) -> Try {
        let duration = self.random.between(60, 900) * MILLI;
        Try {
            number: self.number(),
            at,
            start,
            duration,
            verdict: self.verdict(&[Verdict::Failed]),
            received: Received::default(),
            calls: self.calls(at, start, duration, DEPTH_MAX - 1, 0),
        }
    }

    pub fn message(
        &mut self,
        caller: Place,
        queue: usize,
        start: Nanos,
        duration: Nanos,
        depth: usize,
    ) -> Option<Call> {
        let mut call = self.plain(caller, Target::Queue(queue), start, duration);
        call.made.connecting = false;
        call.made.operation = false;
        let is_full = self.mesh.services[caller.service].sdk == Sdk::Full;
        call.made.created = is_full && self.has(Feature::Created) && self.random.percent(40);
        let consumers: Vec<usize> = (0..self.mesh.services.len())
            .filter(|at| *at != caller.service && self.mesh.services[*at].sdk == Sdk::Full)
            .collect();
        // A message through no queue that nobody takes goes nowhere; where there are batches, one will.
        let least = usize::from(
            is_direct(self.mesh, queue) && (!self.has(Feature::Batches) || self.has(Feature::Sampling)),
        );
        let count = if consumers.is_empty() { 0 } else { least + self.random.below(3) };
        if count < least {
            return None;
        }
        for _ in 0..count {
            let place = {
                let to = self.random.pick(&consumers);
                self.place(to)
            };
            let start = call.start + call.duration + self.random.between(0, 5_000) * MILLI;
            let duration = self.random.between(60, 900) * MILLI;
            let has_name = self.mesh.queues[queue].name.is_some();
            let is_pushed = has_name && self.has(Feature::Push) && self.random.percent(30);
            let received = Received {
                receive: !is_pushed && self.random.percent(30),
                pushed: is_pushed,
                settled: !is_pushed && self.has(Feature::Created) && self.random.percent(40),
                ..self.frames(place)
            };
            let delivery = Try {
                number: self.number(),
                at: place,
                start,
                duration,
                verdict: self.verdict(&[Verdict::Failed]),
                received,
                calls: self.calls(place, start, duration, depth, 0),
            };
            call.tries.push(delivery);
        }
        Some(call)
    }
}
