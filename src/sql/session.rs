//! Runs statements one after the other, each with the settings of the moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;

use super::client::{Answer, Client};
use super::output::Output;
use super::progress;
use super::table;
use crate::cli::SqlFormat;

/// Who is asked, and how answers are shown.
#[derive(Debug)]
pub struct Session {
    pub client: Client,
    pub settings: Settings,
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub format: SqlFormat,
    /// Tables show a value a line.
    pub is_expanded: bool,
    /// Whether each statement says how long it took.
    pub tells_time: bool,
}

impl Session {
    pub fn new(client: Client, settings: Settings, output: Output) -> Self {
        Session { client, settings, output }
    }

    /// Runs one statement and shows its answer. Cancel: the statement stops.
    ///
    /// # Errors
    /// It is refused, its answer breaks off, or cannot be written.
    pub async fn run(&mut self, sql: &str) -> Result<()> {
        let began = Instant::now();
        match self.settings.format.of_server() {
            None => {
                let answer = self.answer(sql).await?;
                self.show(&answer)?;
            }
            Some(format) => self.copy(sql, format).await?,
        }
        if self.settings.tells_time {
            eprintln!("{:.1} ms", began.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(())
    }

    /// The whole answer, with progress while it comes.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub async fn answer(&self, sql: &str) -> Result<Answer> {
        progress::shown(self.client.answer(sql), &AtomicU64::new(0)).await
    }

    /// Shows a table, whatever the format of other answers.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn show(&mut self, answer: &Answer) -> Result<()> {
        let table = if self.settings.is_expanded { table::long(answer) } else { table::wide(answer) };
        self.output.show(&table)
    }

    /// Copies the bytes of the answer as they come.
    async fn copy(&mut self, sql: &str, format: &str) -> Result<()> {
        let received = AtomicU64::new(0);
        let copying = async {
            let mut body = self.client.ask(sql, format).await?;
            while let Some(bytes) = body.next().await? {
                received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                self.output.write(&bytes)?;
            }
            Ok(())
        };
        progress::shown(copying, &received).await
    }
}
