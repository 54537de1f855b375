//! `meshlake sql`: asks statements and prints their answers: one, those of a file or of standard input, or a shell.
//!
//! ```text
//!  argument, -f, standard input, prompt -> statements -> POST /api/v1/sql -> table | bytes as they come -> file, pager
//! ```
//! It asks a server over HTTP, never the data directory itself: only a server has the rows that are durable and not
//! in files yet. Where none runs on a data directory, this process is the server for as long as it takes.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod interactive;
mod complete;
mod commands;
mod names;
mod session;
mod place;
mod output;
mod progress;
mod table;
mod client;
mod split;

use std::io::{IsTerminal as _, Read as _, stderr, stdin, stdout};

use anyhow::{Context as _, Result, ensure};

use crate::cli::{SqlArgs, SqlFormat};
use crate::config::Config;
use crate::serve::Interrupts;
use client::Client;
use output::Output;
use session::{Session, Settings};

/// Bytes of a file of statements; the server takes 64 KiB a statement.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// Asks what `args` say.
///
/// # Errors
/// No meshlake answers, it refuses a statement (with its message), or an answer cannot be written.
pub fn run(config: &Config, args: &SqlArgs) -> Result<()> {
    let script = script(args)?;
    let is_shell = script.is_none();
    let output = match &args.output {
        Some(path) => Output::to_file(path)?,
        None => Output::to_stdout(is_shell),
    };
    let settings = Settings { format: format(args), is_expanded: false, tells_time: false };
    let tenant = args.tenant.clone();
    let interrupts = if is_shell { Interrupts::Ignored } else { Interrupts::Stop };
    place::with_server(config, args, interrupts, move |address, is_own| async move {
        let mut session = Session::new(Client::new(&address, &tenant)?, settings, output);
        match script {
            Some(pieces) => commands::run_script(&mut session, &pieces).await,
            None => {
                let who = if is_own { "this process, on the data directory" } else { "a running server" };
                interactive::run(
                    session,
                    &format!("meshlake {} asks {address}: {who}", env!("CARGO_PKG_VERSION")),
                )
                .await
            }
        }
    })
}

/// Tables are for people, CSV for programs.
fn format(args: &SqlArgs) -> SqlFormat {
    let is_read_by_people = args.output.is_none() && stdout().is_terminal();
    args.format.unwrap_or(if is_read_by_people { SqlFormat::Table } else { SqlFormat::Csv })
}

/// The statements and commands that are given; none where somebody is to type them.
fn script(args: &SqlArgs) -> Result<Option<Vec<String>>> {
    let text = match (&args.statement, &args.file) {
        (Some(statement), None) => statement.clone(),
        (None, Some(path)) if path.as_os_str() != "-" => {
            let file = std::fs::File::open(path).with_context(|| format!("read {}", path.display()))?;
            all_of(file).with_context(|| format!("read {}", path.display()))?
        }
        (None, None) if stdin().is_terminal() && stderr().is_terminal() => return Ok(None),
        _ => all_of(stdin()).context("read standard input")?,
    };
    let statements = split::statements(&text);
    ensure!(!statements.is_empty(), "there is no statement");
    Ok(Some(statements))
}

fn all_of(from: impl std::io::Read) -> Result<String> {
    let mut text = String::new();
    from.take(SCRIPT_BYTES_MAX + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= SCRIPT_BYTES_MAX, "more than {SCRIPT_BYTES_MAX} bytes of statements");
    Ok(text)
}
