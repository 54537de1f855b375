//! The extended protocol: a statement is prepared, given its values, described, and run, a message each.

use arrow::datatypes::DataType;
use bytes::Bytes;
use meshlake_query::Prepared;
use meshlake_query::postgres::{Command, PostgresType, Question, read};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};

use super::failure::{FEATURE_NOT_SUPPORTED, Failure, PROTOCOL_VIOLATION};
use super::incoming::{Message, Target};
use super::parameters::{format_of, values};
use super::perform::{question_of, rows_are_shown};
use super::session::{Session, Stop};
use super::shown::{columns_of, description, shown_columns};
use super::state::{Portal, Progress, Statement};
use super::values::Column;

/// The number of "no type", which leaves it to us; so does `unknown`.
const UNSPECIFIED: [u32; 2] = [0, 705];

/// What a parameter is when nobody says.
const TEXT: PostgresType = PostgresType { scalar: meshlake_query::postgres::Scalar::Text, is_array: false };

impl Session {
    /// Ends a row of messages, and the transaction that it was, unless one was begun by a statement.
    ///
    /// # Errors
    /// The client has gone.
    pub async fn sync(&mut self) -> Result<(), Stop> {
        if self.kept.transaction == TransactionStatus::Idle {
            self.kept.end_transaction(true);
        }
        self.ready().await
    }

