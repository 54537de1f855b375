//! Expressions over vectors: aggregations, functions, operators.

use meshlake_promql::tree::{Aggregator, Cardinality, Matching, Operator};
use meshlake_promql::{Comparison, Matcher};
use meshlake_traceql::cursor::Parse as _;
use meshlake_traceql::lex::{Mistake, Token};

use super::{Parsed, Parser};
use crate::tree::metric::{Aggregate, Binary, Function, Metric, Replace};

impl Parser<'_> {
    pub(super) fn vector(&mut self) -> Parsed<Metric> {
        self.operation(0)
    }

    /// An expression of operators that bind at least that close.
    fn operation(&mut self, least: u8) -> Parsed<Metric> {
        self.deeper(|parser| {
            let mut left = parser.operand()?;
            loop {
                let Some((operator, binds)) = parser.operator().filter(|(_, binds)| *binds >= least) else {
                    return Ok(left);
                };
                let at = parser.take().start;
                let (returns_bool, matching) = parser.modifiers(operator)?;
                let right_binds = if operator == Operator::Power { binds } else { binds + 1 };
                let right = parser.operation(right_binds)?;
                let is_wrong = operator.is_set() && (left.is_number() || right.is_number());
                if is_wrong {
                    let message = format!("unexpected literal for set operation ({})", operator.text());
                    return Err(Mistake::new(at, message));
                }
                left = Metric::Binary(Box::new(Binary { operator, returns_bool, matching, left, right }));
            }
        })
    }

    /// The operator that comes, and how close it binds.
    fn operator(&self) -> Option<(Operator, u8)> {
        use Operator::{
            Add, And, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Modulo, Multiply, NotEqual,
            Or, Power, Subtract, Unless,
        };
        Some(match (self.peek(), self.keyword().as_deref()) {
            (_, Some("or")) => (Or, 0),
            (_, Some("and")) => (And, 1),
            (_, Some("unless")) => (Unless, 1),
            (Token::Sign("=="), _) => (Equal, 2),
            (Token::Sign("!="), _) => (NotEqual, 2),
            (Token::Sign(">"), _) => (Greater, 2),
            (Token::Sign(">="), _) => (GreaterOrEqual, 2),
            (Token::Sign("<"), _) => (Less, 2),
            (Token::Sign("<="), _) => (LessOrEqual, 2),
            (Token::Sign("+"), _) => (Add, 3),
            (Token::Sign("-"), _) => (Subtract, 3),
            (Token::Sign("*"), _) => (Multiply, 4),
            (Token::Sign("/"), _) => (Divide, 4),
            (Token::Sign("%"), _) => (Modulo, 4),
            (Token::Sign("^"), _) => (Power, 5),
            _ => return None,
        })
    }

    /// `bool`, `on`, `ignoring`, `group_left` and `group_right` behind an operator.
    fn modifiers(&mut self, operator: Operator) -> Parsed<(bool, Matching)> {
        let at = self.start();
        let returns_bool = self.takes_keyword("bool");
        if returns_bool && !operator.is_comparison() {
            return Err(Mistake::new(at, "bool modifier can only be used on comparison operators"));
        }
        let mut matching = Matching::default();
        if let Some(word @ ("on" | "ignoring")) = self.keyword().as_deref() {
            self.take();
            matching.on = word == "on";
            matching.labels = self.labels()?;
        }
        let at = self.start();
        if let Some(word @ ("group_left" | "group_right")) = self.keyword().as_deref() {
            self.take();
            if operator.is_set() {
                return Err(Mistake::new(at, "no grouping allowed for set operations"));
            }
            let is_left = word == "group_left";
            matching.cardinality = if is_left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
            if self.peek() == Token::Sign("(") {
                matching.include = self.labels()?;
            }
        }
        let is_set = operator.is_set();
        if is_set {
            // As in PromQL: all that match on both sides belong together.
            matching.cardinality = Cardinality::OneToOne;
        }
        Ok((returns_bool, matching))
    }

    fn operand(&mut self) -> Parsed<Metric> {
        if self.takes("(") {
            let inner = self.operation(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if matches!(self.peek(), Token::Integer | Token::Float | Token::Sign("-" | "+")) {
            return self.number().map(Metric::Number);
        }
        let at = self.start();
        let Some(word) = self.keyword() else {
            return Err(self.unexpected("a number, an aggregation or a function"));
        };
        if let Some(function) = Function::named(&word) {
            return self.over_time(function);
        }
        match word.as_str() {
            "vector" => {
                self.take();
                self.expect("(")?;
                let number = self.number()?;
                self.expect(")")?;
                Ok(Metric::Vector(number))
            }
            "label_replace" => self.replace(),
            "sort" | "sort_desc" => {
                self.take();
                self.expect("(")?;
                let operand = Box::new(self.operation(0)?);
                self.expect(")")?;
                Ok(Metric::Sort { operand, is_descending: word == "sort_desc" })
            }
            word => match aggregator(word) {
                Some(aggregator) => self.aggregation(aggregator, word),
                None => Err(Mistake::new(at, format!("unknown function {}", self.word().unwrap_or(word)))),
            },
        }
    }

    fn aggregation(&mut self, aggregator: Aggregator, word: &str) -> Parsed<Metric> {
        let at = self.take().start;
        let before = self.grouping()?;
        self.expect("(")?;
        let parameter = if matches!(aggregator, Aggregator::TopK | Aggregator::BottomK) {
            let number = self.number()?;
            if number < 1.0 || number.fract() != 0.0 {
                return Err(Mistake::new(
                    at,
                    format!("invalid parameter (must be greater than 0) {word}({number},"),
                ));
            }
            self.expect(",")?;
            Some(number)
        } else {
            None
        };
        let operand = self.operation(0)?;
        if operand.is_number() {
            return Err(Mistake::new(at, format!("{word} takes a vector, and a number is none")));
        }
        self.expect(")")?;
        let after = if before.is_none() { self.grouping()? } else { None };
        let grouping = before.or(after);
        if word == "approx_topk" && grouping.is_some() {
            return Err(Mistake::new(at, "grouping not allowed for approx_topk aggregation"));
        }
        Ok(Metric::Aggregate(Box::new(Aggregate { aggregator, parameter, grouping, operand })))
    }

    fn replace(&mut self) -> Parsed<Metric> {
        self.take();
        self.expect("(")?;
        let operand = self.operation(0)?;
        let mut texts = [const { String::new() }; 4];
        let mut at = self.start();
        for text in &mut texts {
            self.expect(",")?;
            at = self.start();
            *text = self.quoted("a text")?;
        }
        self.expect(")")?;
        let [destination, replacement, source, expression] = texts;
        self.compiled(at, |held| Matcher::within("", Comparison::Regex, expression.as_str(), held))?;
        Ok(Metric::Replace(Box::new(Replace { operand, destination, replacement, source, expression })))
    }
}

/// An approximate `topk` is an exact one here.
fn aggregator(word: &str) -> Option<Aggregator> {
    Some(match word {
        "sum" => Aggregator::Sum,
        "avg" => Aggregator::Avg,
        "min" => Aggregator::Min,
        "max" => Aggregator::Max,
        "count" => Aggregator::Count,
        "stddev" => Aggregator::Stddev,
        "stdvar" => Aggregator::Stdvar,
        "topk" | "approx_topk" => Aggregator::TopK,
        "bottomk" => Aggregator::BottomK,
        _ => return None,
    })
}
