//! What a fold gives once all rows are in: a picture, parts, series, or cells to be kept.

use std::hash::RandomState;

use super::Fold;
use crate::assembly::{Assembly, Surveyed};
use crate::cell_key::DetailId;
use crate::drawing::{Counted, Drawing};
use crate::error::FoldError;
use crate::parts::Parts;
use crate::parts_frame::PartsFrame;
use crate::picture::Picture;
use crate::series::chunk::Chunk;
use crate::series::told::told;
use crate::settled::Settled;
use crate::settled::digest::Digest;
use crate::settled::lines::Lines;
use crate::trace::order::WALKED_SPANS_MAX;

impl Fold {
    /// Joins what lies in several passes, chooses, and groups, where nothing is settled. A pass that was not ended is ended;
    /// rows that it could not hold are then left out, which only those avoid who feed them again.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn finish(self) -> Result<Picture, FoldError> {
        self.drawing()?.finish()
    }

    /// The same, to which what is shown of settled cells is still added.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn drawing(mut self) -> Result<Drawing, FoldError> {
        let warnings = self.finished()?;
        let Fold { book, survey, frame, beside, question, .. } = self;
        Drawing::of(Counted { book, survey, source: question.source, frame, beside, warnings })
    }

    /// All that was counted, without a choice among it, for a question whose grain is [`crate::Grain::Told`].
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn finish_parts(self) -> Result<Parts, FoldError> {
        self.assembly(PartsFrame::default())?.finish()
    }

    /// What is wanted of it, to which settled cells that were surveyed are still added.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn assembly(mut self, wanted: PartsFrame) -> Result<Assembly, FoldError> {
        let warnings = self.finished()?;
        let Fold { book, survey, beside, question, .. } = self;
        Assembly::of(Surveyed { book, survey, source: question.source, beside, warnings }, wanted)
    }

    /// The series of all that was counted, for a question of ten minutes of the clock whose grain is [`crate::Grain::Labels`], of
    /// buckets of `slot_seconds`. `hasher` is to be that of all chunks that are compared.
    ///
    /// # Errors
    /// [`FoldError`]; [`FoldError::TooManyCells`] also where codes could not be told apart: wider buckets help.
    pub fn finish_series(mut self, slot_seconds: u32, hasher: &RandomState) -> Result<Chunk, FoldError> {
        let warnings = self.finished()?;
        let is_cut = self.book.cells().any(|(key, _)| key.detail == DetailId::OTHER);
        if is_cut && !self.book.grain.tells_operations() {
            return Err(FoldError::TooManyCells);
        }
        Ok(told(&self.book, i64::from(slot_seconds) * 1_000, hasher, warnings))
    }

    /// All cells that were added, for questions to come of this one's grouping and grain, which tells no callers. Its step has to
    /// be as wide as cells are. None where `lines` has no room for what they are of.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn digest(mut self, lines: &mut Lines) -> Result<Option<Digest>, FoldError> {
        self.charge()?;
        if self.book.cells_overflowed() || self.book.is_cut() {
            return Err(FoldError::TooManyCells);
        }
        Ok(Digest::of(&self.book, lines))
    }

    /// The same of all that rows tell, which are in. None also where there is something to be said of them with each answer.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn digest_of_rows(mut self, lines: &mut Lines) -> Result<Option<Digest>, FoldError> {
        if self.finished()?.is_empty() { self.digest(lines) } else { Ok(None) }
    }

    /// The cells of all that was counted, for the settled tables. The question is to tell everything apart
    /// ([`crate::By::Whole`], [`crate::Grain::Whole`]) in buckets that are no wider than cells, and its range to be of whole cells.
    /// Of narrower cells, only what the widest table tells is known; its cells can be made of them.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn settle(mut self) -> Result<Settled, FoldError> {
        self.count_all()?;
        let is_cut = self.is_sliced || self.book.is_cut();
        Ok(Settled { book: self.book, is_cut, _granted: self.beside })
    }

    /// Counts what is left, and what to say of it.
    fn finished(&mut self) -> Result<Vec<String>, FoldError> {
        let mut warnings = Vec::new();
        if self.count_all()? {
            warnings.push("some rows did not fit into memory and were not read again".to_owned());
        }
        if self.book.cut_traces > 0 {
            warnings.push(format!(
                "traces of more than {WALKED_SPANS_MAX} spans are looked at in parts; calls from one part to the next are on no edge"
            ));
        }
        Ok(warnings)
    }
}
