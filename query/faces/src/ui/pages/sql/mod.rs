//! `/sql?q=`: a statement and its rows, all in the address, so that a question can be passed on.
//!
//! A link from elsewhere shows its statement and does not run it: a page of another origin must not make a browser burn our
//! cores. An answer is a table, a chart of it (`chart.rs`) or, of EXPLAIN, a tree (`plan.rs`); buttons keep all of it as a file.
//! Limit: [`ROWS_SHOWN`] rows of the answer, of which the API gives all.

mod chart;
mod plan;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use futures::TryStreamExt as _;
use maud::{Markup, html};
use meshlake_query::QueryError;

use super::{Failure, answer};
use crate::FaceState;
use crate::cells::{is_null, push_plain, type_name};
use crate::origin::is_of_our_page;
use crate::ui::asked::Asked;
use crate::ui::shell::{Page, Place, kept};
use crate::ui::text::{Text, shortened};

/// Rows on the page.
const ROWS_SHOWN: usize = 500;

/// Characters of a cell; the rest is in the answer of the API.
const CELL_CHARS_MAX: usize = 400;

/// Formats of the API in which an answer can be kept, and what people call them.
const FILES: [(&str, &str); 4] =
    [("csv", "CSV"), ("json", "JSON"), ("ndjson", "NDJSON"), ("parquet", "Parquet")];

/// Statements to begin with.
const EXAMPLES: [(&str, &str); 6] = [
    ("golden", "SELECT * FROM golden() ORDER BY requests DESC"),
    ("edges", "SELECT * FROM graph_edges() ORDER BY errors DESC"),
    (
        "slow",
        "SELECT service_name, name, count(*) AS spans, approx_percentile_cont(duration_nano, 0.99) / 1e6 AS p99_ms\n\
         FROM spans WHERE time > now() - INTERVAL '15 minutes'\n\
         GROUP BY service_name, name ORDER BY p99_ms DESC LIMIT 20",
    ),
    (
        "flags",
        "SELECT destination_service, response_flags_text, count(*) AS requests\n\
         FROM requests WHERE response_flags_text <> '' AND time > now() - INTERVAL '15 minutes'\n\
         GROUP BY ALL ORDER BY requests DESC",
    ),
    ("tables", "SHOW TABLES"),
    ("columns", "SHOW COLUMNS FROM spans"),
];

/// Answers the page.
pub async fn page(State(state): State<FaceState>, headers: HeaderMap, uri: Uri, asked: Asked) -> Response {
    let words = asked.words();
    let statement = asked.get("q").map(str::trim).unwrap_or_default();
    let (status, result) = if statement.is_empty() {
        (StatusCode::OK, examples(&asked))
    } else if !is_of_our_page(&headers, &uri) {
        (StatusCode::OK, html! { p class="note" role="status" { (words.not_run_yet) } })
    } else {
        match run(&state, &asked, statement).await {
            Ok(result) => (StatusCode::OK, result),
            Err(failure) => (failure.status(), failure.shown(&asked)),
        }
    };
    let rows = statement.lines().count().clamp(4, 24);
    let body = html! {
        form class="statement" method="get" action="/sql" data-history=(words.of_sql.history)
            data-names=(words.of_sql.names) data-keys=(words.of_sql.keys) {
            (kept(&asked))
            label for="q" class="hint" { (words.statement) }
            div class="editor" {
                textarea id="q" name="q" rows=(rows) spellcheck="false" autocapitalize="off" autocomplete="off" {
                    (Text(statement))
                }
            }
            button { (words.run) }
            " " button name="explain" value="1" { "EXPLAIN" }
        }
        (result)
    };
    answer(
        &asked,
        status,
        &Page { place: Place::Sql, title: "SQL".to_owned(), has_range: false, data_since: None, body },
    )
}

