//! A statement while it is worked on: what stops it, and what its constants have taken.
//!
//! The optimiser evaluates what is constant, a function goes through a batch: they are handed the options of their session and
//! nothing else of the statement, so it travels as one of these, and whatever can take long asks it now and then. Work that is not
//! a statement's (scans of our own) has one that nobody stops.

use std::any::Any;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::exec_err;
use datafusion::common::tree_node::Transformed;
use datafusion::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::prelude::SessionContext;

use crate::error::QueryError;
use crate::stop::Stop;

/// Bytes that the constants of one statement may be computed to, a text counted four times: none that people write comes
/// near it.
const CONSTANT_BYTES_MAX: usize = 64 << 20;

/// The plan is copied with its constants by each rule that changes it. Of a text of 16 MB that was counted four times 109 MB were in
/// memory at once, half of them again as the answer was written.
const COPIES: usize = 2;

/// How constants are called where a memory error names the largest consumers.
const CONSUMER: &str = "constants of a statement";

/// One statement. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Ongoing {
    pub stop: Stop,
    constant_bytes: Arc<AtomicUsize>,
    /// For as long as the statement is there.
    held: Option<Arc<MemoryReservation>>,
}

impl Ongoing {
    /// The statement `sql`. The log calls it by its hash: its text may hold what a log is not to tell.
    pub fn statement(sql: &str, pool: &Arc<dyn MemoryPool>) -> Ongoing {
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        let what = format!("statement {:016x} of {} bytes", hasher.finish(), sql.len());
        let held = Some(Arc::new(MemoryConsumer::new(CONSUMER).register(pool)));
        Ongoing { stop: Stop::of(what), held, ..Ongoing::default() }
    }

    /// The statement that is planned with `options`; one that nobody stops where there is none.
    pub fn of(options: &ConfigOptions) -> Ongoing {
        options.extensions.get::<Ongoing>().cloned().unwrap_or_default()
    }

    /// `session`, in which this is planned.
    pub fn within(&self, session: &SessionContext) -> SessionContext {
        let mut state = session.state();
        state.config_mut().options_mut().extensions.insert(self.clone());
        SessionContext::new_with_state(state)
    }

    /// Takes note of a constant that was computed.
    ///
    /// # Errors
    /// [`QueryError::Refused`] where all of them are more than a plan is to carry; or the pool has no room for it.
    pub fn add_constant(&self, bytes: usize) -> Result<()> {
        let all = self.constant_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all > CONSTANT_BYTES_MAX {
            let message = format!("constants of {all} bytes, at most {CONSTANT_BYTES_MAX} are allowed");
            return Err(QueryError::Refused(message).into());
        }
        self.held.as_ref().map_or(Ok(()), |held| held.try_grow(bytes.saturating_mul(COPIES)))
    }
}

impl ConfigExtension for Ongoing {
    const PREFIX: &'static str = "meshlake_statement";
}

impl ExtensionOptions for Ongoing {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        exec_err!("{key} cannot be set")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// `rules`, with the statement asked before each of them.
pub fn asking(rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    rules.into_iter().flat_map(|rule| [Arc::new(Asking) as _, rule]).collect()
}

/// A rule that changes nothing and fails once its statement was stopped.
#[derive(Debug)]
struct Asking;

impl OptimizerRule for Asking {
    fn name(&self) -> &'static str {
        "ask_whether_to_go_on"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Ongoing::of(&config.options()).stop.check()?;
        Ok(Transformed::no(plan))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn constants_are_taken_out_of_the_pool_while_their_statement_is_there() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100 * COPIES));
        let statement = Ongoing::statement("SELECT 1", &pool);
        assert!(statement.add_constant(100).is_ok());
        assert!(Ongoing::statement("SELECT 2", &pool).add_constant(1).is_err(), "of another one");
        drop(statement);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn constants_are_bounded_all_together() {
        let statement = Ongoing::default();
        assert!(statement.add_constant(CONSTANT_BYTES_MAX / 2).is_ok());
        assert!(statement.add_constant(CONSTANT_BYTES_MAX / 2).is_ok());
        assert!(statement.clone().add_constant(1).is_err());
    }

    #[tokio::test]
    async fn planning_ends_between_two_rules() {
        let statement = Ongoing::default();
        let rules = asking(datafusion::optimizer::Optimizer::new().rules);
        let state = datafusion::execution::SessionStateBuilder::new_with_default_features()
            .with_optimizer_rules(rules)
            .build();
        let session = statement.within(&SessionContext::new_with_state(state));
        let plan = session.sql("SELECT 1 WHERE 2 > 1").await.expect("a statement");
        assert!(plan.clone().into_optimized_plan().is_ok());
        statement.stop.stop();
        let stopped = plan.into_optimized_plan().expect_err("it was stopped").to_string();
        assert!(stopped.contains("stopped"), "{stopped}");
    }
}
