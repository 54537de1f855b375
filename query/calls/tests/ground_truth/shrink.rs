//! Makes a story that fails smaller, as long as it still fails: a failure of three rows explains itself.

use std::collections::BTreeSet;

use crate::mesh::{GAP, Sdk};
use crate::story::{
    Batch, Call, Made, Received, Root, Spelling, Story, Taken, Target, Trace, Tried, Try, Verdict,
};

/// The smallest story found for which `fails` holds; `story` is one.
pub fn shrunk(story: &Story, fails: impl Fn(&Story) -> bool) -> Story {
    let mut smallest = story.clone();
    loop {
        let candidates = candidates(&smallest).into_iter().map(whole).filter(is_knowable);
        let smaller = candidates.into_iter().find(|candidate| fails(candidate));
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return smallest,
        }
    }
}

/// Takes from batches the messages that were left out, and so on: what the consumer of an empty batch had sent is
/// gone too.
fn whole(mut story: Story) -> Story {
    loop {
        let sent: BTreeSet<u64> =
            story.traces.iter().flat_map(Trace::calls).map(|call| call.number).collect();
        let batches = story.traces.iter_mut().filter_map(|trace| match &mut trace.root {
            Root::Batch(batch) => Some(batch),
            Root::Entry(_) | Root::Job { .. } => None,
        });
        batches.for_each(|batch| keep_sent(batch, &sent));
        let before = story.traces.len();
        story.traces.retain(|trace| !matches!(&trace.root, Root::Batch(batch) if batch.messages.is_empty()));
        let calls = story.traces.iter().map(|trace| trace.calls().len()).sum::<usize>();
        if story.traces.len() == before && calls == sent.len() {
            return story;
        }
    }
}

/// Whether something tells of each call that arrived: who tells only of what it made has made something.
fn is_knowable(story: &Story) -> bool {
    let is_told = |tried: &Try| {
        let service = &story.mesh.services[tried.at.service];
        !tried.calls.is_empty() || !(service.sdk == Sdk::Made || service.is_gateway)
    };
    story.traces.iter().flat_map(Trace::calls).all(|call| call.receptions().all(is_told))
}

fn keep_sent(batch: &mut Batch, sent: &BTreeSet<u64>) {
    for at in (0..batch.messages.len()).rev() {
        if !sent.contains(&batch.messages[at]) {
            batch.messages.remove(at);
            if batch.taken != Taken::Together {
                batch.tries.remove(at);
            }
        }
    }
}

/// Stories that lack a little of `story`, the boldest first.
fn candidates(story: &Story) -> Vec<Story> {
    let mut candidates = Vec::new();
    let traces = story.traces.len();
    for size in [traces / 2, traces / 4, 1] {
        if size == 0 {
            continue;
        }
        for from in (0..traces).step_by(size) {
            let mut smaller = story.clone();
            smaller.traces.drain(from..(from + size).min(traces));
            candidates.push(smaller);
        }
    }
    for at in 0..traces {
        for trace in smaller_traces(&story.traces[at]) {
            let mut smaller = story.clone();
            smaller.traces[at] = trace;
            candidates.push(smaller);
        }
    }
    candidates
}

fn smaller_traces(trace: &Trace) -> Vec<Trace> {
    let with_root = |root| Trace { root, ..trace.clone() };
    let mut smaller: Vec<Trace> = match &trace.root {
        Root::Entry(call) => {
            smaller_calls(call).into_iter().map(|call| with_root(Root::Entry(call))).collect()
        }
        Root::Job { at, start, duration, calls } => smaller_lists(calls)
            .into_iter()
            .map(|calls| with_root(Root::Job { at: *at, start: *start, duration: *duration, calls }))
            .collect(),
        Root::Batch(batch) => {
            smaller_batches(batch).into_iter().map(|batch| with_root(Root::Batch(batch))).collect()
        }
    };
    // What a service did while it served, it may as well have done by itself.
    let receptions = trace.calls().into_iter().flat_map(Call::receptions);
    let served = receptions.filter(|tried| !tried.calls.is_empty());
    smaller.extend(served.map(|tried| {
        let (at, start, duration) = (tried.at, tried.start, tried.duration);
        with_root(Root::Job { at, start, duration, calls: tried.calls.clone() })
    }));
    if trace.weight != 1 {
        smaller.push(Trace { weight: 1, ..trace.clone() });
    }
    smaller
}

