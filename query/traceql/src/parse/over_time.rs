//! Functions that make series of spans, and stages over series.

use super::items::threshold;
use super::pipeline::Whole;
use super::{Mistake, Parsed, Parser};
use crate::cursor::Parse as _;
use crate::lex::Token;
use crate::tree::{Aggregation, COMPARED_VALUES, Function, OverTime, Pipeline, Series, Stage};
use crate::value::{Comparison, Value};

impl<'a> Parser<'a> {
    /// The name of a function that makes series, if one comes next.
    pub(super) fn over_time_function(&self) -> Option<&'a str> {
        self.function().filter(|name| Function::is_word(name))
    }

    pub(super) fn over_time(&mut self, name: &str, stages: Vec<Stage>) -> Parsed<Series> {
        let start = self.start();
        if stages.is_empty() {
            let message = format!("{name}() follows spans, as in {{ }} | {name}()");
            return Err(Mistake::new(start, message));
        }
        self.take();
        self.take();
        let function = match name {
            "rate" => Function::Rate,
            "count_over_time" => Function::CountOverTime,
            "quantile_over_time" => {
                let expr = self.measure("quantile_over_time()")?;
                let mut quantiles = Vec::new();
                while self.takes(",") {
                    quantiles.push(self.quantile()?);
                }
                if quantiles.is_empty() {
                    return Err(self.unexpected("a comma and a quantile"));
                }
                Function::QuantileOverTime(expr, quantiles)
            }
            "histogram_over_time" => Function::HistogramOverTime(self.measure("histogram_over_time()")?),
            "compare" => self.compare()?,
            name => {
                let word = name.strip_suffix("_over_time").unwrap_or_default();
                let aggregation = Aggregation::of_word(word).expect("no other function is left");
                Function::Over(aggregation, self.measure(&format!("{name}()"))?)
            }
        };
        self.expect(")")?;
        let mut by = Vec::new();
        if self.word() == Some("by") {
            self.take();
            self.expect("(")?;
            by = self.enclosed(Self::field)?;
        }
        let is_compare = matches!(function, Function::Compare { .. });
        if is_compare && !by.is_empty() {
            return Err(Mistake::new(start, "compare() tells all attributes, and takes no by()"));
        }
        Ok(Series::OverTime(Box::new(OverTime { spans: Pipeline { stages }, function, by })))
    }

    fn quantile(&mut self) -> Parsed<f64> {
        let start = self.start();
        let value = self.number("")?.and_then(|value| match value {
            Value::Integer(_) | Value::Float(_) => value.number(),
            _ => None,
        });
        let value = value.filter(|quantile| (0.0..=1.0).contains(quantile));
        value.ok_or_else(|| Mistake::new(start, "a quantile is a number from 0 to 1"))
    }

    /// Behind the parenthesis: a filter, how many values to tell, start and end.
    fn compare(&mut self) -> Parsed<Function> {
        self.expect("{")?;
        let selection = self.deeper(Self::filter)?;
        let mut numbers = Vec::new();
        while self.takes(",") {
            let at = self.start();
            match self.number("")? {
                Some(Value::Integer(number)) => numbers.push((at, number)),
                _ => return Err(Mistake::new(at, "compare() takes whole numbers behind its filter")),
            }
        }
        let (values_max, within) = match *numbers.as_slice() {
            [] => (COMPARED_VALUES as i64, None),
            [(_, values)] => (values, None),
            [(_, values), (_, start), (_, end)] if start < end => (values, Some((start, end))),
            [_, _, (at, _)] => return Err(Mistake::new(at, "compare() ends before it starts")),
            [.., (at, _)] => {
                return Err(Mistake::new(
                    at,
                    "compare() takes a filter, a number of values, a start and an end",
                ));
            }
        };
        let first = numbers.first().map_or(0, |(at, _)| *at);
        let values_max = usize::try_from(values_max).ok().filter(|values| *values > 0);
        let values_max =
            values_max.ok_or_else(|| Mistake::new(first, "compare() tells at least one value"))?;
        Ok(Function::Compare { selection, values_max, within })
    }

    /// What is done with series, up to the end of their pipeline.
    pub(super) fn series_stages(&mut self, series: Series) -> Parsed<Whole> {
        let mut series = self.thresholds(series)?;
        while self.takes("|") {
            let start = self.start();
            let Some(name @ ("topk" | "bottomk")) = self.function() else {
                return Err(Mistake::new(start, "series are followed by topk(), bottomk() or a comparison"));
            };
            self.take();
            self.take();
            let at = self.start();
            let count = match self.number("")? {
                Some(Value::Integer(count)) => usize::try_from(count).ok().filter(|count| *count > 0),
                _ => None,
            };
            let count =
                count.ok_or_else(|| Mistake::new(at, format!("{name}() takes a whole number above 0")))?;
            self.expect(")")?;
            series =
                self.thresholds(Series::Ranked { is_top: name == "topk", count, of: Box::new(series) })?;
        }
        Ok(Whole::Series(series))
    }

    fn thresholds(&mut self, mut series: Series) -> Parsed<Series> {
        while let Token::Sign(sign) = self.peek() {
            if matches!(sign, "+" | "-" | "*" | "/") {
                let message =
                    format!("series beside {sign} stand in parentheses, as in ({{ }} | rate()) {sign} 2");
                return Err(Mistake::new(self.start(), message));
            }
            let Some(comparison) = Comparison::of_word(sign) else { break };
            self.take();
            let limit = if self.takes("-") { self.number("-")? } else { self.number("")? };
            let limit = limit.ok_or_else(|| self.unexpected("a number or a duration"))?;
            series = threshold(comparison, &limit, series);
        }
        Ok(series)
    }
}
