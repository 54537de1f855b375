//! DataFusion sessions without anything that writes, reaches outside, or makes much of little.
//!
//! Everything that does not depend on the query is built once; a session is a copy of that with one
//! snapshot's tables and one object store. No setting can be changed by SQL, because SET is refused.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use datafusion::catalog::TableFunction;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::registry::FunctionRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::Optimizer;
use datafusion::prelude::{SessionConfig, SessionContext};
use meshlake_store::snapshot::Snapshot;

use crate::catalog::{self, AttributeAccess, AttributeFilterCache, CATALOG, OnlyStore, SCHEMA};

use crate::capped::{CapCalls, capped};
use crate::config::EngineConfig;
use crate::error::QueryError;
use crate::functions;
use crate::histograms;
use crate::ongoing::asking;
use crate::series;
use crate::soft_limit::NoLimitOfSortedGroups;
use crate::text_guard::NESTING_MAX;
use crate::watched::CountWindows;

/// Functions taken out: the first makes arrays of any length from a few bytes without asking the memory pool, the
/// others tell of files and of the build. What else makes much of little is `capped`.
const REMOVED_FUNCTIONS: [&str; 6] =
    ["array_resize", "input_file_name", "file_row_index", "version", "arrow_metadata", "with_metadata"];

/// How many of the largest consumers a memory error names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not zero");

/// The session of one query, made when it is first planned with: a question that is answered from what is kept needs none, and
/// would wait longer for it than for all else.
pub type LazySession = LazyLock<Result<SessionContext, QueryError>, Box<dyn FnOnce() -> Made + Send>>;

/// What became of making one.
type Made = Result<SessionContext, QueryError>;

/// What sessions have in common.
pub struct SessionTemplate {
    state: SessionState,
    runtime: Arc<RuntimeEnv>,
}

impl SessionTemplate {
    /// # Errors
    /// [`QueryError::Internal`] if the spill directory cannot be made.
    pub fn new(config: &EngineConfig) -> Result<Self, QueryError> {
        let runtime = runtime(config)?;
        let mut scalar_functions = SessionStateDefaults::default_scalar_functions();
        scalar_functions.retain(|function| !REMOVED_FUNCTIONS.contains(&function.name()));
        let own = functions::all().into_iter().chain(histograms::scalars());
        let pool = &runtime.memory_pool;
        let scalar_functions = scalar_functions.into_iter().map(|function| capped(function, pool));
        let scalar_functions = scalar_functions.chain(own).collect();
        let mut aggregate_functions = SessionStateDefaults::default_aggregate_functions();
        aggregate_functions.extend(histograms::aggregates());
        let mut expr_planners = SessionStateDefaults::default_expr_planners();
        expr_planners.insert(0, Arc::new(AttributeAccess));
        // No table factories, file formats or table functions of DataFusion's: nothing to CREATE, COPY to or call in
        // FROM but our own.
        let mut state = SessionStateBuilder::new()
            .with_config(session_config(config))
            .with_runtime_env(Arc::clone(&runtime))
            .with_expr_planners(expr_planners)
            .with_optimizer_rules(asking(Optimizer::new().rules))
            .with_physical_optimizer_rule(Arc::new(NoLimitOfSortedGroups))
            .with_scalar_functions(scalar_functions)
            .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
            .with_aggregate_functions(aggregate_functions)
            .with_window_functions(SessionStateDefaults::default_window_functions())
            .build();
        state.register_function_rewrite(Arc::new(CapCalls::new(&runtime.memory_pool)))?;
        state.register_function_rewrite(Arc::new(CountWindows::new(&runtime.memory_pool)))?;
        Ok(SessionTemplate { state, runtime })
    }

    /// The functions that statements may call, by name and kind: `f` of values, `a` of groups, `w` of windows.
    pub fn function_names(&self) -> Vec<(String, &'static str)> {
        let scalar = self.state.scalar_functions().values().map(|function| (function.name(), "f"));
        let aggregate = self.state.aggregate_functions().values().map(|function| (function.name(), "a"));
        let window = self.state.window_functions().values().map(|function| (function.name(), "w"));
        let names = scalar.chain(aggregate).chain(window).map(|(name, kind)| (name.to_owned(), kind));
        // Functions of several names are there once a name.
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Every function of values, as statements call it.
    #[cfg(test)]
    pub fn scalar_functions(&self) -> Vec<Arc<datafusion::logical_expr::ScalarUDF>> {
        let names = self.state.scalar_functions().iter().collect::<std::collections::BTreeMap<_, _>>();
        names.into_values().map(Arc::clone).collect()
    }

    /// The memory that all sessions share.
    pub fn memory_pool(&self) -> &Arc<dyn MemoryPool> {
        &self.runtime.memory_pool
    }

    /// What all queries hold by the pool's count.
    #[cfg(test)]
    pub fn pool_bytes(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }

    /// A session that sees `snapshot` as `tenant` may, with `functions` to call as tables.
    pub fn session(
        &self,
        snapshot: &Arc<Snapshot>,
        tenant: &str,
        mut functions: Vec<Arc<TableFunction>>,
    ) -> Result<SessionContext, QueryError> {
        functions.push(series::table());
        let store = OnlyStore::new(Arc::clone(snapshot.object_store()));
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_object_store_registry(Arc::new(store))
            .build_arc()?;
        let state = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_runtime_env(runtime)
            .with_catalog_list(catalog::tenant_catalogs(snapshot, tenant)?)
            .with_table_function_list(functions)
            .build();
        Ok(SessionContext::new_with_state(state))
    }
}

fn session_config(config: &EngineConfig) -> SessionConfig {
    SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_extension(Arc::new(AttributeFilterCache::default()))
        .with_target_partitions(config.parallelism.max(1))
        .set_bool("datafusion.execution.enable_recursive_ctes", false)
        // Which columns cannot be null it finds another way than the plan does, and calls a difference its own bug.
        .set_bool("datafusion.execution.skip_physical_aggregate_schema_check", true)
        .set_usize("datafusion.sql_parser.recursion_limit", NESTING_MAX)
}

fn runtime(config: &EngineConfig) -> Result<Arc<RuntimeEnv>, QueryError> {
    let spill = match &config.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes_max), NAMED_CONSUMERS);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(
            DiskManagerBuilder::default()
                .with_mode(spill)
                .with_max_temp_directory_size(config.spill_bytes_max),
        )
        .with_metadata_cache_limit(config.footer_cache_bytes_max)
        .build_arc()?;
    Ok(runtime)
}
