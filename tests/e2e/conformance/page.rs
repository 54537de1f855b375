//! `docs/conformance.md`, written from requirements and results.
//!
//! Written by the test and not by hand, so that no mark on it can be older than what it marks.

use std::fmt::Write as _;

use super::{Requirement, Side};
use crate::exchange::judge::StatusMap;
use crate::exchange::run::Check;
use crate::exchange::signal::Transport;

/// The whole page.
pub fn write(requirements: &[Requirement], checks: &[Check], status_map: &StatusMap) -> String {
    let mut page = head(checks.len());
    for requirement in requirements.iter().filter(|row| row.side == Side::Server) {
        let Requirement { id, level, requirement: text, answer, .. } = requirement;
        let of_row: Vec<&Check> = checks.iter().filter(|check| check.row == *id).collect();
        let marks = Transport::ALL.map(|transport| mark(&of_row, transport)).join(" | ");
        line(&mut page, format_args!("| {id} | {level} | {text} | {answer} | {} | {marks} |", of_row.len()));
    }
    line(&mut page, format_args!("\nOf senders, and therefore not checked here:\n"));
    line(&mut page, format_args!("| id | level | requirement |\n|---|---|---|"));
    for Requirement { id, level, requirement, .. } in
        requirements.iter().filter(|row| row.side == Side::Client)
    {
        line(&mut page, format_args!("| {id} | {level} | {requirement} |"));
    }
    page.push_str(
        "
## Refusals

The code over gRPC is also the code in the body over HTTP. A refusal with RetryInfo passes; the others do not, and
sending the same bytes again cannot help.

| when | gRPC | HTTP | detail |
|---|---|---|---|
",
    );
    for outcome in status_map.0.values() {
        let grpc = match outcome.http_over_grpc {
            true => "as HTTP".to_owned(),
            false => format!("{} {}", outcome.grpc, code_name(outcome.grpc)),
        };
        let detail = outcome.detail.as_deref().unwrap_or("-");
        line(&mut page, format_args!("| {} | {grpc} | {} | {detail} |", outcome.what, outcome.http));
    }
    page
}

fn head(checks: usize) -> String {
    format!(
        "# OTLP conformance

What OTLP (specification 1.11), and what it builds on, asks of a server, and what the binary answers. Each check is a
request to the running binary: status, headers and every byte of the answer are compared, and what SQL then finds is
counted and compared too. C rows are about the transport, J rows about JSON, D rows about the data model; the level
is the specification's word, or the document that asks. A mark is how many of the checks over that transport passed,
for traces, metrics and logs where they apply; `-` means that the requirement is not about it.

Written by `MESHLAKE_TEST_WRITE=1 cargo test --test e2e conformance`, which without that variable fails when
this page says something else than was found. The checks are in `tests/cases/conformance`. {checks} checks in all.

| id | level | requirement | answer | checks | gRPC | HTTP/protobuf | HTTP/JSON |
|---|---|---|---|---|---|---|---|
"
    )
}

fn mark(checks: &[&Check], transport: Transport) -> String {
    let of_transport = || checks.iter().filter(|check| check.transport == transport);
    match of_transport().count() {
        0 => "-".to_owned(),
        all => format!("{}/{all}", of_transport().filter(|check| check.faults.is_empty()).count()),
    }
}

fn code_name(code: i32) -> &'static str {
    match code {
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        8 => "RESOURCE_EXHAUSTED",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        _ => "",
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("writing to a String cannot fail");
}
