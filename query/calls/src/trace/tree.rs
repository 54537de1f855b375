//! The spans of one trace as trees: who is whose parent, and an order in which parents come first.
//!
//! Span ids are not unique. The two halves of a call may share one (Zipkin): the parent of the received half is then
//! the made half, and a child of that id belongs to the half of its own service, else to the received one, unless it
//! only connects. Parents
//! may form circles; each is cut at its earliest span, whose parent counts as lost. Everything here is linear in the
//! number of spans but for the sorting and the looking up of ids, however deep or wide the trace.

use crate::services::{ServiceId, Services};
use crate::spans::{Flags, Span};

/// No span.
pub const NONE: u32 = u32::MAX;

/// Trees of the spans of a trace. The vectors are kept from trace to trace, for most traces are small.
#[derive(Debug, Default)]
pub struct Tree {
    pub services: Vec<ServiceId>,
    pub parents: Vec<u32>,
    /// By root: it has a parent that is not stored.
    pub is_lost: Vec<bool>,
    /// Parents before children.
    pub order: Vec<u32>,
    groups: Vec<Group>,
    /// The group that was looked up last: most spans side by side have one parent.
    looked_up: Option<Group>,
    first_child: Vec<u32>,
    next_sibling: Vec<u32>,
}

/// Spans with one id: a range of places, and the halves among them.
#[derive(Debug, Clone, Copy)]
struct Group {
    id: u64,
    from: u32,
    to: u32,
    received: u32,
    made: u32,
}

impl Tree {
    /// Builds the trees of `spans`, which are of one trace, as [`super::order`] leaves them.
    pub fn build(&mut self, spans: &[Span], services: &Services) {
        self.services.clear();
        self.services.extend(spans.iter().map(|span| services.of(span.party)));
        self.group(spans);
        self.parents.clear();
        self.is_lost.clear();
        for at in 0..spans.len() {
            let parent = self.find_parent(spans, at as u32);
            self.parents.push(parent);
            self.is_lost.push(parent == NONE && spans[at].parent != 0);
        }
        self.put_in_order(spans);
    }

    /// A span by its id, a made one if there are several; [`NONE`] if there is none.
    pub fn find_made(&self, id: u64) -> u32 {
        self.group_of(id).map_or(NONE, |group| group.made)
    }

    fn group(&mut self, spans: &[Span]) {
        self.groups.clear();
        self.looked_up = None;
        for (at, span) in (0u32..).zip(spans) {
            let is_new = self.groups.last().is_none_or(|group| group.id != span.id);
            if is_new {
                self.groups.push(Group { id: span.id, from: at, to: at, received: NONE, made: NONE });
            }
            let group = self.groups.last_mut().expect("one was pushed");
            group.to = at + 1;
            if span.role.is_received() && group.received == NONE {
                group.received = at;
            }
            if span.role.is_made() && group.made == NONE {
                group.made = at;
            }
        }
    }

    fn group_of(&self, id: u64) -> Option<Group> {
        let place = self.groups.binary_search_by_key(&id, |group| group.id).ok()?;
        Some(self.groups[place])
    }

    fn group_of_parent(&mut self, id: u64) -> Option<Group> {
        if self.looked_up.is_none_or(|group| group.id != id) {
            self.looked_up = self.group_of(id);
        }
        self.looked_up
    }

    fn find_parent(&mut self, spans: &[Span], at: u32) -> u32 {
        let span = &spans[at as usize];
        if span.role.is_received()
            && let Some(Group { made, .. }) = self.group_of(span.id)
            && made != NONE
        {
            return made;
        }
        if span.parent == 0 {
            return NONE;
        }
        match self.group_of_parent(span.parent) {
            // Looking up and connecting are the caller's work, of whichever service the halves are.
            Some(Group { made, .. }) if span.flags.has(Flags::CONNECTING) && self.is_own(made, at) => made,
            Some(group) => self.pick(spans, group, at),
            None => NONE,
        }
    }

    fn is_own(&self, parent: u32, child: u32) -> bool {
        parent != NONE && parent != child && self.services[parent as usize] == self.services[child as usize]
    }

    /// The one of several spans with one id that is the parent of `child`.
    fn pick(&self, spans: &[Span], group: Group, child: u32) -> u32 {
        let own = self.services[child as usize];
        let members = &self.services[group.from as usize..group.to as usize];
        let from = group.from + members.partition_point(|service| *service < own) as u32;
        let to = group.from + members.partition_point(|service| *service <= own) as u32;
        if from < to {
            let of_own = &spans[from as usize..to as usize];
            let role = of_own[0].role;
            let alike = of_own.partition_point(|span| span.role <= role);
            let begun = of_own[..alike].partition_point(|span| span.start <= spans[child as usize].start);
            let picked = from + begun.saturating_sub(1) as u32;
            if picked != child {
                return picked;
            }
            if to - from > 1 {
                return if picked + 1 < to { picked + 1 } else { picked - 1 };
            }
        }
        let other = if group.received == NONE { group.from } else { group.received };
        match other == child {
            false => other,
            true if group.to - group.from > 1 => group.from + u32::from(group.from == child),
            true => NONE,
        }
    }

    fn put_in_order(&mut self, spans: &[Span]) {
        let count = spans.len();
        self.first_child.clear();
        self.first_child.resize(count, NONE);
        self.next_sibling.clear();
        self.next_sibling.resize(count, NONE);
        // Backwards, so that children are listed in the order of their ids.
        for at in (0..count).rev() {
            let parent = self.parents[at];
            if parent != NONE {
                self.next_sibling[at] = self.first_child[parent as usize];
                self.first_child[parent as usize] = at as u32;
            }
        }
        self.order.clear();
        for at in 0..count {
            if self.parents[at] == NONE {
                self.order.push(at as u32);
            }
        }
        self.append_descendants(0);
        if self.order.len() < count {
            self.cut_circles(spans);
        }
    }

    fn append_descendants(&mut self, mut next: usize) {
        while next < self.order.len() {
            let mut child = self.first_child[self.order[next] as usize];
            while child != NONE {
                self.order.push(child);
                child = self.next_sibling[child as usize];
            }
            next += 1;
        }
    }

    /// What is not below a root is in a circle or below one. Each span is walked over once.
    fn cut_circles(&mut self, spans: &[Span]) {
        let mut walk_of = vec![NONE; spans.len()];
        for at in &self.order {
            walk_of[*at as usize] = 0;
        }
        for start in 0..spans.len() {
            let walk = start as u32 + 1;
            let mut at = start as u32;
            while walk_of[at as usize] == NONE {
                walk_of[at as usize] = walk;
                at = self.parents[at as usize];
            }
            if walk_of[at as usize] != walk || self.parents[at as usize] == NONE {
                continue;
            }
            let mut earliest = at;
            let mut member = self.parents[at as usize];
            while member != at {
                let key = |at: u32| (spans[at as usize].start, at);
                earliest = if key(member) < key(earliest) { member } else { earliest };
                member = self.parents[member as usize];
            }
            self.unlink(earliest);
            let next = self.order.len();
            self.order.push(earliest);
            self.append_descendants(next);
        }
    }

    fn unlink(&mut self, child: u32) {
        let parent = std::mem::replace(&mut self.parents[child as usize], NONE);
        self.is_lost[child as usize] = true;
        let first = &mut self.first_child[parent as usize];
        if *first == child {
            *first = self.next_sibling[child as usize];
            return;
        }
        let mut at = *first;
        while self.next_sibling[at as usize] != child {
            at = self.next_sibling[at as usize];
        }
        self.next_sibling[at as usize] = self.next_sibling[child as usize];
    }
}
