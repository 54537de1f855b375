//! One query: one snapshot of all tables, one tenant, one deadline.

mod stored;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use datafusion::catalog::{TableFunction, TableProvider as _};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use futures::TryStreamExt;
use meshlake_schema::{Budget, Spent, Table, UnixNanos};
use meshlake_store::snapshot::{DataFile, Snapshot};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::answer::{Caps, RowStream, bounded};
use crate::budget::QueryBudget;
use crate::catalog::TenantTable;
use crate::error::QueryError;
use crate::executing::{Driven, Threads};
use crate::explain::{Explain, Explained};
use crate::interrupt::stoppable;
use crate::kept::Kept;
use crate::ongoing::Ongoing;
use crate::plan_guard::{self, AllowList};
use crate::planning::on_big_stack;
use crate::postgres::{self, Catalogue, Identity, Known};
use crate::prepared::{Bound, Prepared, describe};
use crate::running::{Holds, Running};
use crate::scan::{Part, Scan};
use crate::session::LazySession;
use crate::stop::Stop;
use crate::unknown_table::with_suggestion;
use crate::watched::watched;
use crate::{Shared, expansion, nested_names, set_comparisons, statement_guard, text_guard};

/// A snapshot that can be asked. Made by `Engine::begin`; holds its buffered batches in memory until it and
/// its streams are dropped.
#[derive(Clone)]
pub struct Query {
    session: Arc<LazySession>,
    pool: Arc<dyn MemoryPool>,
    snapshot: Arc<Snapshot>,
    tenant: String,
    began: UnixNanos,
    parallelism: usize,
    allowed: Arc<AllowList>,
    known: Arc<Known>,
    caps: Caps,
    place: Arc<OwnedSemaphorePermit>,
    /// Where plans run; none where they are asked for.
    threads: Option<Arc<Threads>>,
    running: Arc<Running>,
    kept: Arc<Kept>,
}

impl Query {
    /// A query in which no functions are known.
    pub(super) fn new(
        shared: &Arc<Shared>,
        snapshot: Snapshot,
        tenant: &str,
        (deadline, timeout): (Instant, Duration),
        place: OwnedSemaphorePermit,
        threads: Option<Arc<Threads>>,
    ) -> Query {
        let config = &shared.config;
        let caps = Caps { deadline, timeout, rows_max: config.rows_max, bytes_max: config.answer_bytes_max };
        let snapshot = Arc::new(snapshot);
        let (template, seen, whose) = (Arc::clone(shared), Arc::clone(&snapshot), tenant.to_owned());
        let session = move || template.template.session(&seen, &whose, Vec::new());
        Query {
            session: Arc::new(LazyLock::new(Box::new(session))),
            pool: Arc::clone(shared.template.memory_pool()),
            snapshot,
            tenant: tenant.to_owned(),
            began: shared.clock.now(),
            parallelism: config.parallelism.max(1),
            allowed: Arc::clone(&shared.allowed),
            known: Arc::clone(&shared.known),
            caps,
            place: Arc::new(place),
            threads,
            running: Arc::clone(&shared.running),
            kept: Arc::clone(&shared.kept),
        }
    }

    /// The same query, whose statements may call `functions`. Those compute on the query as it was.
    pub(super) fn with_functions(
        self,
        shared: &Arc<Shared>,
        functions: impl FnOnce(&Arc<Query>) -> Vec<Arc<TableFunction>> + Send + 'static,
    ) -> Query {
        let (bare, shared) = (Arc::new(self), Arc::clone(shared));
        let query = Query::clone(&bare);
        let session = move || shared.template.session(&bare.snapshot, &bare.tenant, functions(&bare));
        Query { session: Arc::new(LazyLock::new(Box::new(session))), ..query }
    }

    /// The same query, whose statements are those of PostgreSQL's clients: of `identity`, about `catalogue`.
    ///
    /// # Errors
    /// [`QueryError::Internal`], for a bug of ours.
    pub fn as_postgres(&self, identity: &Arc<Identity>, catalogue: Catalogue) -> Result<Query, QueryError> {
        let session = postgres::session(self.session()?, &self.known, identity, catalogue)?;
        let session = Arc::new(LazySession::new(Box::new(move || Ok(session))));
        let allowed = match catalogue {
            Catalogue::Telemetry => Arc::clone(&self.allowed),
            Catalogue::System => Arc::new(postgres::allowed()),
        };
        Ok(Query { session, allowed, ..self.clone() })
    }

