//! What follows an operand or an operator and changes its meaning: brackets, `offset`, `@`, matching of labels.

use super::selector::begins_expression;
use super::token::{Keyword, Token};
use super::{Mistake, Parsed, Parser, unquoted};
use crate::tree::{At, Cardinality, Edges, Expr, Length, Matching, Node, Operator, Selector, Span, Subquery};

/// Where the times of an operand are kept.
struct Times<'a> {
    at: &'a mut Option<At>,
    offset: &'a mut Length,
}

impl Parser<'_, '_, '_> {
    /// `operand` with all brackets, `offset`, `@`, `anchored` and `smoothed` that follow it.
    pub(super) fn with_modifiers(&mut self, mut operand: Expr) -> Parsed<Expr> {
        loop {
            operand = match self.peek()? {
                Token::Sign('[') => self.range(operand)?,
                Token::Keyword(Keyword::Offset) => self.offset(operand)?,
                Token::Sign('@') => self.at_modifier(operand)?,
                Token::Keyword(Keyword::Anchored) => self.edges(operand, Edges::Anchored)?,
                Token::Keyword(Keyword::Smoothed) => self.edges(operand, Edges::Smoothed)?,
                _ => return Ok(operand),
            };
            operand.span.end = self.last_end();
        }
    }

    /// `[5m]`, `[5m:]` or `[5m:1m]`.
    fn range(&mut self, operand: Expr) -> Parsed<Expr> {
        let bracket = self.take().start;
        let begin = ("subquery or range selector", "number, duration, step(), or range()");
        let range = self.inside(begin, |parser| parser.length(true))?;
        if self.takes(Token::Sign(']'))? {
            return range_of(operand, range, bracket);
        }
        if !self.takes(Token::Sign(':'))? {
            return Err(self.unexpected_in("subquery or range", "\":\" or \"]\""));
        }
        let mut step = None;
        if self.peek()? != Token::Sign(']') {
            let expected = "number, duration, step(), range(), or \"]\"";
            step = Some(self.inside(("subquery selector", expected), |parser| parser.length(true))?);
        }
        if !self.takes(Token::Sign(']'))? {
            return Err(self.unexpected_in("subquery selector", "\"]\""));
        }
        let span = operand.span;
        let subquery = Subquery { operand, range, step, offset: Length::ZERO, at: None };
        Ok(Expr { span, node: Node::Subquery(Box::new(subquery)) })
    }

    fn offset(&mut self, mut operand: Expr) -> Parsed<Expr> {
        self.take();
        let expected = ("offset", "number, duration, step(), or range()");
        let length = self.inside(expected, Self::offset_length)?;
        let start = operand.span.start;
        let times = times(&mut operand.node).ok_or_else(|| {
            let text = "offset modifier must be preceded by an instant vector selector or range vector selector or a \
                        subquery";
            Mistake::new(start, text)
        })?;
        if *times.offset != Length::ZERO {
            return Err(Mistake::new(start, "offset may not be set multiple times"));
        }
        *times.offset = length;
        Ok(operand)
    }

    fn at_modifier(&mut self, mut operand: Expr) -> Parsed<Expr> {
        self.take();
        let at = self.inside(("@", "timestamp"), Self::instant)?;
        let start = operand.span.start;
        let times = times(&mut operand.node).ok_or_else(|| {
            let text = "@ modifier must be preceded by an instant vector selector or range vector selector or a \
                        subquery";
            Mistake::new(start, text)
        })?;
        let at = at.map_err(|text| Mistake::new(start, text))?;
        if times.at.is_some() {
            return Err(Mistake::new(start, "@ <timestamp> may not be set multiple times"));
        }
        *times.at = Some(at);
        Ok(operand)
    }

    /// What stands after `@`; the inner error is of a time that cannot be.
    fn instant(&mut self) -> Parsed<Result<At, String>> {
        let at = match self.peek()? {
            Token::Keyword(Keyword::Start) => At::Start,
            Token::Keyword(Keyword::End) => At::End,
            _ => return self.timestamp(),
        };
        self.take();
        for sign in ['(', ')'] {
            if !self.takes(Token::Sign(sign))? {
                return Err(self.unexpected());
            }
        }
        Ok(Ok(at))
    }

    fn timestamp(&mut self) -> Parsed<Result<At, String>> {
        let is_negative = self.peek()? == Token::Operator(Operator::Subtract);
        if is_negative || self.peek()? == Token::Operator(Operator::Add) {
            self.take();
        }
        if !matches!(self.peek()?, Token::Number | Token::Duration) {
            return Err(self.unexpected());
        }
        let value = self.number()?.value;
        let seconds = if is_negative { -value } else { value };
        // 2^63, the first number that is no count of seconds.
        const SECONDS_END: f64 = 9_223_372_036_854_775_808.0;
        let is_time = seconds.abs() < SECONDS_END;
        if !is_time {
            return Ok(Err(format!("timestamp out of bounds for @ modifier: {}", six_digits(seconds))));
        }
        // Saturates: such times are beyond all samples.
        Ok(Ok(At::Time((seconds * 1e3).round() as i64)))
    }

    fn edges(&mut self, mut operand: Expr, edges: Edges) -> Parsed<Expr> {
        self.take();
        let word = if edges == Edges::Anchored { "anchored" } else { "smoothed" };
        let start = operand.span.start;
        let refuse = |text: String| Err(Mistake::new(start, text));
        let selector = match &mut operand.node {
            Node::Selector(selector) => selector,
            Node::Range(selector, _) => &mut **selector,
            Node::Subquery(_) => return refuse(format!("{word} modifier is not supported for subqueries")),
            _ => return refuse(format!("{word} modifier not implemented")),
        };
        if selector.edges.is_some_and(|other| other != edges) {
            return refuse("anchored and smoothed modifiers cannot be used together".to_owned());
        }
        selector.edges = Some(edges);
        Ok(operand)
    }

    /// What follows an operator: `bool`, which labels match, and what fills in.
    pub(super) fn binary_modifiers(&mut self) -> Parsed<(bool, Matching)> {
        let returns_bool = self.takes(Token::Keyword(Keyword::Bool))?;
        let mut matching = Matching::default();
        let on = self.peek()? == Token::Keyword(Keyword::On);
        if on || self.peek()? == Token::Keyword(Keyword::Ignoring) {
            self.take();
            matching.on = on;
            matching.labels = self.label_names()?;
            matching.cardinality = match self.peek()? {
                Token::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
                Token::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.take();
                matching.include = self.included()?;
            }
        }
        self.fill(&mut matching)?;
        Ok((returns_bool, matching))
    }

    /// The labels in parentheses, if any: what else follows is the operand, or what fills in.
    fn included(&mut self) -> Parsed<Vec<String>> {
        let token = self.peek()?;
        let is_fill = matches!(token, Token::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight));
        let is_list = token == Token::Sign('(');
        if !is_list && (is_fill || begins_expression(token)) { Ok(Vec::new()) } else { self.label_names() }
    }

    fn fill(&mut self, matching: &mut Matching) -> Parsed<()> {
        if self.takes(Token::Keyword(Keyword::Fill))? {
            let value = self.fill_value()?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
            return Ok(());
        }
        loop {
            let side = match self.peek()? {
                Token::Keyword(Keyword::FillLeft) if matching.fill_left.is_none() => &mut matching.fill_left,
                Token::Keyword(Keyword::FillRight) if matching.fill_right.is_none() => {
                    &mut matching.fill_right
                }
                _ => return Ok(()),
            };
            self.take();
            *side = Some(self.fill_value()?);
        }
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        if !self.takes(Token::Sign('('))? {
            return Err(self.unexpected());
        }
        let is_negative = self.peek()? == Token::Operator(Operator::Subtract);
        if is_negative || self.peek()? == Token::Operator(Operator::Add) {
            self.take();
        }
        if !matches!(self.peek()?, Token::Number | Token::Duration) {
            return Err(self.unexpected());
        }
        let value = self.number()?.value;
        if !self.takes(Token::Sign(')'))? {
            return Err(self.unexpected());
        }
        Ok(if is_negative { -value } else { value })
    }

    /// `(a, "b.c")`: names of labels.
    pub(super) fn label_names(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        if !self.takes(Token::Sign('('))? {
            return Err(self.unexpected_in(CONTEXT, "\"(\""));
        }
        let mut names = Vec::new();
        while !self.takes(Token::Sign(')'))? {
            let token = self.peek()?;
            let is_word = matches!(
                token,
                Token::Identifier
                    | Token::MetricIdentifier
                    | Token::Keyword(_)
                    | Token::Aggregator(_)
                    | Token::Operator(Operator::And | Operator::Or | Operator::Unless | Operator::Atan2)
            );
            if !is_word && token != Token::Text {
                return Err(self.unexpected_in(CONTEXT, "label"));
            }
            let span = self.take();
            let word = self.word(span);
            let name = if is_word { Ok(word.to_owned()) } else { unquoted(word) };
            let name = name.map_err(|error| Mistake::new(span.start, error))?;
            if name.is_empty() || (is_word && name.contains(':')) {
                let text = format!("invalid label name for grouping: {}", crate::text::quoted(&name));
                return Err(Mistake::new(span.start, text));
            }
            names.push(name);
            if !self.takes(Token::Sign(','))? && self.peek()? != Token::Sign(')') {
                return Err(self.unexpected_in(CONTEXT, "\",\" or \")\""));
            }
        }
        Ok(names)
    }
}

/// A number as the verb `f` has it.
fn six_digits(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { crate::text::plain(value) }
}

fn range_of(operand: Expr, range: Length, bracket: usize) -> Parsed<Expr> {
    let refuse = |text: &str| Err(Mistake::new(bracket, text));
    let span: Span = operand.span;
    match operand.node {
        Node::Selector(Selector { ref offset, .. }) if *offset != Length::ZERO => {
            refuse("no offset modifiers allowed before range")
        }
        Node::Selector(Selector { at: Some(_), .. }) => refuse("no @ modifiers allowed before range"),
        Node::Selector(selector) => Ok(Expr { span, node: Node::Range(Box::new(selector), range) }),
        _ => refuse("ranges only allowed for vector selectors"),
    }
}

fn times(node: &mut Node) -> Option<Times<'_>> {
    match node {
        Node::Selector(selector) => Some(Times { at: &mut selector.at, offset: &mut selector.offset }),
        Node::Range(selector, _) => Some(Times { at: &mut selector.at, offset: &mut selector.offset }),
        Node::Subquery(subquery) => Some(Times { at: &mut subquery.at, offset: &mut subquery.offset }),
        _ => None,
    }
}
