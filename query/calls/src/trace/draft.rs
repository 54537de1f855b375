//! A made call in the making: what is known of it from the layers, tries and answers found so far.

use meshlake_schema::Outcome;

use super::sides::Side;
use super::tree::NONE;
use crate::cell_key::DetailId;
use crate::measure::Protocol;
use crate::party::PartyId;
use crate::spans::{Flags, Role, Span};

/// A call as its caller made it. Its received sides are linked by `Side::next`.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// The span whose id a consumer's link would hold.
    pub span: u32,
    /// The span that tells what became of it: the last try's.
    pub told_by: u32,
    pub party: PartyId,
    pub start: i64,
    pub end: i64,
    pub duration: i64,
    pub weight: u64,
    pub outcome: Outcome,
    pub protocol: Protocol,
    pub detail: DetailId,
    pub failed: bool,
    pub cancelled: bool,
    /// Tries that the caller's proxy let not pass.
    pub refused: u32,
    /// It lasted as long as a connection.
    pub lasting: bool,
    /// Its far end has a name, not only an address.
    pub is_named: bool,
    /// It only looked up a name or connected.
    pub connects: bool,
    /// It only looked up a name.
    pub looks_up: bool,
    pub is_message: bool,
    pub resends: u8,
    /// The far end in the caller's words; nobody without any.
    pub named: PartyId,
    pub first_side: u32,
    pub last_side: u32,
    pub sides: u32,
    /// Tries of the call, the first one included.
    pub tries: u32,
}

impl Draft {
    pub fn of(at: u32, span: &Span) -> Draft {
        Draft {
            span: at,
            told_by: at,
            party: span.party,
            start: span.start,
            end: span.end(),
            duration: span.duration,
            weight: span.weight,
            outcome: span.outcome,
            protocol: span.protocol,
            detail: span.detail,
            failed: span.flags.has(Flags::FAILED),
            cancelled: span.flags.has(Flags::CANCELLED),
            refused: u32::from(span.flags.has(Flags::REFUSED)),
            lasting: span.flags.has(Flags::LASTING),
            is_named: span.flags.has(Flags::NAMED),
            connects: span.flags.has(Flags::CONNECTING),
            looks_up: span.flags.has(Flags::LOOKING_UP),
            is_message: span.role == Role::Produced,
            resends: span.resends,
            named: span.peer,
            first_side: NONE,
            last_side: NONE,
            sides: 0,
            tries: 1,
        }
    }

    pub fn is_answered(&self) -> bool {
        self.sides > 0
    }

    /// Adds a received side behind those there are.
    pub fn answer(&mut self, at: u32, sides: &mut [Side]) {
        sides[at as usize].next = NONE;
        if self.sides == 0 {
            self.first_side = at;
        } else {
            sides[self.last_side as usize].next = at;
        }
        self.last_side = at;
        self.sides += 1;
        self.tries = self.tries.max(self.sides);
    }

    /// Adds the received sides of another draft behind those there are.
    pub fn take_answers(&mut self, other: &Draft, sides: &mut [Side]) {
        if other.sides == 0 {
            return;
        }
        if self.sides == 0 {
            self.first_side = other.first_side;
        } else {
            sides[self.last_side as usize].next = other.first_side;
        }
        self.last_side = other.last_side;
        self.sides += other.sides;
    }

    /// The same call tried once more: it is whole from the first try to the last, and the last decides, but for a
    /// hedge that was called off.
    pub fn tried_again(&mut self, next: &Draft, sides: &mut [Side]) {
        self.take_answers(next, sides);
        self.tries += next.tries;
        let is_beaten = next.cancelled && !self.failed;
        if !is_beaten {
            self.end = next.end;
            self.duration = next.end.saturating_sub(self.start);
            (self.outcome, self.failed, self.cancelled) = (next.outcome, next.failed, next.cancelled);
            self.told_by = next.told_by;
        }
        self.refused += next.refused;
        self.lasting |= next.lasting;
        if next.is_named || self.named == PartyId::NOBODY {
            (self.named, self.is_named) = (next.named, next.is_named);
        }
    }
}
