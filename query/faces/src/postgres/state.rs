//! What a connection keeps between messages: its transaction, its prepared statements, its portals and cursors.

use std::collections::HashMap;
use std::sync::Arc;

use meshlake_query::postgres::{Command, PostgresType};
use meshlake_query::{Bound, Prepared};
use pgwire::messages::response::TransactionStatus;
use tokio::time::Instant;

use super::failure::{
    DUPLICATE_CURSOR, DUPLICATE_STATEMENT, Failure, NO_SUCH_CURSOR, NO_SUCH_STATEMENT, TOO_MANY,
};
use super::rows::Rows;
use super::values::Column;

/// Prepared statements of one connection. Drivers keep up to 256 each.
const STATEMENTS_MAX: usize = 1_000;

/// Bytes of the texts of those statements.
const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// Portals of one connection, cursors among them. Each that has been read from holds a place among the running queries;
/// programs have one or two.
const PORTALS_MAX: usize = 64;

/// A prepared statement: nothing for an empty one.
pub struct Statement {
    pub command: Option<Command>,
    /// What its question was found out to be.
    pub prepared: Option<Prepared>,
    /// With values that its own text gives.
    pub bound: Option<Bound>,
    pub parameters: Vec<PostgresType>,
    /// Without formats; none where it answers without rows.
    pub columns: Option<Vec<Column>>,
    pub text_bytes: usize,
}

/// A statement with its values.
pub struct Portal {
    pub statement: Arc<Statement>,
    pub bound: Option<Bound>,
    /// With their formats.
    pub columns: Option<Vec<Column>>,
    pub progress: Progress,
    /// Made by DECLARE and not by a message.
    pub is_cursor: bool,
    /// Lives on when its transaction ends.
    pub is_held: bool,
}

/// How far a portal has come.
pub enum Progress {
    Begun(Rows),
    NotBegun,
    /// At the end; with the failure that it came to.
    Ended(Option<Failure>),
}

/// All of it.
pub struct State {
    pub transaction: TransactionStatus,
    statements: HashMap<String, Arc<Statement>>,
    portals: HashMap<String, Portal>,
}

impl State {
    pub fn new() -> Self {
        State { transaction: TransactionStatus::Idle, statements: HashMap::new(), portals: HashMap::new() }
    }

    /// Keeps a statement; one without a name takes the place of the last.
    ///
    /// # Errors
    /// There is one of that name, or there are too many.
    pub fn add_statement(&mut self, name: String, statement: Statement) -> Result<(), Failure> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Failure::new(DUPLICATE_STATEMENT, message));
        }
        let bytes: usize = self.statements.values().map(|statement| statement.text_bytes).sum();
        if self.statements.len() >= STATEMENTS_MAX || bytes + statement.text_bytes > STATEMENT_BYTES_MAX {
            let message =
                format!("at most {STATEMENTS_MAX} statements of {STATEMENT_BYTES_MAX} bytes can be prepared");
            return Err(Failure::new(TOO_MANY, message));
        }
        self.statements.insert(name, Arc::new(statement));
        Ok(())
    }

    /// # Errors
    /// There is none of that name.
    pub fn statement(&self, name: &str) -> Result<Arc<Statement>, Failure> {
        self.statements.get(name).map(Arc::clone).ok_or_else(|| {
            Failure::new(NO_SUCH_STATEMENT, format!("prepared statement \"{name}\" does not exist"))
        })
    }

    /// Forgets a statement, or all without a name; false when there was none.
    pub fn remove_statement(&mut self, name: Option<&str>) -> bool {
        match name {
            Some(name) => self.statements.remove(name).is_some(),
            None => {
                self.statements.clear();
                true
            }
        }
    }

    /// Keeps a portal; one without a name takes the place of the last.
    ///
    /// # Errors
    /// There is one of that name, or there are too many.
    pub fn add_portal(&mut self, name: String, portal: Portal) -> Result<(), Failure> {
        if !name.is_empty() && self.portals.contains_key(&name) {
            return Err(Failure::new(DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        if self.portals.len() >= PORTALS_MAX {
            return Err(Failure::new(TOO_MANY, format!("at most {PORTALS_MAX} cursors can be open")));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    /// # Errors
    /// There is none of that name.
    pub fn portal(&mut self, name: &str) -> Result<&mut Portal, Failure> {
        let missing = || Failure::new(NO_SUCH_CURSOR, format!("cursor \"{name}\" does not exist"));
        self.portals.get_mut(name).ok_or_else(missing)
    }

    /// Takes a portal out, to be put back by [`State::put_back`] when it has been read from.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn take_portal(&mut self, name: &str) -> Result<Portal, Failure> {
        let missing = || Failure::new(NO_SUCH_CURSOR, format!("cursor \"{name}\" does not exist"));
        self.portals.remove(name).ok_or_else(missing)
    }

    pub fn put_back(&mut self, name: &str, portal: Portal) {
        self.portals.insert(name.to_owned(), portal);
    }

    /// Closes a portal; false when there was none.
    pub fn remove_portal(&mut self, name: &str) -> bool {
        self.portals.remove(name).is_some()
    }

    /// Closes cursors made by DECLARE.
    pub fn remove_cursors(&mut self) {
        self.portals.retain(|_, portal| !portal.is_cursor);
    }

    /// Closes what does not outlive a transaction; those held only where it ended well.
    pub fn end_transaction(&mut self, keep_held: bool) {
        self.transaction = TransactionStatus::Idle;
        self.portals.retain(|_, portal| keep_held && portal.is_held);
    }

    /// When the first of the portals has waited too long, if any waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting().map(|rows| rows.deadline).min()
    }

    /// Ends portals that have waited too long, which frees what they hold.
    pub fn expire(&mut self, failure: impl Fn() -> Failure) {
        let now = Instant::now();
        for portal in self.portals.values_mut() {
            if matches!(&portal.progress, Progress::Begun(rows) if rows.deadline <= now) {
                portal.progress = Progress::Ended(Some(failure()));
            }
        }
    }

    fn waiting(&self) -> impl Iterator<Item = &Rows> {
        self.portals.values().filter_map(|portal| match &portal.progress {
            Progress::Begun(rows) => Some(rows),
            _ => None,
        })
    }
}
