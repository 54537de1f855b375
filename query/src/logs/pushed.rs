//! What of a query a scan can do: leave out rows of other services and levels, and lines without a text, before the rest of
//! them is read. Attributes are most of a row, and a search for a rare text needs those of a few.
//!
//! Only what no row that is asked for could fail: all of it is asked again of each row's stream and line.

use std::ops::Bound;

use meshlake_logql::tree::log::{LineFilter, LineTest, Log, Needle, Parser, Stage};
use meshlake_promql::{Comparison, Matcher};
use meshlake_schema::filter::{Place, Test, Value};
use meshlake_schema::go_regex::texts_of_matches;
use meshlake_schema::{Filter, Table};

use super::rows::severity::numbers_of_level;
use super::rows::{SOURCE, TABLES};

/// The tables whose streams a query can ask for.
pub fn tables(log: &Log) -> impl Iterator<Item = Table> {
    let is_asked = |source: &str| {
        log.matchers.iter().filter(|matcher| matcher.name == SOURCE).all(|matcher| matcher.matches(source))
    };
    TABLES.into_iter().filter(move |(_, source)| is_asked(source)).map(|(table, _)| table)
}

/// The rows of a table that can be of a stream that is asked for, with a line that passes.
pub fn filter(table: Table, log: &Log) -> Filter {
    let of_streams = services(table, log).chain(levels(table, log));
    Filter::And(of_streams.chain(lines(table, log)).collect())
}

fn services(table: Table, log: &Log) -> impl Iterator<Item = Filter> {
    let services = log.matchers.iter().filter(|matcher| matcher.name == "service_name");
    services.filter_map(move |matcher| {
        let names: Vec<Value> = names(matcher)?.into_iter().map(Value::Text).collect();
        let of = |column: &str| Filter::is_in(column, names.clone());
        Some(match table {
            // The name of a proxy's own service, or of its workload where it has none, on whichever side it is.
            Table::Requests => Filter::Or(
                ["source_service", "destination_service", "source_workload", "destination_workload"]
                    .map(of)
                    .to_vec(),
            ),
            _ => of("service_name"),
        })
    })
}

/// A level is the number's if that is one of a level's, else the text's.
fn levels(table: Table, log: &Log) -> impl Iterator<Item = Filter> {
    let is_exact = |matcher: &&Matcher| matcher.name == "level" && matcher.comparison == Comparison::Equal;
    let levels = log.matchers.iter().filter(is_exact).filter(move |_| table == Table::Logs);
    levels.filter_map(|matcher| {
        let within = |from: i64, to: i64| {
            let [from, to] = [from, to].map(|number| Bound::Included(Value::Integer(number)));
            Filter::Is(Place::Column("severity_number".to_owned()), Test::IsWithin(from, to))
        };
        let (of_level, of_any) = numbers_of_level(&matcher.value)?;
        let is_no_number = within(*of_any.start(), *of_any.end()).negated();
        Some(Filter::Or(vec![within(*of_level.start(), *of_level.end()), is_no_number]))
    })
}

/// Filters of lines that stand before anything that makes another line.
fn lines(table: Table, log: &Log) -> impl Iterator<Item = Filter> {
    let keeps_line = |stage: &&Stage| {
        !matches!(stage, Stage::LineFormat(_) | Stage::Decolorize | Stage::Parse(Parser::Unpack))
    };
    log.stages.iter().take_while(keeps_line).filter_map(move |stage| match stage {
        Stage::Lines(filter) => line(table, filter),
        _ => None,
    })
}

/// None if a column cannot tell. A line that is not there is empty, and has none of the texts.
fn line(table: Table, filter: &LineFilter) -> Option<Filter> {
    let column = |test: Test| {
        let name = if table == Table::Requests { "raw" } else { "body" };
        Filter::Is(Place::Column(name.to_owned()), test)
    };
    let contains = |text: &str| (!text.is_empty()).then(|| column(Test::Contains(text.to_owned())));
    // Of an expression or a pattern, which have to be tried on what is left: the texts that whatever it matches has.
    let has = |needle: &Needle| match needle {
        Needle::Text(text) => contains(text),
        Needle::Expression(expression) => {
            let texts = texts_of_matches(expression.regex())?;
            Some(Filter::Or(texts.iter().map(|text| contains(text)).collect::<Option<_>>()?))
        }
        Needle::Pattern(pattern) => Some(Filter::And(pattern.literals().filter_map(contains).collect()))
            .filter(|all| *all != Filter::And(Vec::new())),
        Needle::Addresses(_) => None,
    };
    if filter.is_negated {
        if filter.test != LineTest::Contains {
            return None;
        }
        let none: Vec<Filter> = filter.needles.iter().filter_map(has).map(Filter::negated).collect();
        return (!none.is_empty()).then_some(Filter::And(none));
    }
    let mut any = filter.needles.iter().map(has).collect::<Option<Vec<Filter>>>()?;
    // The line of a request whose own was not kept is made of its columns.
    any.extend((table == Table::Requests).then(|| column(Test::IsNull)));
    Some(Filter::Or(any))
}

