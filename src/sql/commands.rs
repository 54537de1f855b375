//! The commands of the shell, which begin with a backslash as psql's do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::client::Answer;
use super::names::{TABLES, table_functions};
use super::session::Session;
use super::split::command_of;

/// How often a statement is watched where nothing else is said; psql's default.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The shortest and the longest interval, in seconds: no load of its own, and no overflow.
const WATCH_SECONDS: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

/// What is typed, and what it does.
const HELP: [(&str, &str); 9] = [
    ("\\d [TABLE]", "list tables, or the columns of one"),
    ("\\dt", "list tables"),
    ("\\df [TEXT]", "list functions, or those with TEXT in their names"),
    ("\\x", "show a value a line, or a row a line again"),
    ("\\timing", "say how long each statement took, or no longer"),
    ("\\watch [SECONDS]", "run the last statement again and again, every 2 s; Ctrl-C ends it"),
    ("\\?", "this list"),
    ("\\q", "leave, as Ctrl-D"),
    ("Ctrl-C", "stop the statement that runs, or clear the line"),
];

/// A command that was typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Tables,
    Columns(String),
    Functions(String),
    Expand,
    Timing,
    Watch(Duration),
    Help,
    Quit,
}

/// The words that begin a command, for completion.
pub fn words() -> impl Iterator<Item = &'static str> {
    HELP.iter().filter_map(|(typed, _)| typed.split(' ').next()).filter(|word| word.starts_with('\\'))
}

impl Command {
    /// # Errors
    /// No command is typed so.
    pub fn parse(line: &str) -> Result<Command> {
        let line = line.trim().trim_end_matches(';');
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        Ok(match (word, rest) {
            ("\\dt", "") | ("\\d", "") => Command::Tables,
            ("\\d", table) => Command::Columns(table.to_owned()),
            ("\\df", text) => Command::Functions(text.to_owned()),
            ("\\x", "") => Command::Expand,
            ("\\timing", "") => Command::Timing,
            ("\\watch", "") => Command::Watch(WATCH_INTERVAL),
            ("\\watch", seconds) => {
                let parsed = seconds.parse().ok().filter(|seconds| WATCH_SECONDS.contains(seconds));
                let Some(seconds) = parsed else {
                    bail!("\\watch: want seconds from 0.1 to 86400, not {seconds}")
                };
                Command::Watch(Duration::from_secs_f64(seconds))
            }
            ("\\?", _) => Command::Help,
            ("\\q", _) => Command::Quit,
            _ => bail!("there is no command {line}; \\? lists them"),
        })
    }
}

/// Does what a command says; `last` is the last statement.
///
/// # Errors
/// There is nothing to watch; as a statement.
pub async fn perform(session: &mut Session, command: Command, last: Option<&str>) -> Result<()> {
    match command {
        Command::Tables => list_tables(session).await,
        Command::Columns(table) => list_columns(session, &table).await,
        Command::Functions(text) => list_functions(session, &text).await,
        Command::Expand => {
            session.settings.is_expanded ^= true;
            eprintln!("a {} a line", if session.settings.is_expanded { "value" } else { "row" });
            Ok(())
        }
        Command::Timing => {
            session.settings.tells_time ^= true;
            eprintln!("timing is {}", if session.settings.tells_time { "on" } else { "off" });
            Ok(())
        }
        Command::Watch(interval) => {
            let last = last.context("there is no statement to watch yet")?;
            loop {
                session.run(last).await?;
                tokio::time::sleep(interval).await;
            }
        }
        Command::Help => session.show(&help()),
        Command::Quit => Ok(()),
    }
}

/// Runs statements and commands one after the other, up to `\q`.
///
/// # Errors
/// The first that fails ends it, with its number where there are several.
pub async fn run_script(session: &mut Session, pieces: &[String]) -> Result<()> {
    let mut last = None;
    for (piece, number) in pieces.iter().zip(1..) {
        let done = match command_of(piece).map(Command::parse) {
            Some(Ok(Command::Quit)) => return Ok(()),
            Some(Ok(command)) => perform(session, command, last).await,
            Some(Err(error)) => Err(error),
            None => {
                last = Some(piece.as_str());
                session.run(piece).await
            }
        };
        done.map_err(
            |error| if pieces.len() == 1 { error } else { error.context(format!("statement {number}")) },
        )?;
    }
    Ok(())
}

/// Lists the tables.
///
/// # Errors
/// As a statement.
async fn list_tables(session: &mut Session) -> Result<()> {
    let answer = session.answer(TABLES).await?;
    session.show(&answer)
}

/// Lists the columns of `table`.
///
/// # Errors
/// There is no such table; as a statement.
async fn list_columns(session: &mut Session, table: &str) -> Result<()> {
    let name = table.trim_matches('"').replace('\'', "''");
    let sql = format!(
        "SELECT column_name AS column, data_type AS type FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name = '{name}' ORDER BY ordinal_position"
    );
    let answer = session.answer(&sql).await?;
    ensure!(!answer.rows.is_empty(), "there is no table {table}");
    session.show(&answer)
}

/// Lists the functions whose names have `text` in them.
///
/// # Errors
/// As a statement.
async fn list_functions(session: &mut Session, text: &str) -> Result<()> {
    let pattern = text.to_lowercase().replace('\'', "''");
    let sql = format!(
        "SELECT routine_name AS function, lower(min(function_type)) AS kind, min(syntax_example) AS call \
         FROM information_schema.routines WHERE strpos(routine_name, '{pattern}') > 0 OR '{pattern}' = '' \
         GROUP BY routine_name ORDER BY routine_name"
    );
    let mut answer = session.answer(&sql).await?;
    let tables = table_functions().filter(|name| name.contains(text)).map(|name| {
        [name, "table", &format!("FROM {name}(...)")].map(|cell| Value::String(cell.to_owned())).to_vec()
    });
    answer.rows.splice(0..0, tables);
    session.show(&answer)
}

/// Lists the commands.
fn help() -> Answer {
    let column = |name: &str| super::client::Column { name: name.to_owned(), data_type: "string".to_owned() };
    let rows = HELP.iter().map(|(typed, does)| vec![(*typed).into(), (*does).into()]);
    Answer { columns: vec![column("typed"), column("does")], rows: rows.collect(), reason: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_psql() {
        let check = |line: &str, want: Option<Command>| assert_eq!(Command::parse(line).ok(), want, "{line}");
        check("\\d", Some(Command::Tables));
        check("\\dt ", Some(Command::Tables));
        check(" \\d spans;", Some(Command::Columns("spans".to_owned())));
        check("\\df", Some(Command::Functions(String::new())));
        check("\\df time", Some(Command::Functions("time".to_owned())));
        check("\\watch", Some(Command::Watch(Duration::from_secs(2))));
        check("\\watch 0.5", Some(Command::Watch(Duration::from_millis(500))));
        for bad in ["\\watch 0", "\\watch NaN", "\\watch 1e9", "\\watch x", "\\nothing", "\\x on", "\\"] {
            check(bad, None);
        }
        assert!(words().eq(["\\d", "\\dt", "\\df", "\\x", "\\timing", "\\watch", "\\?", "\\q"]));
    }
}
