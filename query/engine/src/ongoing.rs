//! A statement while it is worked on: whether anybody still waits for it, and what its constants have taken.
//!
//! Planning and functions run where no stream can be dropped and no time-out is seen: the optimiser evaluates what is
//! constant, a function goes through a batch. They are handed the options of their session and nothing else of the
//! statement, so it travels as one of these, and whatever can take long asks it now and then. Work that is not a
//! statement's (scans of our own) has one that nobody stops. Limits: it is asked, so work that does not ask goes on.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::common::exec_err;
use datafusion::common::tree_node::Transformed;
use datafusion::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::prelude::SessionContext;

use crate::error::QueryError;

/// Bytes that the constants of one statement may be computed to. A text is copied with the plan by each rule that changes
/// it, eight times in trials, so this is half a gigabyte while it is planned.
const CONSTANT_BYTES_MAX: usize = 64 << 20;

/// Stops the work that was made stoppable with it. Clones stop the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// It was stopped; nobody is left who would be told.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { exec_err!("the query was stopped") } else { Ok(()) }
    }

    /// Stops when it is dropped, unless that was called off.
    pub fn on_drop(&self) -> StopOnDrop {
        StopOnDrop(Some(self.clone()))
    }
}

#[derive(Debug)]
pub struct StopOnDrop(Option<Stop>);

impl StopOnDrop {
    pub fn call_off(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.stop();
        }
    }
}

/// One statement. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Ongoing {
    pub stop: Stop,
    constant_bytes: Arc<AtomicUsize>,
}

impl Ongoing {
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
    /// [`QueryError::Refused`] where all of them are more than a plan is to carry.
    pub fn add_constant(&self, bytes: usize) -> Result<()> {
        let all = self.constant_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all > CONSTANT_BYTES_MAX {
            let message = format!("constants of {all} bytes, at most {CONSTANT_BYTES_MAX} are allowed");
            return Err(QueryError::Refused(message).into());
        }
        Ok(())
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
    use super::*;

    #[test]
    fn what_is_dropped_stops_and_what_was_called_off_does_not() {
        let (left, done) = (Stop::default(), Stop::default());
        drop(left.on_drop());
        done.on_drop().call_off();
        assert!(left.check().is_err());
        assert!(done.check().is_ok());
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
