//! The shell: a prompt, and what is typed there.
//!
//! The line editor blocks its thread while a line is typed, so it has one of its own. Ctrl-C is the editor's while it
//! reads and stops what runs otherwise; it never ends the shell.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::signal::ctrl_c;

use super::commands::{self, Command};
use super::complete::Editing;
use super::names::Names;
use super::session::Session;
use super::split::statements;

const PROMPT: &str = "meshlake=> ";

/// Statements that are remembered.
const HISTORY_MAX: usize = 1_000;

type Line = Editor<Editing, FileHistory>;

/// What becomes of the shell after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Line,
    Leave,
}

/// Reads and runs until somebody leaves.
///
/// # Errors
/// The terminal cannot be used.
pub async fn run(mut session: Session, asked: &str) -> Result<()> {
    println!("{asked}\nStatements end with ; and \\? lists commands.");
    let names = Arc::new(OnceLock::new());
    let (client, loaded) = (session.client.clone(), Arc::clone(&names));
    let loading = tokio::spawn(async move { loaded.set(Names::load(&client).await) });
    let mut editor = editor(names)?;
    let history = history().inspect_err(|error| eprintln!("no history is kept: {error:#}")).ok();
    if let Some(history) = &history {
        editor.load_history(history).context("read the history")?;
    }
    let mut last = None;
    loop {
        let (back, line) = read_line(editor).await?;
        editor = back;
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                remember(&mut editor, history.as_ref(), &line);
                if run_line(&mut session, &line, &mut last).await == Next::Leave {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("read a line"),
        }
    }
    loading.abort();
    Ok(())
}

fn editor(names: Arc<OnceLock<Names>>) -> Result<Line> {
    let config = Config::builder()
        .max_history_size(HISTORY_MAX)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config).context("use the terminal")?;
    editor.set_helper(Some(Editing { names }));
    Ok(editor)
}

async fn read_line(mut editor: Line) -> Result<(Line, Result<String, ReadlineError>)> {
    let reading = move || {
        let line = editor.readline(PROMPT);
        (editor, line)
    };
    tokio::task::spawn_blocking(reading).await.context("read a line")
}

/// The file of the history, which nobody else can read: statements name customers.
fn history() -> Result<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let dir = state.or_else(home).context("neither HOME nor XDG_STATE_HOME is set")?.join("meshlake");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).context("make its directory")?;
    let path = dir.join("history");
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path).context("make its file")?;
    Ok(path)
}

fn remember(editor: &mut Line, history: Option<&PathBuf>, line: &str) {
    let added = editor.add_history_entry(line);
    if let (Ok(true), Some(history)) = (added, history)
        && let Err(error) = editor.append_history(history)
    {
        eprintln!("the history is not kept: {error}");
    }
}

/// Runs a line that was typed; `last` is the last statement.
async fn run_line(session: &mut Session, line: &str, last: &mut Option<String>) -> Next {
    let done = if line.trim_start().starts_with('\\') {
        match Command::parse(line) {
            Ok(Command::Quit) => return Next::Leave,
            Ok(command) => until_interrupted(commands::perform(session, command, last.as_deref())).await,
            Err(error) => Err(error),
        }
    } else {
        let statements = statements(line);
        if let Some(statement) = statements.last() {
            *last = Some(statement.clone());
        }
        until_interrupted(commands::run_script(session, &statements)).await
    };
    if let Err(error) = done {
        eprintln!("{error:#}");
    }
    Next::Line
}

/// Waits for `work`; Ctrl-C drops it, which stops its statement.
async fn until_interrupted(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        done = work => done,
        interrupted = ctrl_c() => {
            interrupted.context("wait for Ctrl-C")?;
            eprintln!("stopped");
            std::io::stdout().flush().context("write the answer")
        }
    }
}
