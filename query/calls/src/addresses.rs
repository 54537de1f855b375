//! Whose address it is, as the rows and spans of the one who has it tell.
//!
//! A proxy that knows only addresses (nginx, HAProxy) names whom it called by one, and a callee's proxy without
//! certificates whom it was called by. Who has an address tells so in rows of its own:
//! ```text
//! endpoint   where a callee's proxy took a call: the address and port that its callers went to
//! pod        the address in the id of a sidecar's or gateway's node, which it shares with nobody; the same of a pod or
//!            container whose spans tell it (span_rows/own_addresses.rs)
//! ```
//! Far ends are found by endpoint, else by pod; callers, whose ports tell nothing, by pod. Addresses are given to others in
//! time, so an owner is looked for among the rows of the minute of the call, and two that tell of one address in one
//! minute are none. Limit: who tells of nothing in that minute is not found; the address is the name then, unless
//! calls of other minutes of the answer name it.

use crate::hashing::{NumberMap, mixed_pair, text_hash};
use crate::hosts::{PORTS_OF_HTTP, is_address};
use crate::minutes::minute_of;
use crate::party::{Marks, Naming, Parties, Party, PartyId};

/// A hash of an address and its port; 0 where no port is known.
pub fn endpoint_hash(host: &str, port: u16) -> u64 {
    if port == 0 { 0 } else { mixed_pair(text_hash(Some(host)), u64::from(port)) | 1 }
}

/// The hashes of an address that somebody calls by, with its port and without; none of what is no address, or not the same to all.
pub fn hashes_of(party: &Party) -> Option<[u64; 3]> {
    if party.is_scoped || party.naming != Naming::Host || !is_address(&party.name) {
        return None;
    }
    // No port is one of HTTP's own.
    let ports = if party.port == 0 { PORTS_OF_HTTP } else { [party.port; 2] };
    let [first, second] = ports.map(|port| endpoint_hash(&party.name, port));
    Some([first, second, text_hash(Some(&party.name))])
}

/// Parties that are held of one address in one minute. One pod is told of in two or three ways; an address of which
/// so many tell is a machine's, which many share.
const TOLD_MAX: usize = 64;

/// Who has which addresses, by the minute.
#[derive(Debug, Default)]
pub struct Addresses {
    told: NumberMap<(i64, u64), Vec<PartyId>>,
    /// What was told last, of endpoint and pod: most rows tell what the one before did.
    last: [Option<(i64, u64, PartyId)>; 2],
    /// In which minutes more is told of which address since somebody looked, if anybody does.
    changed: Option<Vec<(i64, u64)>>,
}

impl Addresses {
    /// Learns that `own` tells at `time` of having an address, of which this is the hash; 0 is none.
    pub fn tell(&mut self, time: i64, address: u64, own: PartyId) {
        let told = (minute_of(time), address, own);
        if address == 0 || own.is_built_in() || self.last.contains(&Some(told)) {
            return;
        }
        self.last = [self.last[1], Some(told)];
        let held = self.told.entry((told.0, address)).or_default();
        if held.len() < TOLD_MAX && !held.contains(&own) {
            held.push(own);
            if let Some(changed) = &mut self.changed {
                changed.push((told.0, address));
            }
        }
    }

    /// Remembers from now on of which addresses more is told.
    pub fn watch(&mut self) {
        self.changed.get_or_insert_default();
    }

    /// Of which addresses more was told since the last look, and in which minutes.
    pub fn take_changed(&mut self) -> Vec<(i64, u64)> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Lets go of what was told in the minutes before this one.
    pub fn forget_before(&mut self, minute: i64) {
        self.told.retain(|(told, _), _| *told >= minute);
    }

    /// Who has, at that time, the first of these addresses that somebody tells of having; none where several do.
    pub fn owner(
        &self,
        time: i64,
        addresses: impl IntoIterator<Item = u64>,
        parties: &Parties,
    ) -> Option<PartyId> {
        let minute = minute_of(time);
        let told = addresses.into_iter().filter_map(|address| self.told.get(&(minute, address)));
        told.filter(|told| told.iter().any(|own| speaks(*own, parties)))
            .map(|told| one(told, parties))
            .next()?
    }

    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Bytes taken, about: hash tables are half empty at the worst.
    pub fn bytes(&self) -> usize {
        2 * self.told.len() * (size_of::<((i64, u64), Vec<PartyId>)>() + 4 * size_of::<PartyId>())
    }
}

