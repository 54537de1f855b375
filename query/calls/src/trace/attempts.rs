//! Tells tries of one call from calls of their own.
//!
//! One after the other, each failed before the next began; or one was given up on, by a time-out or because its
//! caller was gone, and then the next may overlap it; or the next one is a hedge, called off because the one before
//! had answered; or it says that it was sent before. Anything else is a call of its own: two reads side by side are
//! two reads.

use super::draft::Draft;
use super::sides::Side;

/// What tells whether something was tried again.
#[derive(Debug, Clone, Copy)]
struct Ending {
    start: i64,
    end: i64,
    failed: bool,
    cancelled: bool,
}

impl From<&Side> for Ending {
    fn from(side: &Side) -> Ending {
        let Side { start, end, failed, cancelled, .. } = *side;
        Ending { start, end, failed, cancelled }
    }
}

impl From<&Draft> for Ending {
    fn from(draft: &Draft) -> Ending {
        let Draft { start, end, failed, cancelled, .. } = *draft;
        Ending { start, end, failed, cancelled }
    }
}

/// Whether `next` tried again what `before` did not achieve, or might not.
fn follows(before: Ending, next: Ending) -> bool {
    let is_again = before.cancelled || (before.failed && before.end <= next.start);
    let is_beaten = next.cancelled && !before.failed && next.start < before.end;
    is_again || is_beaten
}

/// Groups received sides under one made span, which lasted from `start` to `end`, into calls, each to one service and in order
/// of time. Where one began while the made span did not last, clocks differ: then no order is known, and what failed was tried
/// again.
pub fn received(places: &mut [u32], sides: &[Side], (start, end): (i64, i64)) -> Vec<Vec<u32>> {
    let side = |place: &u32| &sides[*place as usize];
    places.sort_by_key(|place| (side(place).service, side(place).start, side(place).end));
    let mut calls = Vec::new();
    for of_service in places.chunk_by_mut(|a, b| side(a).service == side(b).service) {
        let is_outside = |place: &u32| !(start..=end).contains(&side(place).start);
        let is_unordered = end > start && of_service.iter().any(is_outside);
        if is_unordered {
            of_service.sort_by_key(|place| !side(place).failed);
        }
        let tries = of_service.chunk_by(|before, next| {
            (is_unordered && side(before).failed) || follows(side(before).into(), side(next).into())
        });
        calls.extend(tries.map(<[u32]>::to_vec));
    }
    calls
}

/// What makes a made call another try of one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// They are inside one layer: how the one before ended tells.
    InsideOneLayer,
    /// Only a resend count tells.
    SideBySide,
}

/// Brings tries of one call together; `calls` are to one far end and sorted by start.
pub fn made(calls: &[Draft], rule: Rule, sides: &mut [Side]) -> Vec<Draft> {
    let mut chains: Vec<Draft> = Vec::new();
    // By chain: how often it was sent. By that number: the chains that had it, the latest last.
    let mut sent: Vec<usize> = Vec::new();
    let mut by_sent: Vec<Vec<usize>> = Vec::new();
    for call in calls {
        let resends = usize::from(call.resends);
        let place = if resends > 0 {
            let waiting = by_sent.get_mut(resends);
            waiting.and_then(|waiting| {
                std::iter::from_fn(|| waiting.pop()).find(|place| sent[*place] == resends)
            })
        } else {
            let last = chains.last().filter(|_| rule == Rule::InsideOneLayer);
            let is_tried_again = last.is_some_and(|last| follows(last.into(), call.into()));
            is_tried_again.then(|| chains.len() - 1)
        };
        let place = match place {
            Some(place) => {
                chains[place].tried_again(call, sides);
                sent[place] += 1;
                place
            }
            None => {
                chains.push(*call);
                sent.push(resends + 1);
                chains.len() - 1
            }
        };
        if by_sent.len() <= sent[place] {
            by_sent.resize_with(sent[place] + 1, Vec::new);
        }
        by_sent[sent[place]].push(place);
    }
    chains
}
