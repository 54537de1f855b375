//! Which service answers to a name that only its callers use.
//!
//! A caller names whom it calls by a host, a route or an address; the callee has a name of its own, and where both
//! sides of a call were seen, the one is an alias of the other. Calls of which only the caller's side was seen are
//! brought to the same node by it. A name that several services answered to (a load balancer's) is nobody's alias, nor
//! is one that something reports itself under. An address may be given to another service: whose it is, is told first
//! by the ten minutes that a call lies in.

use std::collections::HashSet;

use crate::hashing::NumberMap;
use crate::minutes::{Scope, Words, minute_of};
use crate::party::{Marks, PartyId};
use crate::services::{ServiceId, Services};

/// Which party answered to which word, by the minute of the call and the kind of rows that told: what rows of those
/// minutes may be joined by.
#[derive(Debug, Default)]
pub struct Learnt {
    by_minute: NumberMap<(i64, Words), HashSet<(PartyId, PartyId)>>,
    is_closed: bool,
}

impl Learnt {
    pub fn learn(&mut self, kind: Words, time: i64, word: PartyId, own: PartyId) {
        if !self.is_closed {
            self.by_minute.entry((minute_of(time), kind)).or_default().insert((word, own));
        }
    }

    /// Learns what another did.
    pub fn absorb(&mut self, other: Learnt) {
        for (minute, learnt) in other.by_minute {
            self.by_minute.entry(minute).or_default().extend(learnt);
        }
    }

    /// Learns nothing more: what is joined by aliases tells of none, or they would reach from minute to minute.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// The aliases that calls of these minutes tell of.
    pub fn aliases(&self, scope: Scope, words: Words, services: &Services) -> Aliases {
        let mut aliases = Aliases::default();
        for kind in words.kinds() {
            let minutes =
                (scope.first..=scope.last).filter_map(|minute| self.by_minute.get(&(minute, *kind)));
            for (word, own) in minutes.flatten() {
                aliases.learn(services.of(*word), services.of(*own));
            }
        }
        aliases
    }
}

/// Whose name each word is.
#[derive(Debug, Default)]
pub struct Aliases {
    /// By the service that the caller's word names; `None` where several answered to it.
    answered: NumberMap<ServiceId, Option<ServiceId>>,
    /// The same in ten minutes of the clock, of addresses.
    answered_in: NumberMap<(u16, ServiceId), Option<ServiceId>>,
    /// Of which addresses anything is known there.
    timed: HashSet<ServiceId>,
}

impl Aliases {
    /// Learns that `callee` answered to `word`.
    pub fn learn(&mut self, word: ServiceId, callee: ServiceId) {
        add(self.answered.entry(word).or_insert(Some(callee)), callee);
    }

    /// Learns that `callee` answered in a window to a word that is an address, which is another's in another.
    pub fn learn_address(&mut self, window: u16, word: ServiceId, callee: ServiceId) {
        add(self.answered_in.entry((window, word)).or_insert(Some(callee)), callee);
        self.timed.insert(word);
        self.learn(word, callee);
    }

    /// Whether it may stand for another service in another window.
    pub fn is_timed(&self, word: ServiceId) -> bool {
        self.timed.contains(&word)
    }

    /// As [`Aliases::resolve`], in a window.
    pub fn resolve_in(&self, window: u16, word: ServiceId, services: &Services) -> ServiceId {
        match self.answered_in.get(&(window, word)) {
            Some(Some(callee)) if !services.service(word).marks.has(Marks::OBSERVED) => *callee,
            _ => self.resolve(word, services),
        }
    }

    /// The service that `word` stands for: itself, unless it is an alias.
    pub fn resolve(&self, word: ServiceId, services: &Services) -> ServiceId {
        if services.service(word).marks.has(Marks::OBSERVED) {
            return word;
        }
        self.answered.get(&word).copied().flatten().unwrap_or(word)
    }
}

fn add(held: &mut Option<ServiceId>, callee: ServiceId) {
    if *held != Some(callee) {
        *held = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::{Parties, PartyName};

    fn services(names: &[(&str, Marks)]) -> (Vec<ServiceId>, Services) {
        let mut parties = Parties::default();
        let named = |name| PartyName { name, ..PartyName::default() };
        let held: Vec<_> = names.iter().map(|(name, marks)| parties.intern(&named(name), *marks)).collect();
        let services = Services::resolve(&parties);
        (held.into_iter().map(|party| services.of(party)).collect(), services)
    }

    #[test]
    fn a_name_that_one_service_answers_to_is_that_service() {
        let (ids, services) = services(&[("web-svc", Marks::OUTSIDE), ("web", Marks::OBSERVED)]);
        let mut aliases = Aliases::default();
        assert_eq!(aliases.resolve(ids[0], &services), ids[0]);
        aliases.learn(ids[0], ids[1]);
        aliases.learn(ids[0], ids[1]);
        assert_eq!(aliases.resolve(ids[0], &services), ids[1]);
    }

    /// In one window the address is a's, in the next b's; of the third nobody tells.
    #[test]
    fn an_address_is_of_who_answered_in_that_window() {
        let names = [("10.0.0.1", Marks::OUTSIDE), ("a", Marks::OBSERVED), ("b", Marks::OBSERVED)];
        let (ids, services) = services(&names);
        let mut aliases = Aliases::default();
        aliases.learn_address(0, ids[0], ids[1]);
        let resolved =
            |aliases: &Aliases| [0, 1, 2].map(|window| aliases.resolve_in(window, ids[0], &services));
        assert_eq!(resolved(&aliases), [ids[1]; 3], "all that is known of it");
        aliases.learn_address(1, ids[0], ids[2]);
        assert_eq!(resolved(&aliases), [ids[1], ids[2], ids[0]]);
        aliases.learn_address(1, ids[0], ids[1]);
        assert_eq!(resolved(&aliases), [ids[1], ids[0], ids[0]]);
    }

    #[test]
    fn a_name_that_two_answer_to_or_that_speaks_for_itself_is_no_alias() {
        let names = [("lb", Marks::OUTSIDE), ("a", Marks::OBSERVED), ("b", Marks::OBSERVED)];
        let (ids, services) = services(&names);
        let mut aliases = Aliases::default();
        aliases.learn(ids[0], ids[1]);
        aliases.learn(ids[0], ids[2]);
        aliases.learn(ids[0], ids[1]);
        aliases.learn(ids[1], ids[2]);
        assert_eq!(aliases.resolve(ids[0], &services), ids[0]);
        assert_eq!(aliases.resolve(ids[1], &services), ids[1]);
    }
}
