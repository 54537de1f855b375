//! The simple protocol: a text of one or more statements, each answered in turn, all values as text.

use meshlake_query::Bound;
use meshlake_query::postgres::{Command, read};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};

use super::perform::rows_are_shown;
use super::session::{Session, Stop};
use super::shown::description;
use super::values::Column;

impl Session {
    /// Answers every statement of `sql`, up to the first that fails.
    ///
    /// # Errors
    /// The client has gone; a failure is told to it here.
    pub async fn query(&mut self, sql: &str) -> Result<(), Stop> {
        self.kept.remove_statement(Some(""));
        self.kept.remove_portal("");
        match self.statements(sql).await {
            Err(Stop::Failed(failure)) => self.fail(&failure),
            Err(Stop::Gone) => return Err(Stop::Gone),
            Ok(()) => {}
        }
        if self.kept.transaction == TransactionStatus::Idle {
            self.kept.end_transaction(true);
        }
        self.ready().await
    }

    async fn statements(&mut self, sql: &str) -> Result<(), Stop> {
        let commands = read(sql, Vec::new()).await.map_err(|misread| Stop::Failed(misread.into()))?;
        if commands.is_empty() {
            self.push(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
        }
        for command in &commands {
            self.statement(command).await?;
        }
        Ok(())
    }

    async fn statement(&mut self, command: &Command) -> Result<(), Stop> {
        self.check_transaction(command)?;
        if let Command::Execute { name, values } = command {
            let executed = self.executed(name, values)?;
            let Some(command) = &executed.command else {
                self.push(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
                return Ok(());
            };
            let columns = executed.columns.as_deref().unwrap_or_default();
            return self.answer(command, executed.bound, columns).await;
        }
        self.answer(command, None, &[]).await
    }

    /// Answers a command with rows of `columns`, where those were told.
    async fn answer(
        &mut self,
        command: &Command,
        bound: Option<Bound>,
        columns: &[Column],
    ) -> Result<(), Stop> {
        if let Some(mut rows) = self.rows_of(command, bound.clone(), columns).await? {
            self.push(&description(rows.columns()));
            let (sent, _) = self.send(&mut rows, None).await?;
            self.complete(rows_are_shown(command, sent));
            return Ok(());
        }
        let mut columns = Vec::new();
        if let Command::Fetch { cursor, is_move: false, .. } = command {
            columns = self.kept.portal(cursor)?.columns.clone().unwrap_or_default();
            self.push(&description(&columns));
        }
        self.perform(command, bound, &columns).await
    }
}
