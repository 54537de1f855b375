//! Selectors of streams, and what stands around a query for lines.

use meshlake_promql::{Comparison, Matcher};
use meshlake_traceql::cursor::Parse as _;
use meshlake_traceql::lex::{Mistake, Token};

use super::{Parsed, Parser};
use crate::tree::log::Log;

impl Parser<'_> {
    /// A selector and its stages.
    pub(super) fn log(&mut self) -> Parsed<Log> {
        if self.takes("(") {
            let log = self.deeper(Self::log)?;
            self.expect(")")?;
            return Ok(log);
        }
        let matchers = self.selector()?;
        let mut stages = Vec::new();
        while let Some(stage) = self.stage()? {
            stages.push(stage);
        }
        Ok(Log { matchers, stages })
    }

    pub(super) fn selector(&mut self) -> Parsed<Vec<Matcher>> {
        let at = self.start();
        self.expect("{")?;
        let mut matchers = Vec::new();
        while !self.takes("}") {
            if !matchers.is_empty() {
                self.expect(",")?;
                if self.takes("}") {
                    break;
                }
            }
            let label = self.label()?;
            matchers.push(self.matcher(label)?);
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            let message = "queries require at least one regexp or equality matcher that does not have an empty-compatible \
                           value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";
            return Err(Mistake::new(at, message));
        }
        Ok(matchers)
    }

    /// A comparison with a text, behind the label.
    pub(super) fn matcher(&mut self, label: String) -> Parsed<Matcher> {
        let comparison = match self.peek() {
            Token::Sign("=") => Comparison::Equal,
            Token::Sign("!=") => Comparison::NotEqual,
            Token::Sign("=~") => Comparison::Regex,
            Token::Sign("!~") => Comparison::NotRegex,
            _ => return Err(self.unexpected("=, !=, =~ or !~")),
        };
        self.take();
        self.expression(|text, held| Matcher::within(label, comparison, text, held))
    }
}
