//! Brings together what lies side by side: tries of one call, and a connecting beside the request that it was for.
//!
//! Tries may lie side by side under whatever set them off; then only a resend count tells. Drivers of data stores connect in
//! spans beside their statements: that is a layer of the statement's call, which has no other place for it. Where nothing
//! followed, or connecting failed, it is all that is known of the call.

use super::attempts::{self, Rule};
use super::draft::Draft;
use super::sides::{Side, Sides};
use crate::party::PartyId;
use crate::services::{ServiceId, Services};

/// What tries side by side share: the span above, the parent, which may not be stored, and the service.
pub type Siblings = (u32, u64, ServiceId);

/// Adds the calls that made spans inside no others are to those `found`.
pub fn find(
    outermost: &mut [(Siblings, Draft)],
    services: &Services,
    sides: &mut Sides,
    found: &mut Vec<Draft>,
) {
    let is_plain = |(_, draft): &(Siblings, Draft)| draft.resends == 0 && !draft.connects;
    if outermost.iter().all(is_plain) {
        return found.extend(outermost.iter().map(|(_, draft)| *draft));
    }
    outermost.sort_by_key(|(siblings, draft)| (*siblings, draft.start, draft.span));
    for alike in outermost.chunk_by(|a, b| a.0 == b.0) {
        let drafts = alike.iter().map(|(_, draft)| *draft);
        let requests = drafts.clone().filter(|draft| !draft.connects && draft.named != PartyId::NOBODY);
        let mut asked: Vec<ServiceId> = requests.map(|draft| services.of(draft.named)).collect();
        asked.sort_unstable();
        let is_asked = |named| asked.binary_search(&services.of(named)).is_ok();
        let drafts = drafts.filter(|draft| !draft.connects || is_call(draft, is_asked)).collect();
        found.extend(by_far_end(drafts, services, sides, Rule::SideBySide));
    }
}

/// Whether what only connected is a call: it is answered, or it failed, or it tells of somebody whom no request beside it
/// went to.
fn is_call(draft: &Draft, is_asked: impl Fn(PartyId) -> bool) -> bool {
    let is_telling = draft.failed || (draft.named != PartyId::NOBODY && !is_asked(draft.named));
    draft.is_answered() || (!draft.looks_up && is_telling)
}

/// The service that a call went to: the one that answered, else the one named; `None` where only an address, or
/// nothing, is known.
pub fn far_end(draft: &Draft, sides: &Sides, services: &Services) -> Option<ServiceId> {
    if draft.is_answered() {
        return Some(sides.sides[draft.last_side as usize].service);
    }
    draft.is_named.then(|| services.of(draft.named))
}

/// Brings tries to one far end together.
pub fn of_one(mut drafts: Vec<Draft>, sides: &mut [Side], rule: Rule) -> Vec<Draft> {
    drafts.sort_by_key(|draft| (draft.start, draft.end, draft.span));
    attempts::made(&drafts, rule, sides)
}

/// Brings tries together, each far end apart. What names none goes with the only one that is named.
pub fn by_far_end(drafts: Vec<Draft>, services: &Services, sides: &mut Sides, rule: Rule) -> Vec<Draft> {
    let mut keyed: Vec<(Option<ServiceId>, Draft)> =
        drafts.into_iter().map(|draft| (far_end(&draft, sides, services), draft)).collect();
    keyed.sort_by_key(|(far, draft)| (*far, draft.start, draft.end, draft.span));
    let named = keyed.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike[0].0.is_some()).count();
    if named == 1 {
        keyed.sort_by_key(|(_, draft)| (draft.start, draft.end, draft.span));
        keyed.iter_mut().for_each(|(far, _)| *far = None);
    }
    let mut found = Vec::new();
    for alike in keyed.chunk_by(|a, b| a.0 == b.0) {
        let drafts: Vec<Draft> = alike.iter().map(|(_, draft)| *draft).collect();
        found.extend(attempts::made(&drafts, rule, &mut sides.sides));
    }
    found
}