    /// Answers a message of this protocol.
    ///
    /// # Errors
    /// It failed, and the messages up to the next Sync are void; or the client has gone.
    pub async fn extended(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Parse { statement, sql, parameter_types } => {
                self.parse(statement, &sql, &parameter_types).await
            }
            Message::Bind { portal, statement, parameter_formats, parameters, row_formats } => {
                self.bind(portal, &statement, &parameter_formats, &parameters, &row_formats)
            }
            Message::Describe(Target::Statement, name) => self.describe_statement(&name),
            Message::Describe(Target::Portal, name) => self.describe_portal(&name),
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Message::Close(target, name) => {
                match target {
                    Target::Statement => self.kept.remove_statement(Some(&name)),
                    Target::Portal => self.kept.remove_portal(&name),
                };
                self.push(&PgWireBackendMessage::CloseComplete(CloseComplete::new()));
                Ok(())
            }
            Message::Flush => self.flush().await,
            _ => Err(Failure::new(PROTOCOL_VIOLATION, "this message has no place here").into()),
        }
    }

    async fn parse(&mut self, name: String, sql: &str, types: &[u32]) -> Result<(), Stop> {
        let declared = types.iter().enumerate().map(|(place, oid)| match PostgresType::with_oid(*oid) {
            _ if UNSPECIFIED.contains(oid) => Ok(None),
            Some(known) => Ok(Some(known)),
            None => {
                let message = format!("parameter ${} has a type that is not known, {oid}", place + 1);
                Err(Failure::new(FEATURE_NOT_SUPPORTED, message))
            }
        });
        let declared = declared.collect::<Result<Vec<_>, _>>()?;
        let commands = read(sql, declared.clone()).await.map_err(|misread| Stop::Failed(misread.into()))?;
        if commands.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Failure::new("42601", message).into());
        }
        if name.is_empty() {
            self.kept.remove_statement(Some(""));
        }
        let statement = match commands.into_iter().next() {
            Some(command) => self.prepare(command, &declared, sql.len()).await?,
            None => Statement {
                command: None,
                prepared: None,
                bound: None,
                parameters: Vec::new(),
                columns: None,
                text_bytes: sql.len(),
            },
        };
        self.kept.add_statement(name, statement)?;
        self.push(&PgWireBackendMessage::ParseComplete(ParseComplete::new()));
        Ok(())
    }

    /// What a command's parameters are and what it will answer with.
    ///
    /// # Errors
    /// It cannot be answered with any values, was stopped, or the client has gone.
    pub async fn prepare(
        &mut self,
        command: Command,
        declared: &[Option<PostgresType>],
        text_bytes: usize,
    ) -> Result<Statement, Stop> {
        self.check_transaction(&command)?;
        if let Command::Execute { name, values } = &command {
            return Ok(self.executed(name, values)?);
        }
        let Some(question) = question_of(&command) else {
            let columns = match &command {
                Command::Show(name) => Some(shown_columns(&self.settings, name)?),
                Command::Fetch { cursor, is_move: false, .. } => self.kept.portal(cursor)?.columns.clone(),
                _ => None,
            };
            let parameters = Vec::new();
            let command = Some(command);
            return Ok(Statement { command, prepared: None, bound: None, parameters, columns, text_bytes });
        };
        let (engine, tenant) = (self.engine.clone(), self.principal.tenant.clone());
        let (identity, timeout, question) = (self.identity(), self.timeout(), question.clone());
        let catalogue = question.catalogue;
        let (sql, of_elements) = (question.sql.clone(), question.of_elements.clone());
        let (prepared, elements) = self
            .watch(async move {
                let query = engine.begin_within(tenant.as_str(), timeout).await?;
                let query = query.as_postgres(&identity, catalogue)?;
                let prepared = query.prepare(&sql).await?;
                let elements = match of_elements {
                    // What does not tell leaves its elements texts.
                    Some(sql) => query.prepare(&sql).await.ok(),
                    None => None,
                };
                Ok((prepared, elements))
            })
            .await?;
        let answers = matches!(command, Command::Rows(_));
        let columns = answers.then(|| columns_of(prepared.columns(), &question.labels));
        let elements = elements.as_ref().map_or(&[][..], Prepared::parameters);
        let parameters = parameter_types(&prepared, declared, &question, elements);
        let (command, prepared) = (Some(command), Some(prepared));
        Ok(Statement { command, prepared, bound: None, parameters, columns, text_bytes })
    }

    /// The statement of that name as it runs with values, which are texts.
    ///
    /// # Errors
    /// There is none, or it takes another number of values or others.
    pub fn executed(&self, name: &str, given: &[Option<String>]) -> Result<Statement, Failure> {
        let named = self.kept.statement(name)?;
        if named.parameters.len() != given.len() {
            let message = format!(
                "wrong number of parameters for prepared statement \"{name}\": {} given, {} expected",
                given.len(),
                named.parameters.len()
            );
            return Err(Failure::new("42601", message));
        }
        let given = given.iter().map(|text| text.clone().map(Bytes::from)).collect::<Vec<_>>();
        let values = values(&named.parameters, &[], &given)?;
        let bound = named.prepared.as_ref().map(|prepared| prepared.bind(&values)).transpose()?;
        Ok(Statement {
            command: named.command.clone(),
            prepared: None,
            bound: bound.or_else(|| named.bound.clone()),
            parameters: Vec::new(),
            columns: named.columns.clone(),
            text_bytes: 0,
        })
    }

    fn bind(
        &mut self,
        name: String,
        statement: &str,
        parameter_formats: &[i16],
        given: &[Option<Bytes>],
        row_formats: &[i16],
    ) -> Result<(), Stop> {
        let statement = self.kept.statement(statement)?;
        let values = values(&statement.parameters, parameter_formats, given)?;
        let bound = statement.prepared.as_ref().map(|prepared| prepared.bind(&values)).transpose()?;
        let bound = bound.or_else(|| statement.bound.clone());
        let columns = statement.columns.as_deref().map(|columns| with_formats(columns, row_formats));
        let portal = Portal {
            bound,
            columns: columns.transpose()?,
            statement,
            progress: Progress::NotBegun,
            is_cursor: false,
            is_held: false,
        };
        if name.is_empty() {
            self.kept.remove_portal("");
        }
        self.kept.add_portal(name, portal)?;
        self.push(&PgWireBackendMessage::BindComplete(BindComplete::new()));
        Ok(())
    }

    fn describe_statement(&mut self, name: &str) -> Result<(), Stop> {
        let statement = self.kept.statement(name)?;
        let types = statement.parameters.iter().map(|parameter| parameter.oid()).collect();
        self.push(&PgWireBackendMessage::ParameterDescription(ParameterDescription::new(types)));
        self.push(&described(statement.columns.as_deref()));
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Stop> {
        let described = described(self.kept.portal(name)?.columns.as_deref());
        self.push(&described);
        Ok(())
    }

    async fn execute(&mut self, name: &str, rows_max: u32) -> Result<(), Stop> {
        // Taken out while it is read from, so that what fails or is left half read is gone.
        let mut portal = self.kept.take_portal(name)?;
        let statement = std::sync::Arc::clone(&portal.statement);
        let Some(command) = &statement.command else {
            self.push(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
            self.kept.put_back(name, portal);
            return Ok(());
        };
        self.check_transaction(command)?;
        if let Progress::NotBegun = portal.progress {
            let columns = portal.columns.clone().unwrap_or_default();
            match self.rows_of(command, portal.bound.clone(), &columns).await? {
                Some(rows) => portal.progress = Progress::Begun(rows),
                None => {
                    let columns = portal.columns.clone().unwrap_or_default();
                    self.perform(command, portal.bound.take(), &columns).await?;
                    portal.progress = Progress::Ended(None);
                    self.kept.put_back(name, portal);
                    return Ok(());
                }
            }
        }
        let (sent, has_ended) = match &mut portal.progress {
            Progress::Begun(rows) => {
                let limit = (rows_max > 0).then_some(u64::from(rows_max));
                self.send(rows, limit).await?
            }
            Progress::Ended(Some(failure)) => return Err(failure.clone().into()),
            Progress::NotBegun | Progress::Ended(None) => (0, true),
        };
        if has_ended {
            portal.progress = Progress::Ended(None);
            self.complete(rows_are_shown(command, sent));
        } else {
            self.push(&PgWireBackendMessage::PortalSuspended(PortalSuspended::new()));
        }
        self.kept.put_back(name, portal);
        Ok(())
    }
}

/// Types as the client gave them, then as the statement tells them: of arrays by the types of their `elements`.
fn parameter_types(
    prepared: &Prepared,
    declared: &[Option<PostgresType>],
    question: &Question,
    elements: &[Option<DataType>],
) -> Vec<PostgresType> {
    let found = prepared.parameters().iter().enumerate();
    let types = found.map(|(place, found)| {
        let declared = declared.get(place).copied().flatten();
        let is_array = question.array_parameters.contains(&(place + 1));
        let cast = question.cast_parameters.iter().find(|(number, _)| *number == place + 1);
        let element = elements.get(place).and_then(Option::as_ref).map(PostgresType::of_data);
        let array =
            || PostgresType { is_array: true, ..element.filter(|element| !element.is_array).unwrap_or(TEXT) };
        declared
            .or_else(|| cast.map(|(_, postgres_type)| *postgres_type))
            .or_else(|| is_array.then(array))
            .or_else(|| found.as_ref().map(PostgresType::of_data))
            .unwrap_or(TEXT)
    });
    types.collect()
}

fn with_formats(columns: &[Column], formats: &[i16]) -> Result<Vec<Column>, Failure> {
    let columns = columns.iter().enumerate().map(|(place, column)| {
        let is_binary = format_of(formats, columns.len(), place)?;
        Ok(Column { is_binary, ..column.clone() })
    });
    columns.collect()
}

fn described(columns: Option<&[Column]>) -> PgWireBackendMessage {
    columns.map_or(PgWireBackendMessage::NoData(NoData::new()), description)
}
