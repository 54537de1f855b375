//! Where answers go: standard output, a file, or a pager when they do not fit the screen.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Write as _, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// What pages when `PAGER` names nothing.
const PAGER: &str = "less";

/// How `less` pages, unless `LESS` says it: not at all what fits (F), long lines cut (S), the screen left as it is (X).
const LESS: &str = "FSX";

/// Takes answers, one after the other.
#[derive(Debug)]
pub struct Output {
    file: Option<File>,
    /// Whether tables go through a pager.
    pages: bool,
}

impl Output {
    /// Standard output; a pager where a person reads it.
    pub fn to_stdout(is_interactive: bool) -> Output {
        Output { file: None, pages: is_interactive && stdout().is_terminal() }
    }

    /// # Errors
    /// The file cannot be made.
    pub fn to_file(path: &Path) -> Result<Output> {
        let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
        Ok(Output { file: Some(file), pages: false })
    }

    /// Appends `bytes` as they are.
    ///
    /// # Errors
    /// They cannot be written. A reader that has enough, as `head`, ends this process without a word.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => stdout().lock().write_all(bytes).and_then(|()| stdout().flush()),
        };
        match written {
            Err(error) if self.file.is_none() && error.kind() == ErrorKind::BrokenPipe => {
                std::process::exit(0)
            }
            written => written.context("write the answer"),
        }
    }

    /// Shows a whole table.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn show(&mut self, table: &str) -> Result<()> {
        if self.pages && paged(table) {
            return Ok(());
        }
        self.write(table.as_bytes())
    }
}

/// Whether a pager has shown `text`; none may be there.
fn paged(text: &str) -> bool {
    let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
    // A shell, because PAGER is a command with its arguments.
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager.unwrap_or_else(|| PAGER.to_owned())).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut pipe) = child.stdin.take() {
        // Whoever has seen enough ends the pager before the end.
        let _ = pipe.write_all(text.as_bytes());
    }
    child.wait().is_ok_and(|status| status.code() != Some(NO_SUCH_COMMAND))
}

/// What a shell ends with when there is no such command. Source: POSIX, Shell Command Language 2.8.2.
const NO_SUCH_COMMAND: i32 = 127;
