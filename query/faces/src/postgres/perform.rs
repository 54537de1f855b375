//! What statements do, whichever protocol they came by.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use meshlake_query::Bound;
use meshlake_query::postgres::{Command, Question};
use pgwire::messages::response::TransactionStatus;
use tokio::time::Instant;

use super::failure::{
    ACTIVE_TRANSACTION, FAILED_TRANSACTION, Failure, NO_ACTIVE_TRANSACTION, NO_SUCH_CURSOR,
};
use super::rows::Rows;
use super::session::{Session, Stop};
use super::shown::{columns_of, shown, shown_columns};
use super::state::{Portal, Progress, Statement};
use super::values::{Column, push_row};

impl Session {
    /// Refuses what cannot be done in a transaction that has failed.
    ///
    /// # Errors
    /// It cannot.
    pub fn check_transaction(&self, command: &Command) -> Result<(), Failure> {
        let ends = matches!(command, Command::Commit | Command::Rollback | Command::RollbackTo);
        if self.kept.transaction == TransactionStatus::Error && !ends {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Failure::new(FAILED_TRANSACTION, message));
        }
        Ok(())
    }

    /// The rows that a command answers with; none for one that answers without. Where `columns` are given, the rows
    /// have those: they are what the client was told.
    ///
    /// # Errors
    /// It failed, was stopped, or the client has gone.
    pub async fn rows_of(
        &mut self,
        command: &Command,
        bound: Option<Bound>,
        columns: &[Column],
    ) -> Result<Option<Rows>, Stop> {
        match command {
            Command::Rows(question) => self.ask(question, bound, columns).await.map(Some),
            Command::Show(name) => {
                let told = shown_columns(&self.settings, name)?;
                let columns = if columns.is_empty() { told } else { columns.to_vec() };
                let batch = shown(&self.settings, name)?;
                let deadline = Instant::now() + self.timeout();
                Ok(Some(Rows::new(columns, stream::iter([Ok(batch)]).boxed(), deadline)))
            }
            _ => Ok(None),
        }
    }

    /// Asks the engine.
    ///
    /// # Errors
    /// As [`Session::rows_of`].
    pub async fn ask(
        &mut self,
        question: &Question,
        bound: Option<Bound>,
        columns: &[Column],
    ) -> Result<Rows, Stop> {
        let (engine, tenant) = (self.engine.clone(), self.principal.tenant.clone());
        let (identity, timeout) = (self.identity(), self.timeout());
        let deadline = Instant::now() + timeout;
        let (sql, catalogue) = (question.sql.clone(), question.catalogue);
        let answer = self
            .watch(async move {
                let query = engine.begin_within(tenant.as_str(), timeout).await?;
                let query = query.as_postgres(&identity, catalogue)?;
                match bound {
                    Some(bound) => query.run(bound).await,
                    None => query.sql(&sql).await,
                }
            })
            .await?;
        let columns = match columns {
            [] => columns_of(answer.schema(), &question.labels),
            told => told.to_vec(),
        };
        Ok(Rows::new(columns, answer.boxed(), deadline))
    }

    /// Sends rows, all or up to `limit`; says how many, and whether those were the last.
    ///
    /// # Errors
    /// As [`Session::rows_of`].
    pub async fn send(&mut self, rows: &mut Rows, limit: Option<u64>) -> Result<(u64, bool), Stop> {
        let mut sent = 0;
        loop {
            let left = limit.map_or(usize::MAX, |limit| usize::try_from(limit - sent).unwrap_or(usize::MAX));
            if left == 0 {
                return Ok((sent, false));
            }
            if !self.watch(rows.advance()).await? {
                return Ok((sent, true));
            }
            let outgoing = &mut self.outgoing;
            let taken = rows.take(left, |arrays, columns, row| {
                push_row(outgoing.gathered(), arrays, columns, row);
                !outgoing.is_full()
            });
            sent += taken as u64;
            if self.outgoing.is_full() {
                self.outgoing.flush(rows.send_deadline()).await?;
            }
        }
    }

    /// Does what answers without rows of its own. Rows that it fetches for a client have `columns`, which it was told.
    ///
    /// # Errors
    /// As [`Session::rows_of`].
    pub async fn perform(
        &mut self,
        command: &Command,
        bound: Option<Bound>,
        columns: &[Column],
    ) -> Result<(), Stop> {
        match command {
            Command::Rows(_) | Command::Show(_) | Command::Execute { .. } => {}
            Command::Set { name, value, is_local } => self.set(name, value.as_deref(), *is_local)?,
            Command::SetTransaction => self.complete("SET"),
            Command::Reset(name) => self.reset(name.as_deref())?,
            Command::Begin => self.begin(),
            Command::Commit => self.end(true),
            Command::Rollback => self.end(false),
            Command::Savepoint => self.savepoint("SAVEPOINT")?,
            Command::Release => self.savepoint("RELEASE")?,
            Command::RollbackTo => {
                self.savepoint("ROLLBACK")?;
                self.kept.transaction = TransactionStatus::Transaction;
            }
            Command::Discard => self.discard()?,
            Command::Declare { name, is_binary, is_held, question } => {
                self.declare(name, *is_binary, *is_held, question, bound).await?;
            }
            Command::Fetch { cursor, rows, is_move } => {
                self.fetch(cursor, *rows, *is_move, columns).await?;
            }
            Command::Close(name) => self.close(name.as_deref())?,
            Command::Copy { question, format } => self.copy(question, bound, format).await?,
            Command::Prepare { name, parameters, question } => {
                let rows = Command::Rows(question.clone());
                let statement = self.prepare(rows, parameters, question.sql.len()).await?;
                self.kept.add_statement(name.clone(), statement)?;
                self.complete("PREPARE");
            }
            Command::Deallocate(name) => {
                if !self.kept.remove_statement(name.as_deref()) {
                    self.kept.statement(name.as_deref().unwrap_or_default())?;
                }
                self.complete(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" });
            }
            Command::Unlisten => self.complete("UNLISTEN"),
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Option<&str>, is_local: bool) -> Result<(), Failure> {
        let told = self.settings.set(name, value, is_local)?;
        if is_local && self.kept.transaction == TransactionStatus::Idle {
            self.settings.end_transaction();
            let message = "SET LOCAL can only be used in transaction blocks";
            self.notice("WARNING", NO_ACTIVE_TRANSACTION, message);
        } else if let Some((name, value)) = told.report {
            self.report(name, &value);
        }
        if let Some(notice) = told.notice {
            self.notice("NOTICE", "00000", &notice);
        }
        self.complete("SET");
        Ok(())
    }

    fn reset(&mut self, name: Option<&str>) -> Result<(), Failure> {
        let changed = match name {
            Some(name) => self.settings.set(name, None, false)?.report.into_iter().collect(),
            None => self.settings.reset(),
        };
        changed.iter().for_each(|(name, value)| self.report(name, value));
        self.complete("RESET");
        Ok(())
    }

    fn begin(&mut self) {
        if self.kept.transaction == TransactionStatus::Idle {
            self.kept.transaction = TransactionStatus::Transaction;
        } else {
            self.notice("WARNING", ACTIVE_TRANSACTION, "there is already a transaction in progress");
        }
        self.complete("BEGIN");
    }

    /// A transaction that has failed cannot be committed.
    fn end(&mut self, commit: bool) {
        if self.kept.transaction == TransactionStatus::Idle {
            self.notice("WARNING", NO_ACTIVE_TRANSACTION, "there is no transaction in progress");
        }
        let is_committed = commit && self.kept.transaction != TransactionStatus::Error;
        self.kept.end_transaction(is_committed);
        for (name, value) in self.settings.end_transaction() {
            self.report(name, &value);
        }
        self.complete(if is_committed { "COMMIT" } else { "ROLLBACK" });
    }

    /// There is nothing to be undone, so savepoints need not be known.
    fn savepoint(&mut self, tag: &str) -> Result<(), Failure> {
        if self.kept.transaction == TransactionStatus::Idle {
            let message = format!("{tag} can only be used in transaction blocks");
            return Err(Failure::new(NO_ACTIVE_TRANSACTION, message));
        }
        self.complete(tag);
        Ok(())
    }

    fn discard(&mut self) -> Result<(), Failure> {
        if self.kept.transaction != TransactionStatus::Idle {
            let message = "DISCARD ALL cannot run inside a transaction block";
            return Err(Failure::new(ACTIVE_TRANSACTION, message));
        }
        self.kept.end_transaction(false);
        self.kept.remove_statement(None);
        for (name, value) in self.settings.reset() {
            self.report(name, &value);
        }
        self.complete("DISCARD ALL");
        Ok(())
    }

    async fn declare(
        &mut self,
        name: &str,
        is_binary: bool,
        is_held: bool,
        question: &Question,
        bound: Option<Bound>,
    ) -> Result<(), Stop> {
        if self.kept.transaction == TransactionStatus::Idle && !is_held {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Failure::new(NO_ACTIVE_TRANSACTION, message).into());
        }
        let mut rows = self.ask(question, bound, &[]).await?;
        if is_binary {
            rows.send_binary();
        }
        let columns = Some(rows.columns().to_vec());
        let statement = Statement {
            command: Some(Command::Rows(question.clone())),
            prepared: None,
            bound: None,
            parameters: Vec::new(),
            columns: columns.clone(),
            text_bytes: 0,
        };
        let portal = Portal {
            statement: Arc::new(statement),
            bound: None,
            columns,
            progress: Progress::Begun(rows),
            is_cursor: true,
            is_held,
        };
        self.kept.add_portal(name.to_owned(), portal)?;
        self.complete("DECLARE CURSOR");
        Ok(())
    }

    async fn fetch(
        &mut self,
        cursor: &str,
        limit: Option<u64>,
        is_move: bool,
        columns: &[Column],
    ) -> Result<(), Stop> {
        let mut portal = self.kept.take_portal(cursor)?;
        if let Progress::Begun(rows) = &mut portal.progress {
            rows.send_as(columns);
        }
        let (count, has_ended) = match &mut portal.progress {
            Progress::Begun(rows) if is_move => self.pass(rows, limit).await?,
            Progress::Begun(rows) => self.send(rows, limit).await?,
            Progress::Ended(Some(failure)) => return Err(failure.clone().into()),
            Progress::NotBegun | Progress::Ended(None) => (0, true),
        };
        if has_ended {
            portal.progress = Progress::Ended(None);
        }
        self.kept.put_back(cursor, portal);
        self.complete(format!("{} {count}", if is_move { "MOVE" } else { "FETCH" }));
        Ok(())
    }

    /// Reads rows and sends none.
    async fn pass(&mut self, rows: &mut Rows, limit: Option<u64>) -> Result<(u64, bool), Stop> {
        let mut passed = 0;
        loop {
            let left =
                limit.map_or(usize::MAX, |limit| usize::try_from(limit - passed).unwrap_or(usize::MAX));
            if left == 0 {
                return Ok((passed, false));
            }
            if !self.watch(rows.advance()).await? {
                return Ok((passed, true));
            }
            passed += rows.take(left, |_, _, _| true) as u64;
        }
    }

    fn close(&mut self, name: Option<&str>) -> Result<(), Failure> {
        match name {
            None => self.kept.remove_cursors(),
            Some(name) if self.kept.remove_portal(name) => {}
            Some(name) => {
                return Err(Failure::new(NO_SUCH_CURSOR, format!("cursor \"{name}\" does not exist")));
            }
        }
        self.complete(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" });
        Ok(())
    }
}

/// What a command asks the engine, if it does.
pub fn question_of(command: &Command) -> Option<&Question> {
    match command {
        Command::Rows(question) | Command::Declare { question, .. } | Command::Copy { question, .. } => {
            Some(question)
        }
        _ => None,
    }
}

/// What the end of an answer of `rows` rows is called.
pub fn rows_are_shown(command: &Command, rows: u64) -> String {
    match command {
        Command::Rows(Question { tag: "SELECT", .. }) => format!("SELECT {rows}"),
        Command::Rows(question) => question.tag.to_owned(),
        _ => "SHOW".to_owned(),
    }
}