/// The names that a matcher asks for, if they are few and those of rows.
fn names(matcher: &Matcher) -> Option<Vec<String>> {
    let is_plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let names: Vec<String> = match matcher.comparison {
        Comparison::Equal => vec![matcher.value.clone()],
        Comparison::Regex => matcher.value.split('|').map(str::to_owned).collect(),
        Comparison::NotEqual | Comparison::NotRegex => return None,
    };
    let is_column = |name: &String| !name.is_empty() && name != "unknown_service";
    let are_plain = matcher.comparison == Comparison::Equal || names.iter().all(|name| is_plain(name));
    (are_plain && names.iter().all(is_column)).then_some(names)
}

#[cfg(test)]
mod tests {
    use meshlake_logql::Query;

    use super::*;

    fn log(text: &str) -> Log {
        match meshlake_logql::parse(text).expect(text) {
            Query::Log(log) => log,
            Query::Metric(_) => panic!("{text} asks for numbers"),
        }
    }

    #[test]
    fn services_are_pushed_where_they_are_plain() {
        let check = |text: &str, want: Option<&[&str]>| {
            let want = want.map(|names| {
                let names = names.iter().map(|name| Value::Text((*name).to_owned())).collect();
                Filter::is_in("service_name", names)
            });
            assert_eq!(filter(Table::Logs, &log(text)), Filter::And(want.into_iter().collect()), "{text}");
        };
        check(r#"{service_name="a b"}"#, Some(&["a b"]));
        check(r#"{service_name=~"a|b-1"}"#, Some(&["a", "b-1"]));
        check(r#"{service_name=~"a.*", x="y"}"#, None);
        check(r#"{service_name="unknown_service"}"#, None);
        check(r#"{service_name!="a", x="y"}"#, None);
    }

    #[test]
    fn texts_of_lines_are_pushed_until_a_line_is_made_another() {
        let has = |column: &str, text: &str| {
            Filter::Is(Place::Column(column.to_owned()), Test::Contains(text.to_owned()))
        };
        let check = |table: Table, text: &str, want: Vec<Filter>| {
            assert_eq!(filter(table, &log(text)), Filter::And(want), "{text}");
        };
        let of_logs = |text: &str, want: Vec<Filter>| check(Table::Logs, text, want);
        of_logs(r#"{a="b"} |= "x""#, vec![Filter::Or(vec![has("body", "x")])]);
        of_logs(r#"{a="b"} |= "x" or "y""#, vec![Filter::Or(vec![has("body", "x"), has("body", "y")])]);
        of_logs(r#"{a="b"} != "x" or """#, vec![Filter::And(vec![has("body", "x").negated()])]);
        of_logs(r#"{a="b"} |= "x" or ip("1.2.3.4")"#, vec![]);
        of_logs(r#"{a="b"} |= "" !~ "x" !> "<_>x" |~ "[xy]" |> "<_>""#, vec![]);
        let of_expression = Filter::Or(vec![Filter::Or(vec![has("body", "x y"), has("body", "z")])]);
        of_logs(r#"{a="b"} |~ "x y[0-9]|z$""#, vec![of_expression]);
        let of_pattern = Filter::Or(vec![Filter::And(vec![has("body", "x"), has("body", " y")])]);
        of_logs(r#"{a="b"} |> "x<_> y<_>""#, vec![of_pattern]);
        of_logs(r#"{a="b"} | json | c="d" |= "x""#, vec![Filter::Or(vec![has("body", "x")])]);
        of_logs(r#"{a="b"} | line_format "x" |= "x""#, vec![]);
        of_logs(r#"{a="b"} | decolorize |= "x""#, vec![]);
        of_logs(r#"{a="b"} | unpack |= "x""#, vec![]);
        let is_made = Filter::Is(Place::Column("raw".to_owned()), Test::IsNull);
        check(Table::Requests, r#"{a="b"} |= "x""#, vec![Filter::Or(vec![has("raw", "x"), is_made])]);
        let has_not = Filter::And(vec![has("raw", "x").negated()]);
        check(Table::Requests, r#"{a="b"} != "x""#, vec![has_not]);
    }

    /// Severities of OTLP: 17 to 20 are errors, 1 to 24 have a level.
    #[test]
    fn levels_are_pushed_by_their_numbers() {
        let within = |from, to| {
            let [from, to] = [from, to].map(|number| Bound::Included(Value::Integer(number)));
            Filter::Is(Place::Column("severity_number".to_owned()), Test::IsWithin(from, to))
        };
        let want = Filter::And(vec![Filter::Or(vec![within(17, 20), within(1, 24).negated()])]);
        assert_eq!(filter(Table::Logs, &log(r#"{level="error"}"#)), want);
        let all = Filter::And(Vec::new());
        assert_eq!(filter(Table::Logs, &log(r#"{level=~"error"}"#)), all);
        assert_eq!(filter(Table::Logs, &log(r#"{level="audit"}"#)), all);
        assert_eq!(filter(Table::Requests, &log(r#"{level="error"}"#)), all);
    }

    #[test]
    fn a_table_whose_source_is_not_asked_for_is_not_read() {
        let read = |text: &str| tables(&log(text)).collect::<Vec<_>>();
        assert_eq!(read(r#"{app="a"}"#), [Table::Logs, Table::Requests]);
        assert_eq!(read(r#"{source="requests"}"#), [Table::Requests]);
        assert_eq!(read(r#"{app="a", source!="requests"}"#), [Table::Logs]);
    }
}
