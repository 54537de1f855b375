//! What is LogQL, with its meaning, and what is not, with its mistake: the cases in `tests/cases/logql`, written from Loki's
//! documentation. A case is a line with the query and an indented one with what is wanted.

use std::fs;
use std::path::PathBuf;

use meshlake_logql::{Error, parse};

fn cases(file: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/logql").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut cases = Vec::new();
    while let Some(query) = lines.next() {
        let query = if query == "(nothing)" { String::new() } else { query.replace('↵', "\n") };
        let want =
            lines.next().and_then(|line| line.strip_prefix("    ")).expect("a query and what is wanted");
        cases.push((query, want.to_owned()));
    }
    cases
}

fn told(failures: &[String]) {
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_query_means_its_tree_and_the_tree_reads_back() {
    let cases = cases("valid.txt");
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let mut failures = Vec::new();
    for (query, want) in cases {
        match parse(&query) {
            Err(error) => failures.push(format!("{query}\n    {error}")),
            Ok(tree) if tree.to_string() != want => failures.push(format!("{query}\n    {tree}\n    {want}")),
            Ok(tree) => match parse(&want) {
                Ok(again) if again == tree => {}
                again => failures.push(format!("{want}\n    reads back as {again:?}")),
            },
        }
    }
    told(&failures);
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let cases = cases("invalid.txt");
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut failures = Vec::new();
    for (query, want) in cases {
        let error = match parse(&query) {
            Ok(tree) => format!("is read as {tree}"),
            Err(Error::Invalid { line, column, message }) => format!("{line}:{column}: {message}"),
            Err(other) => other.to_string(),
        };
        if error != want {
            failures.push(format!("{query}\n    {error}\n    {want}"));
        }
    }
    told(&failures);
}
