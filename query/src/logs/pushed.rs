//! What of a query a scan can do: leave out rows of other services before they are read.
//!
//! Only what no row that is asked for could fail: all of it is asked again of each row's stream.

use meshlake_logql::tree::log::Log;
use meshlake_promql::{Comparison, Matcher};
use meshlake_schema::filter::Value;
use meshlake_schema::{Filter, Table};

use super::rows::{SOURCE, TABLES};

/// The tables whose streams a query can ask for.
pub fn tables(log: &Log) -> impl Iterator<Item = Table> {
    let is_asked = |source: &str| {
        log.matchers.iter().filter(|matcher| matcher.name == SOURCE).all(|matcher| matcher.matches(source))
    };
    TABLES.into_iter().filter(move |(_, source)| is_asked(source)).map(|(table, _)| table)
}

/// The rows of a table that can be of a stream that is asked for.
pub fn filter(table: Table, log: &Log) -> Filter {
    let services = log.matchers.iter().filter(|matcher| matcher.name == "service_name");
    let parts = services.filter_map(|matcher| {
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
    });
    Filter::And(parts.collect())
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
    fn a_table_whose_source_is_not_asked_for_is_not_read() {
        let read = |text: &str| tables(&log(text)).collect::<Vec<_>>();
        assert_eq!(read(r#"{app="a"}"#), [Table::Logs, Table::Requests]);
        assert_eq!(read(r#"{source="requests"}"#), [Table::Requests]);
        assert_eq!(read(r#"{app="a", source!="requests"}"#), [Table::Logs]);
    }
}
