//! Names of operations and instances as numbers, those of calls and those of other spans each within a bound.

use crate::party::{self, Interner};

/// Most operations or instances held while rows are read, those of calls and those of other spans each: the
/// busiest are known only at the end. At 60 bytes each 12 MB.
pub const DETAILS_HELD_MAX: usize = 200_000;

/// The number of no name, and that of all beyond the bound.
pub const NONE: u32 = 0;
pub const OTHER: u32 = 1;

/// Names by number.
#[derive(Debug)]
pub struct Details {
    names: Interner<String>,
    /// How many are of spans that may be no calls.
    of_other_spans: usize,
    overflowed: bool,
}

impl Default for Details {
    fn default() -> Self {
        let mut names = Interner::new(2 * DETAILS_HELD_MAX);
        // In the order of the constants.
        names.intern("", String::new);
        names.intern(party::OTHER, || party::OTHER.to_owned());
        Details { names, of_other_spans: 0, overflowed: false }
    }
}

impl Details {
    /// The number of what a call is named by.
    pub fn of_call(&mut self, text: &str) -> u32 {
        let is_full = self.names.values().len() >= self.of_other_spans + DETAILS_HELD_MAX;
        self.intern(text, is_full)
    }

    /// The number of what a span is named by that may not be a call.
    pub fn of_other_span(&mut self, text: &str) -> u32 {
        let before = self.names.values().len();
        let number = self.intern(text, self.of_other_spans >= DETAILS_HELD_MAX);
        self.of_other_spans += self.names.values().len() - before;
        number
    }

    /// The number of what others are summed up as, which there are few of.
    pub fn of_summary(&mut self, text: &str) -> u32 {
        self.names.intern(text, || text.to_owned()).unwrap_or(OTHER)
    }

    /// Whether some names found no room.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub fn count(&self) -> usize {
        self.names.values().len()
    }

    pub fn text(&self, number: u32) -> &str {
        self.names.value(number)
    }

    fn intern(&mut self, text: &str, is_full: bool) -> u32 {
        let known = if is_full { self.names.known(text) } else { None };
        match (known, is_full) {
            (Some(number), _) => number,
            (None, false) => self.names.intern(text, || text.to_owned()).unwrap_or(OTHER),
            (None, true) => {
                self.overflowed = true;
                OTHER
            }
        }
    }
}