fn smaller_batches(batch: &Batch) -> Vec<Batch> {
    let mut smaller = Vec::new();
    for at in 0..batch.messages.len() {
        let mut without = batch.clone();
        without.messages.remove(at);
        if batch.taken != Taken::Together {
            without.tries.remove(at);
        }
        smaller.push(without);
    }
    for at in 0..batch.tries.len() {
        for tried in smaller_tries(&batch.tries[at]) {
            let mut changed = batch.clone();
            changed.tries[at] = tried;
            smaller.push(changed);
        }
    }
    smaller
}

fn smaller_lists(calls: &[Call]) -> Vec<Vec<Call>> {
    let mut smaller = Vec::new();
    for at in 0..calls.len() {
        let mut without = calls.to_vec();
        let taken = without.remove(at);
        smaller.push(without);
        for call in smaller_calls(&taken) {
            let mut changed = calls.to_vec();
            changed[at] = call;
            smaller.push(changed);
        }
    }
    smaller
}

fn smaller_calls(call: &Call) -> Vec<Call> {
    let mut smaller = Vec::new();
    let mut push = |changed: Call| smaller.push(changed);
    for at in 0..call.mirrors.len() {
        let mut without = call.clone();
        without.mirrors.remove(at);
        push(without);
    }
    let made = call.made;
    let simpler = [
        Made { internals: 0, ..made },
        Made { operation: false, ..made },
        Made { connecting: false, ..made },
        Made { by_client: false, ..made },
        Made { created: false, ..made },
        Made { spelling: Spelling::ServerAddress, ..made },
    ];
    // A store's operation alone may know which it is.
    let keeps_operation = matches!(call.target, Target::Store(_));
    let simpler = simpler.into_iter().filter(|it| !keeps_operation || it.operation == made.operation);
    for made in simpler.filter(|simpler| *simpler != made) {
        push(Call { made, ..call.clone() });
    }
    if call.upgrade.is_some() {
        push(Call { upgrade: None, ..call.clone() });
    }
    if call.shares_id {
        push(Call { shares_id: false, ..call.clone() });
    }
    let is_single = call.tries.len() == 1 && call.refusal.is_none();
    if is_single && call.verdict != Verdict::Ok {
        let mut fine = Call { verdict: Verdict::Ok, ..call.clone() };
        fine.tries[0].verdict = Verdict::Ok;
        push(fine);
    }
    if call.tries.len() > 1 {
        // The last try is the call's; of messages any may go.
        let mut fewer = call.clone();
        fewer.tries.remove(0);
        fewer.tried = if fewer.tries.len() == 1 { Tried::Hidden } else { fewer.tried };
        if !matches!(call.target, Target::Queue(_)) {
            fewer.start = fewer.tries[0].start - GAP;
            fewer.duration = call.start + call.duration - fewer.start;
        }
        push(fewer);
    }
    for at in 0..call.tries.len() {
        for tried in smaller_tries(&call.tries[at]) {
            let mut changed = call.clone();
            changed.tries[at] = tried;
            smaller.push(changed);
        }
    }
    for at in 0..call.mirrors.len() {
        for tried in smaller_tries(&call.mirrors[at]) {
            let mut changed = call.clone();
            changed.mirrors[at] = tried;
            smaller.push(changed);
        }
    }
    smaller
}

fn smaller_tries(tried: &Try) -> Vec<Try> {
    let received = tried.received;
    let simpler = [
        Received { frames: received.frames.saturating_sub(1), ..received },
        Received { internal_between: false, ..received },
        Received { receive: false, ..received },
        Received { settled: false, ..received },
        Received { is_other_kind: false, ..received },
    ];
    let simpler = simpler.into_iter().filter(|simpler| *simpler != received);
    let mut smaller: Vec<Try> = simpler.map(|received| Try { received, ..tried.clone() }).collect();
    smaller.extend(smaller_lists(&tried.calls).into_iter().map(|calls| Try { calls, ..tried.clone() }));
    smaller
}
