//! Range aggregations: a function, its lines, and how far they reach back.

use meshlake_traceql::cursor::Parse as _;
use meshlake_traceql::lex::{Mistake, Token};

use super::{Parsed, Parser};
use crate::tree::log::{Condition, Log, Stage};
use crate::tree::metric::{Conversion, Function, Grouping, Metric, OverTime, Unwrap};

/// How far a window reaches back and how long before the instant it ends, nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Window {
    range_nano: i64,
    offset_nano: i64,
}

/// Lines that may have a window and a number already.
struct Ranged {
    log: Log,
    unwrap: Option<Unwrap>,
    window: Option<Window>,
}

impl Parser<'_> {
    /// A range aggregation from its name on.
    pub(super) fn over_time(&mut self, function: Function) -> Parsed<Metric> {
        let at = self.take().start;
        self.expect("(")?;
        let function = match function {
            Function::QuantileOverTime(_) => {
                let quantile = self.number()?;
                self.expect(",")?;
                Function::QuantileOverTime(quantile)
            }
            other => other,
        };
        let Ranged { log, unwrap, window } = self.ranged()?;
        let Some(window) = window else { return Err(self.unexpected("a range, as [5m]")) };
        self.expect(")")?;
        let has_grouping = matches!(self.keyword().as_deref(), Some("by" | "without"));
        let grouping = if has_grouping { self.grouping()? } else { None };
        let name = function.name();
        match (function.takes_numbers(), unwrap.is_some()) {
            (Some(true), false) => {
                return Err(Mistake::new(at, format!("invalid aggregation {name} without unwrap")));
            }
            (Some(false), true) => {
                return Err(Mistake::new(at, format!("invalid aggregation {name} with unwrap")));
            }
            _ => {}
        }
        if grouping.is_some() && !function.may_group() {
            return Err(Mistake::new(at, format!("grouping not allowed for {name} aggregation")));
        }
        let Window { range_nano, offset_nano } = window;
        Ok(Metric::OverTime(Box::new(OverTime { function, log, unwrap, range_nano, offset_nano, grouping })))
    }

    /// A selector with stages, a number and a window; the window may stand right behind the selector too.
    fn ranged(&mut self) -> Parsed<Ranged> {
        let mut ranged = if self.takes("(") {
            let inner = self.deeper(Self::ranged)?;
            self.expect(")")?;
            inner
        } else {
            let matchers = self.selector()?;
            Ranged { log: Log { matchers, stages: Vec::new() }, unwrap: None, window: None }
        };
        loop {
            if self.peek() == Token::Sign("[") && ranged.window.is_none() {
                ranged.window = Some(self.window()?);
            } else if self.peek() == Token::Sign("|") && self.is_unwrap() && ranged.unwrap.is_none() {
                ranged.unwrap = Some(self.unwrap()?);
            } else {
                let at = self.start();
                let Some(stage) = self.stage()? else { return Ok(ranged) };
                match (stage, &mut ranged.unwrap) {
                    (Stage::Labels(condition), Some(unwrap)) => unwrap.filters.push(condition),
                    (stage, None) => ranged.log.stages.push(stage),
                    _ => return Err(Mistake::new(at, "only label filters may stand behind unwrap")),
                }
            }
        }
    }

    fn window(&mut self) -> Parsed<Window> {
        self.expect("[")?;
        let range_nano = self.length(false)?;
        self.expect("]")?;
        let offset_nano = if self.takes_keyword("offset") { self.length(true)? } else { 0 };
        Ok(Window { range_nano, offset_nano })
    }

    fn unwrap(&mut self) -> Parsed<Unwrap> {
        self.expect("|")?;
        self.take();
        let conversion = match self.called().as_deref() {
            Some("duration" | "duration_seconds") => Conversion::Duration,
            Some("bytes") => Conversion::Bytes,
            Some(_) => {
                return Err(self.unexpected("a label, duration(..), duration_seconds(..) or bytes(..)"));
            }
            None => {
                let label = self.label()?;
                return Ok(Unwrap {
                    label,
                    conversion: Conversion::Number,
                    filters: Vec::<Condition>::new(),
                });
            }
        };
        self.take();
        self.expect("(")?;
        let label = self.label()?;
        self.expect(")")?;
        Ok(Unwrap { label, conversion, filters: Vec::new() })
    }

    /// `by (..)` or `without (..)`, if one comes.
    pub(super) fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let is_without = match self.keyword().as_deref() {
            Some("by") => false,
            Some("without") => true,
            _ => return Ok(None),
        };
        self.take();
        let labels = self.labels()?;
        Ok(Some(Grouping { is_without, labels }))
    }

    /// Labels in parentheses; there may be none.
    pub(super) fn labels(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        if self.takes(")") {
            return Ok(Vec::new());
        }
        let labels = self.list(Self::label)?;
        self.expect(")")?;
        Ok(labels)
    }
}
