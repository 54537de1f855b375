//! The stages of a pipeline.

use meshlake_schema::budget::Holding;
use meshlake_schema::go_regex::Unfit;
use meshlake_traceql::cursor::Parse as _;
use meshlake_traceql::lex::{Mistake, Token};

use super::{Parsed, Parser};
use crate::matching::expression::Expression;
use crate::matching::names::is_name;
use crate::matching::path::Path;
use crate::matching::pattern::Pattern;
use crate::template::Template;
use crate::tree::log::{
    Assigned, Assignment, LineFilter, LineTest, Named, Needle, Parser as LineParser, Stage,
};

impl Parser<'_> {
    /// The next stage, if one comes; `unwrap` is none.
    pub(super) fn stage(&mut self) -> Parsed<Option<Stage>> {
        if let Some(filter) = self.line_filter()? {
            return Ok(Some(Stage::Lines(filter)));
        }
        if self.peek() != Token::Sign("|") || self.is_unwrap() {
            return Ok(None);
        }
        self.take();
        let stage = match self.keyword().filter(|word| !self.is_compared(word)).as_deref() {
            Some("json") => {
                self.take();
                Stage::Parse(LineParser::Json(self.extractions(Path::new)?))
            }
            Some("logfmt") => Stage::Parse(self.logfmt()?),
            Some("pattern") => {
                self.take();
                Stage::Parse(LineParser::Pattern(self.made(Pattern::of_parser)?))
            }
            Some("regexp") => {
                self.take();
                Stage::Parse(LineParser::Regexp(self.expression(with_names)?))
            }
            Some("unpack") => {
                self.take();
                Stage::Parse(LineParser::Unpack)
            }
            Some("line_format") => {
                self.take();
                Stage::LineFormat(self.made(Template::new)?)
            }
            Some("label_format") => {
                self.take();
                self.label_format()?
            }
            Some("decolorize") => {
                self.take();
                Stage::Decolorize
            }
            Some("drop") => {
                self.take();
                Stage::Drop(self.list(Self::named)?)
            }
            Some("keep") => {
                self.take();
                Stage::Keep(self.list(Self::named)?)
            }
            _ => Stage::Labels(self.condition()?),
        };
        Ok(Some(stage))
    }

    /// Whether the next word is a label in spite of its name, as what stands behind it compares it. Behind a parser that takes nothing
    /// a line filter may stand, which begins as a comparison does.
    fn is_compared(&self, word: &str) -> bool {
        let Token::Sign(sign) = self.peek_second() else { return false };
        let begins_filter = matches!(sign, "!=" | "!~") && TAKES_NOTHING.contains(&word);
        COMPARISONS.contains(&sign) && !begins_filter
    }

    pub(super) fn is_unwrap(&self) -> bool {
        self.written(self.placed_at(1)).eq_ignore_ascii_case("unwrap")
            && self.placed_at(2).token == Token::Word
    }

    fn line_filter(&mut self) -> Parsed<Option<LineFilter>> {
        let (is_negated, test) = match self.peek() {
            Token::Sign("|=") => (false, LineTest::Contains),
            Token::Sign("!=") => (true, LineTest::Contains),
            Token::Sign("|~") => (false, LineTest::Expression),
            Token::Sign("!~") => (true, LineTest::Expression),
            Token::Sign("|>") => (false, LineTest::Pattern),
            Token::Sign("!>") => (true, LineTest::Pattern),
            _ => return Ok(None),
        };
        self.take();
        let mut needles = vec![self.needle(test)?];
        while self.takes_keyword("or") {
            needles.push(self.needle(test)?);
        }
        Ok(Some(LineFilter { is_negated, test, needles }))
    }

    fn needle(&mut self, test: LineTest) -> Parsed<Needle> {
        if test == LineTest::Contains && self.called().as_deref() == Some("ip") {
            self.take();
            return self.ip().map(Needle::Addresses);
        }
        if self.peek() != Token::Text {
            return Err(self.unexpected(if test == LineTest::Contains {
                "a text or ip(..)"
            } else {
                "a text"
            }));
        }
        match test {
            LineTest::Contains => self.quoted("a text").map(Needle::Text),
            LineTest::Expression => self.expression(Expression::within).map(Needle::Expression),
            LineTest::Pattern => self.made(Pattern::of_filter).map(Needle::Pattern),
        }
    }

    fn logfmt(&mut self) -> Parsed<LineParser> {
        self.take();
        let (mut is_strict, mut keeps_empty) = (false, false);
        loop {
            if self.takes("--strict") {
                is_strict = true;
            } else if self.takes("--keep-empty") {
                keeps_empty = true;
            } else {
                break;
            }
        }
        let key = |text: String| if text.is_empty() { Err("a key is missing".to_owned()) } else { Ok(text) };
        Ok(LineParser::Logfmt { is_strict, keeps_empty, wanted: self.extractions(key)? })
    }

    /// `label="of what"`, or a label that says both; none or several between commas.
    fn extractions<T>(&mut self, make: impl Fn(String) -> Result<T, String>) -> Parsed<Vec<(String, T)>> {
        if self.peek() != Token::Word {
            return Ok(Vec::new());
        }
        self.list(|parser| {
            let at = parser.start();
            let label = parser.label()?;
            if parser.takes("=") {
                return Ok((label, parser.made(&make)?));
            }
            let of = make(label.clone()).map_err(|message| Mistake::new(at, message))?;
            Ok((label, of))
        })
    }

    fn label_format(&mut self) -> Parsed<Stage> {
        let mut assignments: Vec<Assignment> = Vec::new();
        loop {
            let at = self.start();
            let label = self.label()?;
            if assignments.iter().any(|known| known.label == label) {
                return Err(Mistake::new(
                    at,
                    format!("multiple label name '{label}' not allowed in a single format operation"),
                ));
            }
            if label == ERROR {
                return Err(Mistake::new(at, format!("{label} cannot be formatted")));
            }
            self.expect("=")?;
            let value = if self.peek() == Token::Text {
                Assigned::Template(self.made(Template::new)?)
            } else {
                Assigned::Label(self.label()?)
            };
            assignments.push(Assignment { label, value });
            if !self.takes(",") {
                return Ok(Stage::LabelFormat(assignments));
            }
        }
    }

    fn named(&mut self) -> Parsed<Named> {
        let label = self.label()?;
        let is_compared = matches!(self.peek(), Token::Sign("=" | "!=" | "=~" | "!~"));
        if is_compared { self.matcher(label).map(Named::Matching) } else { Ok(Named::Label(label)) }
    }
}

/// Stages that are whole without anything behind their name.
const TAKES_NOTHING: [&str; 4] = ["json", "logfmt", "unpack", "decolorize"];

/// What makes a word behind a bar a label.
const COMPARISONS: [&str; 9] = ["=", "==", "!=", "=~", "!~", ">", ">=", "<", "<="];

/// The label that says what is wrong with a line.
const ERROR: &str = "__error__";

/// An expression with at least one group that has a name, each another one.
fn with_names(text: String, held: &mut Holding<'_>) -> Result<Expression, Unfit> {
    let expression = Expression::within(text, held)?;
    if expression.group_names().next().is_none() {
        return Err(Unfit::Wrong("at least one named capture must be supplied".to_owned()));
    }
    let wrong = expression.group_names().find(|name| !is_name(name));
    let wrong = wrong.map(|name| format!("invalid extracted label name {name:?}"));
    wrong.map_or(Ok(expression), |message| Err(Unfit::Wrong(message)))
}