fn speaks(party: PartyId, parties: &Parties) -> bool {
    parties.party(party).marks.has(Marks::OBSERVED)
}

/// The one service that all of these are, by the one of which most is told: rows tell more or less of it, in any order.
fn one(told: &[PartyId], parties: &Parties) -> Option<PartyId> {
    let own = || told.iter().copied().filter(|own| speaks(*own, parties));
    let name = |own: PartyId| {
        let party = parties.party(own);
        (&party.name, &party.namespace)
    };
    let known = |own: &PartyId| {
        let party = parties.party(*own);
        (&party.version, &party.workload, party.marks)
    };
    let first = own().next()?;
    let is_one = told.len() < TOLD_MAX && own().all(|other| name(other) == name(first));
    own().max_by_key(known).filter(|_| is_one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minutes::MINUTE;
    use crate::party::PartyName;

    const HERE: u64 = 7;

    fn parties() -> (Parties, [PartyId; 4]) {
        let mut parties = Parties::default();
        let name = |name, version| PartyName { name, version, ..PartyName::default() };
        let ids = [
            parties.intern(&name("a", None), Marks::OBSERVED),
            parties.intern(&name("a", Some("v1")), Marks::OBSERVED),
            parties.intern(&name("b", None), Marks::OBSERVED),
            parties.intern(&name("10.0.0.1", None), Marks::OUTSIDE),
        ];
        (parties, ids)
    }

    #[test]
    fn an_address_is_anothers_in_another_minute() {
        let (parties, [a, _, b, _]) = parties();
        let mut addresses = Addresses::default();
        addresses.tell(0, HERE, a);
        addresses.tell(MINUTE, HERE, b);
        let owners = [0, MINUTE - 1, MINUTE, 2 * MINUTE].map(|time| addresses.owner(time, [HERE], &parties));
        assert_eq!(owners, [Some(a), Some(a), Some(b), None]);
    }

    #[test]
    fn what_two_have_is_nobodys() {
        let (parties, [a, _, b, _]) = parties();
        let mut addresses = Addresses::default();
        [a, b, a].into_iter().for_each(|own| addresses.tell(0, HERE, own));
        assert_eq!(addresses.owner(0, [HERE], &parties), None);
    }

    #[test]
    fn an_address_that_many_tell_of_is_nobodys() {
        for (ways, is_somebodys) in [(TOLD_MAX - 1, true), (TOLD_MAX, false), (TOLD_MAX + 1, false)] {
            let (mut parties, mut addresses) = (Parties::default(), Addresses::default());
            for way in 0..ways {
                let version = way.to_string();
                let name = PartyName { name: "a", version: Some(&version), ..PartyName::default() };
                addresses.tell(0, HERE, parties.intern(&name, Marks::OBSERVED));
            }
            assert_eq!(addresses.owner(0, [HERE], &parties).is_some(), is_somebodys, "{ways} ways");
        }
    }

    #[test]
    fn the_same_service_told_in_two_ways_is_one_in_any_order() {
        let (parties, [bare, versioned, ..]) = parties();
        for order in [[bare, versioned], [versioned, bare]] {
            let mut addresses = Addresses::default();
            order.into_iter().for_each(|own| addresses.tell(0, HERE, own));
            assert_eq!(addresses.owner(0, [HERE], &parties), Some(versioned));
        }
    }

    #[test]
    fn only_who_speaks_for_itself_has_an_address_and_no_address_is_none() {
        let (parties, [a, .., outside]) = parties();
        let mut addresses = Addresses::default();
        addresses.tell(0, HERE, outside);
        addresses.tell(0, 0, a);
        addresses.tell(0, HERE, PartyId::CALLERS);
        assert_eq!(addresses.owner(0, [HERE, 0], &parties), None);
    }

    #[test]
    fn an_endpoint_outranks_the_pod_and_needs_a_port() {
        let (parties, [a, _, b, _]) = parties();
        let mut addresses = Addresses::default();
        let (endpoint, pod) = (endpoint_hash("10.0.0.1", 8080), text_hash(Some("10.0.0.1")));
        addresses.tell(0, pod, a);
        addresses.tell(0, endpoint, b);
        assert_eq!(addresses.owner(0, [endpoint, pod], &parties), Some(b));
        assert_eq!(addresses.owner(0, [endpoint_hash("10.0.0.1", 81), pod], &parties), Some(a));
        assert_eq!(endpoint_hash("10.0.0.1", 0), 0);
    }
}
