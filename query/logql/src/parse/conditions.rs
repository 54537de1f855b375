//! Conditions on labels, joined by `and`, `or` and commas; a comma is an `and`.

use meshlake_traceql::cursor::Parse as _;
use meshlake_traceql::lex::{Mistake, Token, duration};

use super::{Parsed, Parser};
use crate::matching::address::Addresses;
use crate::matching::quantity;
use crate::tree::log::{Comparison, Condition, Quantity};

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Parsed<Condition> {
        self.deeper(|parser| {
            let mut left = parser.all_conditions()?;
            while parser.takes_keyword("or") {
                let right = parser.all_conditions()?;
                left = Condition::Or(Box::new(left), Box::new(right));
            }
            Ok(left)
        })
    }

    /// What `and` joins, also unsaid: two conditions side by side are both meant.
    fn all_conditions(&mut self) -> Parsed<Condition> {
        let mut left = self.one_condition()?;
        loop {
            let is_joined = self.takes_keyword("and") || self.takes(",");
            let begins = self.peek() == Token::Sign("(") || self.keyword().is_some_and(|word| word != "or");
            let is_followed = is_joined || begins && self.begins_condition();
            if !is_followed {
                return Ok(left);
            }
            let right = self.one_condition()?;
            left = Condition::And(Box::new(left), Box::new(right));
        }
    }

    /// Whether the next is a label that is compared: another word may stand there, as `by` or `offset` behind a range.
    fn begins_condition(&self) -> bool {
        const SIGNS: [&str; 9] = ["=", "==", "!=", "=~", "!~", ">", ">=", "<", "<="];
        self.peek() == Token::Sign("(")
            || matches!(self.peek_second(), Token::Sign(sign) if SIGNS.contains(&sign))
    }

    fn one_condition(&mut self) -> Parsed<Condition> {
        if self.takes("(") {
            let inner = self.condition()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let label = self.label()?;
        let comparison = match (self.peek(), self.peek_second()) {
            (Token::Sign("=" | "!="), Token::Word) => return self.addresses(label),
            (Token::Sign("=" | "!=" | "=~" | "!~"), Token::Text) => {
                return self.matcher(label).map(Condition::Text);
            }
            (Token::Sign("=" | "=="), _) => Comparison::Equal,
            (Token::Sign("!="), _) => Comparison::NotEqual,
            (Token::Sign(">"), _) => Comparison::Greater,
            (Token::Sign(">="), _) => Comparison::GreaterOrEqual,
            (Token::Sign("<"), _) => Comparison::Less,
            (Token::Sign("<="), _) => Comparison::LessOrEqual,
            _ => return Err(self.unexpected("a comparison")),
        };
        self.take();
        let value = self.quantity()?;
        Ok(Condition::Quantity { label, comparison, value })
    }

    fn addresses(&mut self, label: String) -> Parsed<Condition> {
        let is_negated = self.take().token == Token::Sign("!=");
        if self.called().as_deref() != Some("ip") {
            return Err(self.unexpected("a text in quotes, a number or ip(..)"));
        }
        self.take();
        let addresses = self.ip()?;
        Ok(Condition::Addresses { label, is_negated, addresses })
    }

    /// What stands in the parentheses of `ip`.
    pub(super) fn ip(&mut self) -> Parsed<Addresses> {
        self.expect("(")?;
        let addresses = self.made(Addresses::new)?;
        self.expect(")")?;
        Ok(addresses)
    }

    fn quantity(&mut self) -> Parsed<Quantity> {
        let (placed, sign) = match self.peek() {
            Token::Sign("-") => (self.placed_at(1), -1),
            _ => (self.placed(), 1),
        };
        let written = self.written(placed);
        let too_large = || Mistake::new(placed.start, format!("{written} is too large"));
        let value = match placed.token {
            Token::Duration => Quantity::Nanos(sign * duration(written).ok_or_else(too_large)?),
            Token::Size if sign > 0 => Quantity::Bytes(quantity::bytes(written).ok_or_else(too_large)?),
            Token::Integer | Token::Float => return self.number().map(Quantity::Number),
            _ => return Err(self.unexpected("a text in quotes, a number, a duration or a size")),
        };
        if sign < 0 {
            self.take();
        }
        self.take();
        Ok(value)
    }
}
