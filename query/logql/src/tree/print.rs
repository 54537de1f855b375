//! A tree written as text: one line, operators in parentheses, so that nobody has to know which binds closer.

use std::fmt::{self, Display, Formatter, Result};

use meshlake_promql::tree::{Cardinality, Matching};
use meshlake_traceql::lex::Quoted;

use super::Query;
use super::log::{
    Assigned, Comparison, Condition, LineFilter, LineTest, Log, Named, Needle, Parser, Quantity, Stage,
};
use super::metric::{Aggregate, Binary, Conversion, Grouping, Metric, OverTime, Replace, Unwrap};
use meshlake_promql::value_text as number_text;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Query::Log(log) => log.fmt(f),
            Query::Metric(metric) => metric.fmt(f),
        }
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

impl Display for Log {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{{{}}}", list(&self.matchers))?;
        self.stages.iter().try_for_each(|stage| write!(f, " {stage}"))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Stage::Lines(filter) => filter.fmt(f),
            Stage::Parse(parser) => write!(f, "| {parser}"),
            Stage::Labels(condition) => write!(f, "| {condition}"),
            Stage::LineFormat(template) => write!(f, "| line_format {}", Quoted(template.text())),
            Stage::LabelFormat(assignments) => {
                let assignments = assignments.iter().map(|assignment| {
                    let label = &assignment.label;
                    match &assignment.value {
                        Assigned::Label(other) => format!("{label}={other}"),
                        Assigned::Template(template) => format!("{label}={}", Quoted(template.text())),
                    }
                });
                write!(f, "| label_format {}", list(assignments))
            }
            Stage::Drop(labels) => write!(f, "| drop {}", list(labels)),
            Stage::Keep(labels) => write!(f, "| keep {}", list(labels)),
            Stage::Decolorize => f.write_str("| decolorize"),
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let sign = match (self.test, self.is_negated) {
            (LineTest::Contains, false) => "|=",
            (LineTest::Contains, true) => "!=",
            (LineTest::Expression, false) => "|~",
            (LineTest::Expression, true) => "!~",
            (LineTest::Pattern, false) => "|>",
            (LineTest::Pattern, true) => "!>",
        };
        let needles: Vec<String> = self.needles.iter().map(ToString::to_string).collect();
        write!(f, "{sign} {}", needles.join(" or "))
    }
}

impl Display for Needle {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Needle::Text(text) => Quoted(text).fmt(f),
            Needle::Expression(expression) => Quoted(expression.text()).fmt(f),
            Needle::Pattern(pattern) => Quoted(pattern.text()).fmt(f),
            Needle::Addresses(addresses) => write!(f, "ip({})", Quoted(addresses.text())),
        }
    }
}

impl Display for Parser {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let wanted = |f: &mut Formatter<'_>, pairs: Vec<(&str, &str)>| {
            let pairs = pairs.into_iter().map(|(label, of)| format!("{label}={}", Quoted(of)));
            let pairs = list(pairs);
            if pairs.is_empty() { Ok(()) } else { write!(f, " {pairs}") }
        };
        match self {
            Parser::Json(paths) => {
                f.write_str("json")?;
                wanted(f, paths.iter().map(|(label, path)| (label.as_str(), path.text())).collect())
            }
            Parser::Logfmt { is_strict, keeps_empty, wanted: keys } => {
                f.write_str("logfmt")?;
                f.write_str(if *is_strict { " --strict" } else { "" })?;
                f.write_str(if *keeps_empty { " --keep-empty" } else { "" })?;
                wanted(f, keys.iter().map(|(label, key)| (label.as_str(), key.as_str())).collect())
            }
            Parser::Pattern(pattern) => write!(f, "pattern {}", Quoted(pattern.text())),
            Parser::Regexp(expression) => write!(f, "regexp {}", Quoted(expression.text())),
            Parser::Unpack => f.write_str("unpack"),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Condition::And(left, right) => write!(f, "({left} and {right})"),
            Condition::Or(left, right) => write!(f, "({left} or {right})"),
            Condition::Text(matcher) => matcher.fmt(f),
            Condition::Quantity { label, comparison, value } => {
                write!(f, "{label}{}{value}", comparison.sign())
            }
            Condition::Addresses { label, is_negated, addresses } => {
                let sign = if *is_negated { "!=" } else { "=" };
                write!(f, "{label}{sign}ip({})", Quoted(addresses.text()))
            }
        }
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
        }
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Quantity::Number(number) => f.write_str(&number_text(*number)),
            Quantity::Nanos(nanos) => f.write_str(&length(*nanos)),
            Quantity::Bytes(bytes) => write!(f, "{bytes}B"),
        }
    }
}

