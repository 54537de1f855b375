//! Selectors: a metric's name and matchers in braces.

use meshlake_schema::go_regex::Unfit;

use super::token::{Keyword, Token};
use super::{Mistake, Parsed, Parser, unquoted};
use crate::labels::METRIC_NAME;
use crate::matcher::{Comparison, Matcher};
use crate::tree::{Expr, Length, Node, Operator, Selector, Span};

const CONTEXT: &str = "label matching";

impl Parser<'_, '_, '_> {
    pub(super) fn selector(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        let mut name = None;
        if names_metric(self.peek()?) {
            let span = self.take();
            name = Some(self.word(span).to_owned());
        }
        let mut matchers = Vec::new();
        if self.peek()? == Token::Sign('{') {
            self.take();
            matchers = self.matchers()?;
        } else if name.is_none() {
            return Err(self.unexpected());
        }
        matchers.extend(name.as_ref().map(|name| Matcher::equal(METRIC_NAME, name)));
        let selector = Selector { name, matchers, offset: Length::ZERO, at: None, edges: None };
        let span = Span { start, end: self.last_end() };
        Ok(Expr { span, node: Node::Selector(selector) })
    }

    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        let mut matchers = Vec::new();
        while !self.takes(Token::Sign('}'))? {
            matchers.push(self.matcher()?);
            if !self.takes(Token::Sign(','))? && self.peek()? != Token::Sign('}') {
                return Err(self.unexpected_in(CONTEXT, "\",\" or \"}\""));
            }
        }
        Ok(matchers)
    }

    /// `a="b"`, `"a.b"="c"`, or a metric's name in quotes.
    fn matcher(&mut self) -> Parsed<Matcher> {
        let token = self.peek()?;
        if !matches!(token, Token::Identifier | Token::Text) {
            return Err(self.unexpected_in(CONTEXT, "identifier or \"}\""));
        }
        let span = self.take();
        let name = if token == Token::Text { self.text_of(span)? } else { self.word(span).to_owned() };
        let comparison = match self.peek()? {
            Token::Sign('=') => Comparison::Equal,
            Token::Operator(Operator::NotEqual) => Comparison::NotEqual,
            Token::RegexMatch => Comparison::Regex,
            Token::RegexMismatch => Comparison::NotRegex,
            Token::Sign(',' | '}') if token == Token::Text => return Ok(Matcher::equal(METRIC_NAME, name)),
            _ if token == Token::Text => return Err(self.unexpected_in(CONTEXT, "\",\" or \"}\"")),
            _ => return Err(self.unexpected_in(CONTEXT, "label matching operator")),
        };
        self.take();
        if self.peek()? != Token::Text {
            return Err(self.unexpected_in(CONTEXT, "string"));
        }
        let value_span = self.take();
        let value = self.text_of(value_span)?;
        Matcher::within(name, comparison, value, self.held).map_err(|unfit| match unfit {
            Unfit::Wrong(error) => Mistake::new(span.start, error),
            Unfit::Spent(spent) => Mistake { spent: Some(spent), ..Mistake::new(span.start, "") },
        })
    }

    fn text_of(&self, span: Span) -> Parsed<String> {
        unquoted(self.word(span)).map_err(|error| Mistake::new(span.start, error))
    }
}

/// Whether an expression can begin with a token.
pub(super) fn begins_expression(token: Token) -> bool {
    let is_sign = matches!(token, Token::Operator(Operator::Add | Operator::Subtract));
    let is_literal = matches!(token, Token::Number | Token::Duration | Token::Text);
    is_sign || is_literal || matches!(token, Token::Sign('(' | '{')) || names_metric(token)
}

/// Most words of the language are names of metrics too.
fn names_metric(token: Token) -> bool {
    use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
    match token {
        Token::Identifier | Token::MetricIdentifier | Token::Aggregator(_) => true,
        Token::Operator(operator) => operator.is_set(),
        Token::Keyword(keyword) => !matches!(keyword, Bool | GroupLeft | GroupRight | Ignoring | On),
        _ => false,
    }
}
