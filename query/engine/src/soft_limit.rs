//! Groups that stop at a LIMIT, but over rows that are sorted.
//!
//! `SELECT DISTINCT trace_id FROM spans LIMIT 20` needs no row behind the twentieth group, and DataFusion tells the
//! aggregation so. Where a later step of planning finds that the rows come sorted, that same word makes DataFusion 55 take the
//! aggregation for the other one that has a limit, of the largest and smallest, and fail with "Ordering direction required for
//! DISTINCT with limit". So it is taken back there, behind all steps; the LIMIT itself stands above and still cuts.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

#[derive(Debug)]
pub struct NoLimitOfSortedGroups;

impl PhysicalOptimizerRule for NoLimitOfSortedGroups {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let misread = plan.downcast_ref::<AggregateExec>().filter(|groups| is_misread(groups));
            Ok(match misread.map(|groups| groups.with_new_limit_options(None)) {
                Some(unlimited) => Transformed::yes(Arc::new(unlimited)),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "no_limit_of_sorted_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether these groups have a limit without an order and would not be taken for what may have one.
fn is_misread(groups: &AggregateExec) -> bool {
    let soft = groups.limit_options().is_some_and(|limit| limit.descending().is_none());
    soft && groups.get_minmax_desc().is_none() && !groups.is_unordered_unfiltered_group_by_distinct()
}
