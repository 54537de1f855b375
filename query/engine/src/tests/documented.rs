//! The manual tells of every table and function of ours, and of none that is not there.

use std::collections::BTreeSet;

use super::*;

const MANUAL: &str = include_str!("../../../../docs/sql.md");

/// The names in backticks that begin the lines of tables below the heading `section`, up to the next.
fn listed(section: &str) -> BTreeSet<&'static str> {
    let (_, below) = MANUAL.split_once(&format!("\n## {section}\n")).expect("the manual has the section");
    let section = below.split("\n## ").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '(']).next());
    names.collect()
}

#[test]
fn every_table_has_its_line() {
    let tables: BTreeSet<_> = Table::ALL.iter().map(|table| table.name()).collect();
    assert_eq!(listed("Tables"), tables);
}

#[test]
fn every_function_of_values_and_histograms_has_its_line() {
    let values = crate::functions::all();
    let values: BTreeSet<_> = values.iter().map(|function| function.name()).collect();
    assert_eq!(listed("Functions of values"), values);
    let (scalars, aggregates) = (
        crate::histograms::scalars().collect::<Vec<_>>(),
        crate::histograms::aggregates().collect::<Vec<_>>(),
    );
    let histograms = scalars.iter().map(|function| function.name());
    let histograms: BTreeSet<_> =
        histograms.chain(aggregates.iter().map(|function| function.name())).collect();
    assert_eq!(listed("Histograms of settled calls"), histograms);
}