fn examples(asked: &Asked) -> Markup {
    let words = asked.words();
    html! {
        section aria-labelledby="examples" {
            h2 id="examples" { (words.statements_to_begin_with) }
            ul class="apis" {
                @for (name, statement) in EXAMPLES {
                    li { a href=(asked.link("/sql", &[("q", statement)])) { (words.statement_of(name)) } pre tabindex="0" { code { (statement) } } }
                }
            }
        }
    }
}

async fn run(state: &FaceState, asked: &Asked, statement: &str) -> Result<Markup, Failure> {
    let words = asked.words();
    let explained = asked.get("explain").is_some();
    let run = if explained { format!("EXPLAIN {statement}") } else { statement.to_owned() };
    let mut answer = state.engine.sql(&asked.tenant, &run).await?;
    let schema = answer.schema().clone();
    let (mut batches, mut count, mut is_cut) = (Vec::new(), 0, false);
    loop {
        let batch = match answer.try_next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(QueryError::TooManyRows(_) | QueryError::TooManyBytes(_)) => {
                is_cut = true;
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let room = ROWS_SHOWN - count;
        is_cut = batch.num_rows() > room;
        count += batch.num_rows().min(room);
        batches.push(batch.slice(0, batch.num_rows().min(room)));
        if is_cut {
            break;
        }
    }
    if explained {
        return Ok(plan::shown(words.of_sql.plan, &batches));
    }
    Ok(html! {
        p class="hint" role="status" {
            (count) " " (words.rows)
            @if is_cut { " · " (words.more_rows_by_api) }
        }
        (views(asked, statement))
        @if wants_chart(asked) {
            @match chart::of(&schema, &batches) {
                Some(chart) => (chart),
                None => p class="note" { (words.of_sql.no_chart) },
            }
        } @else { (rows(&schema, &batches)) }
        (files(asked, statement))
    })
}

fn wants_chart(asked: &Asked) -> bool {
    asked.get("view") == Some("chart")
}

/// The ways to look at the rows.
fn views(asked: &Asked, statement: &str) -> Markup {
    let words = &asked.words().of_sql;
    let is_chart = wants_chart(asked);
    html! {
        nav class="views" aria-label="SQL" {
            a href=(asked.link("/sql", &[("q", statement)])) aria-current=[(!is_chart).then_some("true")] { (words.as_table) }
            a href=(asked.link("/sql", &[("q", statement), ("view", "chart")])) aria-current=[is_chart.then_some("true")] {
                (words.as_chart)
            }
        }
    }
}

/// Buttons that send the statement to the API, whose answer the browser keeps as a file.
fn files(asked: &Asked, statement: &str) -> Markup {
    html! {
        div class="files" {
            span class="hint" { (asked.words().of_sql.keep) }
            @for (format, name) in FILES {
                form method="post" action={ "/api/v1/sql?format=" (format) } {
                    input type="hidden" name="sql" value=(Text(statement));
                    button { (name) }
                }
            }
        }
    }
}

fn rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Markup {
    let value = |batch: &RecordBatch, column: usize, row: usize| {
        let mut text = String::new();
        push_plain(&mut text, batch.column(column).as_ref(), row);
        text
    };
    let is_text = |column: usize| !schema.field(column).data_type().is_numeric();
    let class = |column: usize| is_text(column).then_some("text");
    html! {
        div class="scroll result" tabindex="0" role="group" aria-label="SQL" {
            table {
                thead { tr {
                    @for (at, field) in schema.fields().iter().enumerate() {
                        th scope="col" class=[class(at)] title=(type_name(field.data_type())) { (Text(field.name())) }
                    }
                } }
                tbody {
                    @for batch in batches { @for row in 0..batch.num_rows() {
                        tr { @for column in 0..batch.num_columns() {
                            td class=[class(column)] {
                                @if is_null(batch.column(column).as_ref(), row) { span class="hint" { "NULL" } }
                                @else { span class="value" { (Text(&shortened(&value(batch, column, row), CELL_CHARS_MAX))) } }
                            }
                        } }
                    } }
                }
            }
        }
    }
}
