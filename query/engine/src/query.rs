//! One query: one snapshot of all tables, one tenant, one deadline.

use std::sync::Arc;
use std::time::Duration;

use datafusion::catalog::TableFunction;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionContext};
use futures::TryStreamExt;
use meshlake_schema::{Budget, Spent, Table, TimeRange, UnixNanos};
use meshlake_store::snapshot::{DataFile, Snapshot, Unflushed};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::answer::{Caps, RowStream, bounded};
use crate::budget::QueryBudget;
use crate::catalog;
use crate::error::QueryError;
use crate::executing::{Driven, Threads};
use crate::explain::{Explain, Explained};
use crate::interrupt::{Stop, stoppable};
use crate::plan_guard::{self, AllowList};
use crate::planning::on_big_stack;
use crate::postgres::{self, Catalogue, Identity, Known};
use crate::prepared::{Bound, Prepared, describe};
use crate::scan::{Part, Scan};
use crate::watched::watched;
use crate::{Shared, expansion, nested_names, statement_guard, text_guard};

/// A snapshot that can be asked. Made by `Engine::begin`; holds its buffered batches in memory until it and
/// its streams are dropped.
#[derive(Clone)]
pub struct Query {
    session: SessionContext,
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
}

impl Query {
    /// A query in which no functions are known.
    pub(super) fn new(
        shared: &Shared,
        snapshot: Snapshot,
        tenant: &str,
        (deadline, timeout): (Instant, Duration),
        place: OwnedSemaphorePermit,
        threads: Option<Arc<Threads>>,
    ) -> Result<Query, QueryError> {
        let config = &shared.config;
        let caps = Caps { deadline, timeout, rows_max: config.rows_max, bytes_max: config.answer_bytes_max };
        let snapshot = Arc::new(snapshot);
        Ok(Query {
            session: shared.template.session(&snapshot, tenant, Vec::new())?,
            snapshot,
            tenant: tenant.to_owned(),
            began: shared.clock.now(),
            parallelism: config.parallelism.max(1),
            allowed: Arc::clone(&shared.allowed),
            known: Arc::clone(&shared.known),
            caps,
            place: Arc::new(place),
            threads,
        })
    }

    /// The same query, whose statements may call `functions`. Those compute on the query as it was.
    pub(super) fn with_functions(
        self,
        shared: &Shared,
        functions: impl FnOnce(&Arc<Query>) -> Vec<Arc<TableFunction>>,
    ) -> Result<Query, QueryError> {
        let bare = Arc::new(self);
        let functions = functions(&bare);
        let session = shared.template.session(&bare.snapshot, &bare.tenant, functions)?;
        Ok(Query { session, ..Query::clone(&bare) })
    }

    /// The same query, whose statements are those of PostgreSQL's clients: of `identity`, about `catalogue`.
    ///
    /// # Errors
    /// [`QueryError::Internal`], for a bug of ours.
    pub fn as_postgres(&self, identity: &Arc<Identity>, catalogue: Catalogue) -> Result<Query, QueryError> {
        let session = postgres::session(&self.session, &self.known, identity, catalogue)?;
        let allowed = match catalogue {
            Catalogue::Telemetry => Arc::clone(&self.allowed),
            Catalogue::System => Arc::new(postgres::allowed()),
        };
        Ok(Query { session, allowed, ..self.clone() })
    }

    /// The files of `table`, of every tenant, in no order: what rows of the snapshot are in them and when, so that a
    /// look-up can leave out times. Rows come by [`Query::scan`].
    pub fn files(&self, table: Table) -> &[DataFile] {
        self.snapshot.files(table)
    }

