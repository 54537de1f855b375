//! Which parts of an answer cannot be known when spans were lost, and which still can.
//!
//! A lost span excuses its own call and nothing else: the edge of the call and the node that received it. What
//! a service did while it served is known without knowing that it served. Access logs lose nothing here, so
//! what is counted from them stays exact.

use std::collections::BTreeSet;

use crate::mesh::{Mesh, Sdk};
use crate::oracle::figures::Label;
use crate::oracle::names::{far_end, service_label};
use crate::oracle::{FROM, TO};
use crate::random::mixed;
use crate::story::{Batch, Call, Root, Spelling, Story, Target, Trace, Try};
use crate::telemetry::Row;

/// How many spans of a hundred are lost, by seed.
const LOST_PERCENT: [u64; 4] = [2, 10, 25, 50];

/// What need not be right.
#[derive(Debug, Clone, Default)]
pub struct Excuses {
    pub nodes: BTreeSet<Label>,
    pub edges: BTreeSet<(Label, Label)>,
    /// Who may seem to call somebody that nothing names, or nobody at all.
    pub callers: BTreeSet<Label>,
    /// Edges of which one end is known to lack something: their completeness must say so.
    pub incomplete: BTreeSet<(Label, Label)>,
}

/// Takes the spans that are lost out of `rows`. Returns the numbers of the calls and tries they told of.
pub fn lose(story: &Story, rows: &mut Vec<Row>) -> BTreeSet<u64> {
    let percent = LOST_PERCENT[(mixed(story.seed) % LOST_PERCENT.len() as u64) as usize];
    let mut lost = BTreeSet::new();
    rows.retain(|row| {
        let Some(span) = row.span else { return true };
        let is_lost = mixed(span.id ^ mixed(story.seed)) % 100 < percent;
        if is_lost {
            lost.extend(span.tells_of);
        }
        !is_lost
    });
    lost
}

/// What the lost spans leave unknown.
pub fn excuses(story: &Story, lost: &BTreeSet<u64>) -> Excuses {
    let mut excuses = Excuses::default();
    for trace in story.traces.iter().filter(|trace| trace.is_kept) {
        let calls = trace.calls().into_iter().filter(|call| (FROM..TO).contains(&call.start));
        for call in calls {
            if is_touched(&story.mesh, call, lost) {
                excuses.call(&story.mesh, call);
            }
            if lacks_an_end(&story.mesh, call, lost) {
                let edge = ends(&story.mesh, call, &call.tries[0]);
                excuses.incomplete.extend(edge);
            }
        }
        if let Root::Batch(batch) = &trace.root {
            excuses.batch(story, batch, lost);
        }
    }
    excuses.impostors(story, lost);
    excuses
}

/// The address that the caller knew, where nothing is left to tell whose it is but whom the call was mirrored to.
fn is_mistaken(call: &Call, lost: &BTreeSet<u64>) -> bool {
    let is_left = |tried: &Try| !lost.contains(&tried.number);
    call.made.spelling == Spelling::PeerAddress
        && !call.tries.iter().any(is_left)
        && call.mirrors.iter().any(is_left)
}

fn is_touched(mesh: &Mesh, call: &Call, lost: &BTreeSet<u64>) -> bool {
    // A service with made spans alone has those to tell that it was called.
    let told_by_calls = |tried: &Try| {
        let service = &mesh.services[tried.at.service];
        let is_thin = service.sdk == Sdk::Made || service.is_made_only;
        is_thin && tried.calls.iter().any(|inner| lost.contains(&inner.number))
    };
    lost.contains(&call.number)
        || call.receptions().any(|tried| lost.contains(&tried.number) || told_by_calls(tried))
}

/// The call was made for all to see, and nothing is left to tell that it arrived.
fn lacks_an_end(mesh: &Mesh, call: &Call, lost: &BTreeSet<u64>) -> bool {
    let is_plain = |service: usize| {
        let service = &mesh.services[service];
        service.sdk == Sdk::Full && !service.sidecar.spans && !service.sidecar.rows
    };
    let (Some(caller), [tried], Target::Service(callee)) = (call.caller, &call.tries[..], call.target) else {
        return false;
    };
    let is_single = call.made.spelling.names_callee()
        && call.mirrors.is_empty()
        && tried.received.frames == 0
        && !call.shares_id;
    is_single
        && is_plain(caller.service)
        && is_plain(callee)
        && lost.contains(&tried.number)
        && !lost.contains(&call.number)
}

fn ends(mesh: &Mesh, call: &Call, tried: &Try) -> Option<(Label, Label)> {
    let caller = service_label(&mesh.services[call.caller?.service]);
    Some((caller, service_label(&mesh.services[tried.at.service])))
}

impl Excuses {
    fn call(&mut self, mesh: &Mesh, call: &Call) {
        let target = far_end(mesh, call.target);
        let source = call.caller.map(|place| service_label(&mesh.services[place.service]));
        let source = source.unwrap_or_else(|| Label {
            kind: "client",
            name: format!("client@{}", target.name),
            apart: String::new(),
        });
        self.edge(&source, &target);
        for tried in call.receptions() {
            let receiver = service_label(&mesh.services[tried.at.service]);
            self.edge(&source, &receiver);
            self.edge(&target, &receiver);
        }
    }

    /// A mirror that alone told of having answered at an address seems to have it, for all who call that address.
    fn impostors(&mut self, story: &Story, lost: &BTreeSet<u64>) {
        let calls = || story.traces.iter().filter(|trace| trace.is_kept).flat_map(Trace::calls);
        for mistaken in calls().filter(|call| is_mistaken(call, lost)) {
            let by_address =
                |call: &&Call| call.made.spelling == Spelling::PeerAddress && call.target == mistaken.target;
            for caller in calls().filter(by_address).filter_map(|call| call.caller) {
                let source = service_label(&story.mesh.services[caller.service]);
                for mirror in &mistaken.mirrors {
                    self.edge(&source, &service_label(&story.mesh.services[mirror.at.service]));
                }
                self.edge(&source, &far_end(&story.mesh, mistaken.target));
            }
        }
    }

    fn batch(&mut self, story: &Story, batch: &Batch, lost: &BTreeSet<u64>) {
        let is_touched = batch.tries.iter().any(|tried| lost.contains(&tried.number))
            || batch.messages.iter().any(|number| lost.contains(number));
        let Some(first) = batch.tries.first().filter(|_| is_touched) else { return };
        let consumer = service_label(&story.mesh.services[first.at.service]);
        self.edge(&far_end(&story.mesh, Target::Queue(batch.queue)), &consumer);
        for number in &batch.messages {
            if let Some(place) = story.sent(*number).caller {
                self.edge(&service_label(&story.mesh.services[place.service]), &consumer);
            }
        }
    }

    fn edge(&mut self, source: &Label, target: &Label) {
        self.edges.insert((source.clone(), target.clone()));
        self.nodes.insert(target.clone());
        self.callers.insert(source.clone());
    }
}