    /// What queries of this engine keep of one type, which is to bound itself.
    pub fn kept<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.kept.of()
    }

    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// When the snapshot was taken: what "now" is to whatever is computed from it.
    pub fn began(&self) -> UnixNanos {
        self.began
    }

    /// How many threads may work on rows of this query at the same time.
    pub fn parallelism(&self) -> usize {
        self.parallelism
    }

    /// What work on rows of this query may take: memory of the engine's pool, time until the query's deadline.
    pub fn budget(&self) -> Arc<dyn Budget> {
        Arc::new(QueryBudget::new(&self.pool, self.caps.deadline))
    }

    /// Why there is no answer, when such work had to stop.
    pub fn stopped(&self, spent: Spent) -> QueryError {
        match spent {
            Spent::Bytes { .. } => QueryError::Memory(spent.to_string()),
            Spent::Time => QueryError::TimedOut(self.caps.timeout),
        }
    }

    /// Answers one read-only statement without parameters: SELECT, EXPLAIN, EXPLAIN ANALYZE, DESCRIBE or SHOW TABLES.
    ///
    /// At most `rows_max` rows and `answer_bytes_max` bytes come; more end the stream with an error.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] with the parser's or planner's message, [`QueryError::Refused`] for what may
    /// not be asked, [`QueryError::TimedOut`]. The stream can end with any variant.
    pub async fn sql(&self, sql: &str) -> Result<RowStream, QueryError> {
        self.run(Bound::plain(sql)).await
    }

    /// Checks one read-only statement and says what its parameters are and what it will answer with. It can be run
    /// by this and by every other query.
    ///
    /// # Errors
    /// Those of [`Query::sql`].
    pub async fn prepare(&self, sql: &str) -> Result<Prepared, QueryError> {
        text_guard::check(sql)?;
        let (sql, names) = text_guard::numbered(sql);
        let sql = sql.into_owned();
        let statement = Ongoing::statement(&sql, &self.pool);
        let (session, allowed) = (statement.within(self.session()?), Arc::clone(&self.allowed));
        let planning = async move {
            let plan = logical_plan(&session, &allowed, &sql).await?;
            Ok(describe(&sql, plan, &session.state())?.with_names(names))
        };
        self.plan(planning, &statement.stop).await
    }

    /// Answers a prepared statement, within the bounds of [`Query::sql`].
    ///
    /// # Errors
    /// Those of [`Query::sql`].
    pub async fn run(&self, statement: Bound) -> Result<RowStream, QueryError> {
        text_guard::check(statement.sql())?;
        let ongoing = Ongoing::statement(statement.sql(), &self.pool);
        let (session, allowed, rows_max) =
            (ongoing.within(self.session()?), Arc::clone(&self.allowed), self.caps.rows_max);
        let planning = async move { planned(&session, &allowed, statement, rows_max).await };
        match self.plan(planning, &ongoing.stop).await? {
            Planned::Rows(plan) => {
                let plan = watched(plan, &self.pool, &ongoing.stop)?;
                Ok(self.execute(plan, ongoing.stop, self.caps)?.called(postgres::shown_name))
            }
            Planned::Explained(explained) => self.explain(*explained, ongoing.stop),
        }
    }

    /// The rows that explain a statement, which is run first where that was asked for.
    fn explain(&self, mut explained: Explained, stop: Stop) -> Result<RowStream, QueryError> {
        let run = explained.analyzes().then(|| {
            // What is measured is measured in the plan that runs.
            let plan = watched(Arc::clone(&explained.physical), &self.pool, &stop)?;
            explained.physical = stoppable(plan, &stop)?;
            let caps = Caps { rows_max: usize::MAX, bytes_max: usize::MAX, ..self.caps };
            self.run_plan(Arc::clone(&explained.physical), stop, caps)
        });
        let (mut run, snapshot) = (run.transpose()?, Arc::clone(&self.snapshot));
        Ok(RowStream::of_one(Arc::clone(explained.schema()), async move {
            if let Some(run) = &mut run {
                while run.try_next().await?.is_some() {}
            }
            Ok(explained.rows(&snapshot)?)
        }))
    }

    /// The rows that `scan` asks for. Strings are `Utf8View`. Trusted: no cap on rows, only the deadline; the caller
    /// bounds what it keeps.
    ///
    /// # Errors
    /// [`QueryError::TimedOut`]; [`QueryError::Refused`] for a filter that is too deep; [`QueryError::Internal`] for
    /// a scan that does not fit its table.
    pub async fn scan(&self, scan: &Scan<'_>) -> Result<RowStream, QueryError> {
        scan.check()?;
        let table = self.table(scan);
        if !self.may_have_rows(scan) {
            return Ok(RowStream::empty(scan.columns_of(&table.schema())?));
        }
        let frame = scan.frame(self.rows_of(scan.table, table)?)?;
        plan_guard::check(frame.logical_plan(), &self.allowed)?;
        let stop = Stop::of(format!("scan of {}", scan.table.name()));
        let plan = self.plan(async move { Ok(frame.create_physical_plan().await?) }, &stop).await?;
        self.execute(plan, stop, Caps { rows_max: usize::MAX, bytes_max: usize::MAX, ..self.caps })
    }

    /// Whether any file or the buffer may have rows of the time that `scan` asks for. Where not, a plan would take longer than
    /// all else that a small question takes, and tables without rows are asked all the time.
    fn may_have_rows(&self, scan: &Scan<'_>) -> bool {
        // By nanoseconds: a range may end between two rows of one microsecond.
        let meets = |file: &DataFile| {
            UnixNanos::from_micros(file.time_min_micros) < scan.range.to
                && file.time_max_micros >= scan.range.from.micros()
        };
        let may_be_buffered = || self.snapshot.may_be_buffered(scan.table);
        match scan.part {
            Part::Whole => may_be_buffered() || self.files(scan.table).iter().any(meets),
            Part::Files(files) => files.iter().any(|file| meets(file)),
            Part::Buffered => may_be_buffered(),
        }
    }

    /// The table that `scan` asks for, as it asks for it.
    fn table(&self, scan: &Scan<'_>) -> TenantTable {
        let mut table = TenantTable::new(scan.table, Arc::clone(&self.snapshot), &self.tenant);
        if let Some(lean) = &scan.lean {
            table = table.lean(lean);
        }
        match scan.part {
            Part::Whole => {}
            Part::Files(files) => table = table.of_files(files),
            Part::Buffered => table = table.of_files(&[]).with_buffered(),
        }
        table
    }

    /// All rows of a table.
    fn rows_of(&self, name: Table, table: TenantTable) -> Result<DataFrame, QueryError> {
        let source = provider_as_source(Arc::new(table));
        let plan = LogicalPlanBuilder::scan(name.name(), source, None)?.build()?;
        Ok(DataFrame::new(self.session()?.state(), plan))
    }

    fn session(&self) -> Result<&SessionContext, QueryError> {
        self.session.as_ref().as_ref().map_err(Clone::clone)
    }

    /// What `planning` plans; `stop` stops it when its time is over or its client is gone.
    async fn plan<T, F>(&self, planning: F, stop: &Stop) -> Result<T, QueryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        // The place stays taken until the planner has ended, also when the client is gone by then.
        let entry = self.running.enter(stop, Holds::Place(Some(Arc::clone(&self.place))));
        let asked = stop.clone();
        let planned = on_big_stack(async move {
            let plan = asked.unless_stopped(planning).await;
            drop(entry);
            plan?
        });
        let otherwise = stop.on_drop();
        let planned = tokio::select! {
            planned = tokio::time::timeout_at(self.caps.deadline, planned) => planned,
            why = stop.clone().ended() => return Err(why),
        };
        let planned = planned.map_err(|_| QueryError::TimedOut(self.caps.timeout))?;
        otherwise.call_off();
        planned
    }

    fn execute(&self, plan: Arc<dyn ExecutionPlan>, stop: Stop, caps: Caps) -> Result<RowStream, QueryError> {
        self.run_plan(stoppable(plan, &stop)?, stop, caps)
    }

    /// Runs `plan`, which `stop` stops, on the threads for plans, or where it is asked for when the query has none.
    fn run_plan(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        stop: Stop,
        caps: Caps,
    ) -> Result<RowStream, QueryError> {
        let (schema, context, place) = (plan.schema(), self.session()?.task_ctx(), Arc::clone(&self.place));
        let Some(threads) = &self.threads else {
            return Ok(bounded(
                schema,
                execute_stream(plan, context)?.map_err(QueryError::from),
                caps,
                place,
            ));
        };
        let driven = Driven::start(plan, context, Arc::clone(threads), &self.running, stop)?;
        Ok(bounded(schema, driven, caps, place))
    }
}

