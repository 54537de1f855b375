//! Numbers of lines, and of what is told apart in them, that stay the same from question to question.
//!
//! A question numbers the ends of calls as it meets them. What is kept for several questions needs numbers of its own, or each of
//! a million cells would be looked up by its names again. Limits: [`LINES_MAX`] lines, and as many details.

use crate::cell_key::Line;
use crate::cells::Book;
use crate::hashing::NumberMap;
use crate::party::{Interner, Parties, PartyId};

/// Most lines that are numbered: of some twenty thousand edges, which with their names take about 20 MB.
pub const LINES_MAX: usize = 100_000;

/// The number of no detail.
pub(super) const NO_DETAIL: u32 = 0;

/// Lines of all cells that are kept.
#[derive(Debug)]
pub struct Lines {
    parties: Parties,
    lines: Vec<Line>,
    numbers: NumberMap<Line, u32>,
    /// But for the first, which stands for none.
    details: Interner<Option<String>>,
}

impl Default for Lines {
    fn default() -> Self {
        let mut details = Interner::new(LINES_MAX);
        details.intern(None::<&str>, || None);
        Lines { parties: Parties::default(), lines: Vec::new(), numbers: NumberMap::default(), details }
    }
}

impl Lines {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many texts there are of what is told apart in them.
    pub fn details_len(&self) -> usize {
        self.details.values().len()
    }

    /// The number of a line whose ends `of` numbers; none where there is no room for one more.
    pub fn number(&mut self, line: &Line, of: &Parties) -> Option<u32> {
        let source = brought(line.source, of, &mut self.parties)?;
        let destination = brought(line.destination, of, &mut self.parties)?;
        let line = Line { source, destination, ..*line };
        if let Some(number) = self.numbers.get(&line) {
            return Some(*number);
        }
        let number = u32::try_from(self.lines.len()).ok().filter(|_| self.lines.len() < LINES_MAX)?;
        self.lines.push(line);
        self.numbers.insert(line, number);
        Some(number)
    }

    /// The number of what is told apart; none where there is no room for one more.
    pub(super) fn detail(&mut self, text: Option<&str>) -> Option<u32> {
        self.details.intern(text, || text.map(str::to_owned))
    }

    /// What is told apart, by number.
    pub(super) fn details(&self) -> impl Iterator<Item = Option<&str>> {
        self.details.values().iter().map(Option::as_deref)
    }

    /// All of them by the numbers of a book, which is told each time.
    pub(super) fn brought(&self) -> Brought<'_> {
        Brought { lines: self, parties: vec![None; self.parties.len()] }
    }
}

/// Lines by the numbers of one book.
pub(super) struct Brought<'l> {
    lines: &'l Lines,
    /// Those that were asked for.
    parties: Vec<Option<PartyId>>,
}

impl Brought<'_> {
    /// The line of a number, by the numbers that `book` has for its ends; none where it has room for no more names.
    pub fn line(&mut self, number: u32, book: &mut Book) -> Option<Line> {
        let line = self.lines.lines[number as usize];
        let (source, destination) = (self.party(line.source, book)?, self.party(line.destination, book)?);
        Some(Line { source, destination, ..line })
    }

    fn party(&mut self, party: PartyId, book: &mut Book) -> Option<PartyId> {
        let known = &mut self.parties[party.index()];
        if known.is_none() {
            *known = brought(party, &self.lines.parties, &mut book.parties);
        }
        *known
    }
}

/// The number of a party among others; none where there is no room for it.
fn brought(party: PartyId, of: &Parties, to: &mut Parties) -> Option<PartyId> {
    if party.is_built_in() {
        return Some(party);
    }
    let held = of.party(party);
    let brought = to.intern(&held.as_name(), held.marks);
    (brought != PartyId::OTHER).then_some(brought)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell_key::Evidence;
    use crate::entry::Entry;
    use crate::grouping::{By, Grain};
    use crate::party::{Marks, PartyName};

    #[test]
    fn a_line_beyond_the_bound_has_no_number() {
        let mut parties = Parties::default();
        let services: Vec<PartyId> = (0..=LINES_MAX.isqrt())
            .map(|number| {
                let name = number.to_string();
                parties.intern(&PartyName { name: &name, ..PartyName::default() }, Marks::OBSERVED)
            })
            .collect();
        let (evidence, entry) = (Evidence::Spans, Entry::Edge);
        let line = |source, destination| Line { source, destination, evidence, entry };
        let mut lines = Lines::default();
        let pairs = services.iter().flat_map(|from| services.iter().map(move |to| line(*from, *to)));
        let pairs: Vec<Line> = pairs.collect();
        for (number, line) in (0..).zip(&pairs[..LINES_MAX]) {
            assert_eq!(lines.number(line, &parties), Some(number));
        }
        assert_eq!(lines.number(&pairs[LINES_MAX], &parties), None);
        assert_eq!(lines.number(&pairs[7], &parties), Some(7), "one that has a number keeps it");
        assert_eq!(lines.len(), LINES_MAX);
        for number in 1..LINES_MAX as u32 {
            assert_eq!(lines.detail(Some(&format!("GET /{number}"))), Some(number));
        }
        assert_eq!(lines.detail(Some("GET /one-more")), None);
        assert_eq!((lines.detail(None), lines.detail(Some("GET /9"))), (Some(NO_DETAIL), Some(9)));
        assert_eq!(lines.details().nth(9), Some(Some("GET /9")));
    }

    /// What nobody names is the same to all; names are brought over with all that makes them others.
    #[test]
    fn a_line_has_the_ends_that_it_had() {
        let mut parties = Parties::default();
        let mut book = Book::new(crate::fixture::range(), By::Service, Grain::Node);
        book.intern(&PartyName { name: "another", ..PartyName::default() }, Marks::NONE);
        let name = PartyName {
            name: "redis",
            namespace: Some("shop"),
            version: Some("v2"),
            port: 6_379,
            is_scoped: true,
            ..PartyName::default()
        };
        let redis = parties.intern(&name, Marks::DATABASE);
        let line = Line {
            source: PartyId::CALLERS,
            destination: redis,
            evidence: Evidence::Requests,
            entry: Entry::Refused,
        };
        let mut lines = Lines::default();
        let number = lines.number(&line, &parties).expect("there is room");
        let again = lines.brought().line(number, &mut book).expect("there is room");
        assert_eq!((again.source, again.evidence, again.entry), (line.source, line.evidence, line.entry));
        assert_eq!(book.parties.party(again.destination), parties.party(redis));
        assert_ne!(again.destination, redis, "by the book's own numbers");
    }
}
