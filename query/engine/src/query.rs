//! One query: one snapshot of all tables, one tenant, one deadline.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, col, lit};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionContext};
use meshlake_schema::{Table, UnixNanos};
use meshlake_store::snapshot::Snapshot;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::answer::{Caps, SqlAnswer, bounded};
use crate::config::EngineConfig;
use crate::error::QueryError;
use crate::planning::on_big_stack;
use crate::session::SessionTemplate;
use crate::{plan_guard, text_guard};

/// A snapshot that can be asked. Made by `Engine::begin`; holds its buffered batches in memory until it and
/// its streams are dropped.
pub struct Query {
    session: SessionContext,
    snapshot: Snapshot,
    tenant: String,
    caps: Caps,
    place: Arc<OwnedSemaphorePermit>,
}

impl Query {
    pub(super) fn new(
        template: &SessionTemplate,
        snapshot: Snapshot,
        tenant: &str,
        config: &EngineConfig,
        deadline: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<Query, QueryError> {
        let caps = Caps {
            deadline,
            timeout: config.timeout(),
            rows_max: config.rows_max,
            bytes_max: config.answer_bytes_max,
        };
        let session = template.session(&snapshot, tenant)?;
        Ok(Query { session, snapshot, tenant: tenant.to_owned(), caps, place: Arc::new(place) })
    }

    /// The snapshot that all answers of this query come from. It holds every tenant's rows.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// When the time of the query is over, for work on its rows that is not a stream.
    pub fn deadline(&self) -> std::time::Instant {
        self.caps.deadline.into_std()
    }

    /// How long the whole query may take.
    pub fn timeout(&self) -> Duration {
        self.caps.timeout
    }

    /// Answers one read-only statement: SELECT, EXPLAIN, DESCRIBE or SHOW TABLES.
    ///
    /// At most `rows_max` rows and `answer_bytes_max` bytes come; more end the stream with an error.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] with the parser's or planner's message, [`QueryError::Refused`] for what may
    /// not be asked, [`QueryError::TimedOut`]. The stream can end with any variant.
    pub async fn sql(&self, sql: &str) -> Result<SqlAnswer, QueryError> {
        text_guard::check(sql)?;
        let (session, sql, rows_max) = (self.session.clone(), sql.to_owned(), self.caps.rows_max);
        let plan = self.plan(async move { plan_sql(&session, &sql, rows_max).await }).await?;
        let stream = self.run(plan, self.caps)?;
        Ok(SqlAnswer { schema: stream.schema(), stream })
    }

    /// The rows of `table` whose `time` lies in `[from, to)`, those columns in that order, in no order of
    /// rows. Strings are `Utf8View`. Trusted: no cap on rows, only the deadline; the caller bounds
    /// what it keeps.
    ///
    /// `from` and `to` are rounded down to whole microseconds, the unit of `time`, so that ranges
    /// that touch never share a row. `filter` may use any column; equality with a trace, span or request id
    /// uses the bloom filters of files.
    ///
    /// # Errors
    /// [`QueryError::TimedOut`]; [`QueryError::Invalid`] for a column that is not there.
    pub async fn scan(
        &self,
        table: Table,
        columns: &[&str],
        from: UnixNanos,
        to: UnixNanos,
        filter: Option<Expr>,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let in_range = col("time").gt_eq(time_literal(from)).and(col("time").lt(time_literal(to)));
        let rows = self.table(table).await?.filter(filter.into_iter().fold(in_range, Expr::and))?;
        let rows = rows.select(columns.iter().map(|column| col(*column)).collect::<Vec<_>>())?;
        self.stream(rows).await
    }

    /// All rows of `table` that the tenant has, as a DataFusion frame to build on; run it with
    /// [`Query::stream`].
    ///
    /// # Errors
    /// None that a caller can cause: every table is registered.
    pub async fn table(&self, table: Table) -> Result<DataFrame, QueryError> {
        Ok(self.session.table(table.name()).await?)
    }

    /// Runs a frame made from [`Query::table`]. Trusted like [`Query::scan`].
    ///
    /// # Errors
    /// [`QueryError::TimedOut`]; [`QueryError::Invalid`] when the frame does not fit its tables.
    pub async fn stream(&self, frame: DataFrame) -> Result<SendableRecordBatchStream, QueryError> {
        let plan = self.plan(async move { Ok(frame.create_physical_plan().await?) }).await?;
        self.run(plan, Caps { rows_max: usize::MAX, bytes_max: usize::MAX, ..self.caps })
    }

    async fn plan<F>(&self, planning: F) -> Result<Arc<dyn ExecutionPlan>, QueryError>
    where
        F: Future<Output = Result<Arc<dyn ExecutionPlan>, QueryError>> + Send + 'static,
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

    fn run(&self, plan: Arc<dyn ExecutionPlan>, caps: Caps) -> Result<SendableRecordBatchStream, QueryError> {
        let stream = execute_stream(plan, self.session.task_ctx())?;
        Ok(bounded(stream, caps, Arc::clone(&self.place)))
    }
}

fn time_literal(at: UnixNanos) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(at.micros()), Some("UTC".into())))
}

async fn plan_sql(
    session: &SessionContext,
    sql: &str,
    rows_max: usize,
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let plan = session.state().create_logical_plan(sql).await?;
    // The allow-list first: its messages are for people. DataFusion's own check stays as a second lock.
    plan_guard::check(&plan)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    let describes = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::DescribeTable(_));
    let frame = session.execute_logical_plan(plan).await?;
    // One row over the cap is enough to know that there are more, and lets a sort keep only that many.
    let frame = if describes { frame } else { frame.limit(0, Some(rows_max.saturating_add(1)))? };
    Ok(frame.create_physical_plan().await?)
}