/// The plan of `sql` as it was written, if it may be asked.
async fn logical_plan(
    session: &SessionContext,
    allowed: &AllowList,
    sql: &str,
) -> Result<LogicalPlan, QueryError> {
    let state = session.state();
    let mut statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
    statement_guard::check(&statement)?;
    nested_names::give(&mut statement);
    set_comparisons::name_apart(&mut statement);
    named_apart(&mut statement);
    let plan = state.statement_to_plan(statement).await;
    let plan = plan.map_err(|error| with_suggestion(error, &state))?;
    // The allow-list first: its messages are for people. DataFusion's own check stays as a second lock.
    plan_guard::check(&plan, allowed)?;
    expansion::check(&plan)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    Ok(nested_names::take_off(plan)?)
}

/// Has columns of the answer that are called alike told apart.
fn named_apart(statement: &mut Statement) {
    match statement {
        Statement::Statement(parsed) => {
            if let SqlStatement::Query(query) = parsed.as_mut() {
                postgres::tell_apart(&mut query.body, postgres::Shown::Plain);
            }
        }
        Statement::Explain(explain) => named_apart(&mut explain.statement),
        _ => {}
    }
}

/// How a statement is answered.
enum Planned {
    Rows(Arc<dyn ExecutionPlan>),
    Explained(Box<Explained>),
}

async fn planned(
    session: &SessionContext,
    allowed: &AllowList,
    statement: Bound,
    rows_max: usize,
) -> Result<Planned, QueryError> {
    let plan = logical_plan(session, allowed, statement.sql()).await?;
    let plan = statement.fill(plan)?;
    if let Some(explain) = Explain::of(&plan)? {
        return Ok(Planned::Explained(Box::new(explain.plan(session).await?)));
    }
    let describes = matches!(plan, LogicalPlan::DescribeTable(_));
    let frame = session.execute_logical_plan(plan).await?;
    // One row over the cap is enough to know that there are more, and lets a sort keep only that many.
    let frame = if describes { frame } else { frame.limit(0, Some(rows_max.saturating_add(1)))? };
    Ok(Planned::Rows(frame.create_physical_plan().await?))
}
