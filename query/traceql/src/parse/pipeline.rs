//! Pipelines: what stands between `|`.

use super::items::Item;
use super::{Mistake, Parsed, Parser};
use crate::cursor::Parse as _;
use crate::lex::Token;
use crate::tree::{Pipeline, Scalar, Series, Spansets, Stage};

/// What a pipeline comes to.
pub(super) enum Whole {
    Spans(Pipeline),
    /// A number of what the pipeline leaves, which may have no stages.
    Scalar(Pipeline, Scalar),
    Series(Series),
}

impl Parser<'_> {
    pub(super) fn pipeline(&mut self) -> Parsed<Whole> {
        let mut stages = Vec::new();
        loop {
            if let Some(stage) = self.named_stage()? {
                stages.push(stage);
            } else if let Some(function) = self.over_time_function() {
                let series = self.over_time(function, stages)?;
                return self.series_stages(series);
            } else {
                match self.item(0)? {
                    Item::Spans(spansets) => stages.push(Stage::Spansets(spansets)),
                    Item::Series(series) if stages.is_empty() => return self.series_stages(series),
                    Item::Series(_) => {
                        return Err(Mistake::new(
                            self.start(),
                            "series are made of spans once, by a function",
                        ));
                    }
                    Item::Scalar(scalar) => return self.scalar_end(stages, scalar),
                }
            }
            if !self.takes("|") {
                return Ok(Whole::Spans(Pipeline { stages }));
            }
        }
    }

    fn scalar_end(&self, stages: Vec<Stage>, scalar: Scalar) -> Parsed<Whole> {
        if self.peek() == Token::Sign("|") {
            let message = format!("{scalar} has to be compared, as in {scalar} > 2");
            return Err(Mistake::new(self.start(), message));
        }
        Ok(Whole::Scalar(Pipeline { stages }, scalar))
    }

    /// `by()`, `coalesce()` or `select()`.
    fn named_stage(&mut self) -> Parsed<Option<Stage>> {
        let Some(name @ ("by" | "coalesce" | "select")) = self.function() else { return Ok(None) };
        self.take();
        self.take();
        let stage = match name {
            "by" => {
                let read = self.expression(0)?;
                Stage::By(self.of_spans(read, "by()")?)
            }
            "coalesce" => Stage::Coalesce,
            _ => return Ok(Some(Stage::Select(self.enclosed(Self::field)?))),
        };
        self.expect(")")?;
        Ok(Some(stage))
    }

    /// What a parenthesis holds, behind the opening one.
    pub(super) fn parenthesis(&mut self) -> Parsed<Item> {
        let start = self.start();
        let whole = self.deeper(Self::pipeline)?;
        self.expect(")")?;
        Ok(match whole {
            Whole::Series(series) => Item::Series(series),
            Whole::Scalar(pipeline, scalar) if pipeline.stages.is_empty() => Item::Scalar(scalar),
            Whole::Scalar(pipeline, scalar) if scalar.is_constant() => {
                let message = format!("{pipeline} is asked for nothing by {scalar}");
                return Err(Mistake::new(start, message));
            }
            Whole::Scalar(pipeline, scalar) => Item::Scalar(Scalar::Pipeline(pipeline, Box::new(scalar))),
            Whole::Spans(mut pipeline) => Item::Spans(match pipeline.stages.pop() {
                Some(Stage::Spansets(only)) if pipeline.stages.is_empty() => only,
                last => {
                    pipeline.stages.extend(last);
                    Spansets::Pipeline(pipeline)
                }
            }),
        })
    }
}