/// A length of time as `1h30m`.
fn length(nanos: i64) -> String {
    const UNITS: [(&str, u64); 6] = [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let mut out = if nanos < 0 { "-".to_owned() } else { String::new() };
    let mut rest = nanos.unsigned_abs();
    for (unit, unit_nanos) in UNITS {
        if rest >= unit_nanos {
            out += &format!("{}{unit}", rest / unit_nanos);
            rest %= unit_nanos;
        }
    }
    if nanos == 0 { "0s".to_owned() } else { out }
}

impl Display for Named {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Named::Label(label) => f.write_str(label),
            Named::Matching(matcher) => matcher.fmt(f),
        }
    }
}

impl Display for Metric {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Metric::Number(number) => f.write_str(&number_text(*number)),
            Metric::Vector(number) => write!(f, "vector({})", number_text(*number)),
            Metric::OverTime(over_time) => over_time.fmt(f),
            Metric::Aggregate(aggregate) => aggregate.fmt(f),
            Metric::Sort { operand, is_descending } => {
                write!(f, "{}({operand})", if *is_descending { "sort_desc" } else { "sort" })
            }
            Metric::Replace(replace) => replace.fmt(f),
            Metric::Binary(binary) => binary.fmt(f),
        }
    }
}

impl Display for OverTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.function.name())?;
        if let super::metric::Function::QuantileOverTime(quantile) = self.function {
            write!(f, "{}, ", number_text(quantile))?;
        }
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        write!(f, " [{}]", length(self.range_nano))?;
        if self.offset_nano != 0 {
            write!(f, " offset {}", length(self.offset_nano))?;
        }
        f.write_str(")")?;
        self.grouping.as_ref().map_or(Ok(()), |grouping| write!(f, " {grouping}"))
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.conversion {
            Conversion::Number => write!(f, "| unwrap {}", self.label)?,
            Conversion::Duration => write!(f, "| unwrap duration({})", self.label)?,
            Conversion::Bytes => write!(f, "| unwrap bytes({})", self.label)?,
        }
        self.filters.iter().try_for_each(|condition| write!(f, " | {condition}"))
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} ({})", if self.is_without { "without" } else { "by" }, list(&self.labels))
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.aggregator.text())?;
        if let Some(grouping) = &self.grouping {
            write!(f, " {grouping} ")?;
        }
        let parameter = self.parameter.map(|number| format!("{}, ", number_text(number)));
        write!(f, "({}{})", parameter.unwrap_or_default(), self.operand)
    }
}

impl Display for Replace {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let texts = [&self.destination, &self.replacement, &self.source, &self.expression];
        write!(f, "label_replace({}, {})", self.operand, list(texts.map(|text| Quoted(text))))
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "({} {}", self.left, self.operator.text())?;
        if self.returns_bool {
            f.write_str(" bool")?;
        }
        write_matching(&self.matching, f)?;
        write!(f, " {})", self.right)
    }
}

fn write_matching(matching: &Matching, f: &mut Formatter<'_>) -> fmt::Result {
    if matching.on || !matching.labels.is_empty() {
        let word = if matching.on { "on" } else { "ignoring" };
        write!(f, " {word} ({})", list(&matching.labels))?;
    }
    let side = match matching.cardinality {
        Cardinality::OneToOne => return Ok(()),
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
    };
    write!(f, " {side} ({})", list(&matching.include))
}
