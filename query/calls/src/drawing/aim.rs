//! Says of each cell where its calls are summed: at which node, on which edge, and whether they count there or are told beside.
//!
//! What of that is shown is decided after: all cells are aimed at, so that what is not shown is known by its calls.

use super::outline::Outline;
use super::sheet::Place;
use crate::by_line::ByLine;
use crate::cell_key::{CellKey, Evidence};
use crate::choice::{Choice, Choices};
use crate::entry::Entry;
use crate::noted::{Notes, Wish};
use crate::one_call::CallSeen;
use crate::placed::{EdgeChoices, Placed};
use crate::services::Services;

/// Says where cells go, by what was chosen.
pub struct Aim<'a> {
    pub services: &'a Services,
    pub choices: &'a Choices,
}

/// Where all cells go, whatever of them is shown.
pub struct Aimed {
    pub places: ByLine<Place>,
    pub outline: Outline,
    /// Of nodes: some cell of an end counts.
    pub is_told: Vec<bool>,
    /// Those that are listed.
    pub calls: Vec<CallSeen>,
}

impl Aim<'_> {
    /// Aims at all cells, whose ends are nodes at these of so many places.
    pub fn all(
        &self,
        cells: &[Placed],
        ends: &[(Option<u32>, u32)],
        nodes: usize,
        notes: &mut Notes<CellKey>,
    ) -> Aimed {
        let mut aimed = Aimed {
            places: ByLine::default(),
            outline: Outline::of(nodes),
            is_told: vec![false; nodes],
            calls: Vec::new(),
        };
        let newest_only = notes.wish() == Wish::Newest;
        let mut noted = notes.take_by(CellKey::surveyed);
        let lists = !noted.is_empty();
        for (cell, (source, target)) in cells.iter().zip(ends) {
            let (mut at_node, mut on_edge, mut is_told) = (0, 0, false);
            let places = self.places(cell, *source, *target).map(|(window, requests, place)| {
                let counts = place.counts || place.node.is_some();
                is_told |= counts;
                at_node += if place.node.is_some() && !place.is_bytes { requests } else { 0 };
                on_edge += if place.counts { requests } else { 0 };
                // Few questions list calls, and a day has a million cells.
                if lists {
                    let notes = noted.remove(&CellKey::surveyed_of(&cell.line, window)).unwrap_or_default();
                    let notes = if counts || !newest_only { &notes[..] } else { &[] };
                    let ends = (source.map(|source| source as usize), *target as usize);
                    aimed.calls.extend(CallSeen::of(cell, self.services, ends, notes));
                }
                (window, place)
            });
            aimed.places.put(cell.line, places, Place::eq);
            aimed.outline.add(*source, *target, at_node, on_edge);
            for node in source.iter().chain([target]) {
                aimed.is_told[*node as usize] |= is_told;
            }
        }
        aimed
    }

    /// Where the cells of a line go whose ends are nodes, window by window, and how many calls they have.
    fn places(&self, cell: &Placed, from: Option<u32>, to: u32) -> impl Iterator<Item = (u16, u64, Place)> {
        let (entry, evidence) = (cell.entry, cell.line.evidence);
        let mut at_node = self.choices.of_node(cell.target);
        let mut on_edge = cell
            .source
            .map(|source| EdgeChoices::of(self.choices, self.services, (source, cell.target)))
            .zip(from);
        cell.told.iter().map(move |(window, counted)| {
            let at_node = at_node.choice(*window);
            let Some((on_edge, from)) = &mut on_edge else {
                let node = at_node.counts(evidence, entry).then_some(to);
                return (*window, counted.requests, Place { node, ..Place::default() });
            };
            let (choice, no_reports) = (on_edge.choice(*window), at_node == Choice::EdgesIn);
            (*window, counted.requests, place_of_edge((*from, to), (entry, evidence), choice, no_reports))
        })
    }
}

/// Where cells of an edge go between nodes `ends`, and whether to the node, of which there are no reports.
fn place_of_edge(
    ends: (u32, u32),
    (entry, evidence): (Entry, Evidence),
    choice: Choice,
    no_reports: bool,
) -> Place {
    if matches!(entry, Entry::Carrying | Entry::CarryingTraced) {
        // What connections told of calls that spans tell of, which know no bytes.
        let is_bytes = choice == Choice::Of(Evidence::Spans);
        let node = (is_bytes && no_reports).then_some(ends.1);
        return Place { node, edge: Some(ends).filter(|_| is_bytes), counts: false, is_bytes };
    }
    let counts = choice.counts(evidence, entry);
    let node = (counts && no_reports && entry != Entry::Refused).then_some(ends.1);
    Place { node, edge: Some(ends), counts, is_bytes: false }
}