    /// The parts of `range` that cells of `table` do not tell, whole windows, ascending: rows have to be folded there.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn open(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        self.snapshot.open(table, range)
    }

    /// The parts of `range` of which only cells wider than those of `table` are kept, and no rows: whole windows of the
    /// next wider table, ascending.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn only_wider(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        self.snapshot.only_wider(table, range)
    }

    /// The windows of `table` that share a minute with `range` and of whose calls anything is known, ascending: when each
    /// begins, and a number that is another one when its calls may be others.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn told_windows(&self, table: Table, range: TimeRange) -> Vec<(UnixNanos, u64)> {
        self.snapshot.told_windows(table, range)
    }

    /// The windows of `table` in `range` whose cells lack rows that came when it was too late to count them.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn frozen_late(&self, table: Table, range: TimeRange) -> Vec<TimeRange> {
        self.snapshot.frozen_late(table, range)
    }

    /// What of the tenant's accepted records is durable and not in files, of one signal and source or several times.
    ///
    /// # Errors
    /// [`QueryError::Snapshot`], for a bug of ours, or when the collector cannot be asked any more.
    pub async fn unflushed(&self) -> Result<Vec<Unflushed>, QueryError> {
        Ok(self.snapshot.unflushed(&self.tenant).await?)
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
        let runtime = self.session.runtime_env();
        Arc::new(QueryBudget::new(&runtime.memory_pool, self.caps.deadline))
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
        let sql = text_guard::numbered(sql).into_owned();
        let (session, allowed) = (self.session.clone(), Arc::clone(&self.allowed));
        self.plan(async move {
            let plan = logical_plan(&session, &allowed, &sql).await?;
            describe(&sql, plan, &session.state())
        })
        .await
    }

    /// Answers a prepared statement, within the bounds of [`Query::sql`].
    ///
    /// # Errors
    /// Those of [`Query::sql`].
    pub async fn run(&self, statement: Bound) -> Result<RowStream, QueryError> {
        text_guard::check(statement.sql())?;
        let (session, allowed, rows_max) =
            (self.session.clone(), Arc::clone(&self.allowed), self.caps.rows_max);
        let planning = async move { planned(&session, &allowed, statement, rows_max).await };
        match self.plan(planning).await? {
            Planned::Rows(plan) => self.execute(self.watched(plan)?, self.caps),
            Planned::Explained(explained) => self.explain(*explained),
        }
    }

    /// The rows that explain a statement, which is run first where that was asked for.
    fn explain(&self, mut explained: Explained) -> Result<RowStream, QueryError> {
        let run = explained.analyzes().then(|| {
            let stop = Stop::default();
            // What is measured is measured in the plan that runs.
            explained.physical = stoppable(self.watched(Arc::clone(&explained.physical))?, &stop)?;
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
        let frame = scan.frame(self.rows_of(scan)?)?;
        plan_guard::check(frame.logical_plan(), &self.allowed)?;
        let plan = self.plan(async move { Ok(frame.create_physical_plan().await?) }).await?;
        self.execute(plan, Caps { rows_max: usize::MAX, bytes_max: usize::MAX, ..self.caps })
    }

    /// All rows of the table that `scan` asks for, as it asks for them.
    fn rows_of(&self, scan: &Scan<'_>) -> Result<DataFrame, QueryError> {
        let mut table = catalog::TenantTable::new(scan.table, Arc::clone(&self.snapshot), &self.tenant);
        if let Some(lean) = &scan.lean {
            table = table.lean(lean);
        }
        match scan.part {
            Part::Whole => {}
            Part::Files(files) => table = table.of_files(files),
            Part::Buffered => table = table.of_files(&[]).with_buffered(),
        }
        let source = provider_as_source(Arc::new(table));
        let plan = LogicalPlanBuilder::scan(scan.table.name(), source, None)?.build()?;
        Ok(DataFrame::new(self.session.state(), plan))
    }

    async fn plan<T, F>(&self, planning: F) -> Result<T, QueryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        let place = Arc::clone(&self.place);
        // The place stays taken until the planner has ended, also when the client is gone by then.
        let planned = on_big_stack(async move {
            let plan = planning.await;
            drop(place);
            plan
        });
        let timed = tokio::time::timeout_at(self.caps.deadline, planned).await;
        timed.map_err(|_| QueryError::TimedOut(self.caps.timeout))?
    }

    /// A plan that nobody has written by hand, with what it takes counted.
    fn watched(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        Ok(watched(plan, &self.session.runtime_env().memory_pool)?)
    }

    fn execute(&self, plan: Arc<dyn ExecutionPlan>, caps: Caps) -> Result<RowStream, QueryError> {
        let stop = Stop::default();
        self.run_plan(stoppable(plan, &stop)?, stop, caps)
    }

    /// Runs `plan`, which `stop` stops, on the threads for plans, or where it is asked for when the query has none.
    fn run_plan(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        stop: Stop,
        caps: Caps,
    ) -> Result<RowStream, QueryError> {
        let (schema, context, place) = (plan.schema(), self.session.task_ctx(), Arc::clone(&self.place));
        let Some(threads) = &self.threads else {
            return Ok(bounded(
                schema,
                execute_stream(plan, context)?.map_err(QueryError::from),
                caps,
                place,
            ));
        };
        Ok(bounded(schema, Driven::start(plan, context, Arc::clone(threads), stop)?, caps, place))
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
    let plan = state.statement_to_plan(statement).await?;
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
