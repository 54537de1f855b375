//! `rollouts(service, from, to, source)`: instances that came and went, and what that cost; see
//! `meshlake_calls::operate::rollouts`.

use meshlake_calls::Figures;
use meshlake_calls::operate::rollouts::{Rollout, range_of};
use meshlake_engine::{Arguments, Query, QueryError};

use super::{Column, Function, OF_SERVICE, Value, failed, of_service};
use crate::operate::rollouts::{Asked, load};

/// A rollout of the service.
pub(super) struct Row {
    service: Option<String>,
    rollout: Rollout,
}

impl Row {
    fn during(&self) -> Option<&Figures> {
        self.rollout.during.as_ref()
    }

    fn before(&self) -> Option<&Figures> {
        self.rollout.before.as_ref()
    }

    fn after(&self) -> Option<&Figures> {
        self.rollout.after.as_ref()
    }
}

fn whole(count: usize) -> Option<i64> {
    i64::try_from(count).ok()
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "service", value: Value::Text(|row| row.service.as_deref()) },
    Column { name: "kind", value: Value::Text(|row| Some(row.rollout.kind.name())) },
    Column { name: "from", value: Value::Time(|row| Some(row.rollout.from)) },
    Column { name: "to", value: Value::Time(|row| Some(row.rollout.to)) },
    Column { name: "came", value: Value::Integer(|row| whole(row.rollout.came_count)) },
    Column { name: "went", value: Value::Integer(|row| whole(row.rollout.went_count)) },
    Column { name: "verdict", value: Value::Text(|row| Some(row.rollout.cost.verdict.name())) },
    Column { name: "requests", value: Value::Number(|row| Some(row.rollout.cost.calls)) },
    Column { name: "lost", value: Value::Number(|row| Some(row.rollout.cost.lost)) },
    Column { name: "usual", value: Value::Number(|row| row.rollout.cost.usual) },
    Column { name: "beyond", value: Value::Number(|row| row.rollout.cost.beyond) },
    Column { name: "p_value", value: Value::Number(|row| row.rollout.cost.p_value) },
    Column { name: "error_ratio_before", value: Value::Number(|row| Some(row.before()?.error_ratio)) },
    Column { name: "error_ratio_during", value: Value::Number(|row| Some(row.during()?.error_ratio)) },
    Column { name: "error_ratio_after", value: Value::Number(|row| Some(row.after()?.error_ratio)) },
    Column { name: "p99_ms_before", value: Value::Number(|row| row.before()?.p99_ms) },
    Column { name: "p99_ms_during", value: Value::Number(|row| row.during()?.p99_ms) },
    Column { name: "p99_ms_after", value: Value::Number(|row| row.after()?.p99_ms) },
];

pub(super) const ROLLOUTS: Function<Row> = Function {
    name: "rollouts",
    parameters: &OF_SERVICE,
    columns: COLUMNS,
    answer: |query, arguments| Box::pin(async move { answer(&query, &arguments).await }),
};

async fn answer(query: &Query, given: &Arguments) -> Result<Vec<Row>, QueryError> {
    let (service, asked, source) = of_service(query, given)?;
    let range =
        range_of(asked.from(), asked.to(), 0).map_err(|error| QueryError::Invalid(error.to_string()))?;
    let found = load(query, &Asked { service, range, source }).await.map_err(failed)?;
    let row = |rollout| Row { service: found.service.clone(), rollout };
    Ok(found.rollouts.into_iter().map(row).collect())
}
