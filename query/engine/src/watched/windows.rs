//! Has the memory pool count what windows hold (the rows that wait for their frame, and values that are written beside
//! them), and lets them be stopped.
//!
//! A window over a whole partition keeps all of its rows, and `first_value(name) OVER ()` writes one text
//! beside each. Rows are counted as they go in, a value before it is written, and both are given back as rows
//! come out. Numbers are not counted: they take no more than the rows that they are for. Aggregates count
//! their own: `aggregates`.

use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{LimitEffect, PartitionEvaluator};
use datafusion::physical_expr::window::{StandardWindowExpr, StandardWindowFunctionExpr, WindowExpr};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::StreamExt;

use super::aggregates::value_bytes;
use super::cut::Cut;
use super::fitted::fitted;
use super::node::{Passing, Watch};
use crate::stop::Stop;
use crate::weight::{Texts, array_bytes, batch_bytes};

/// How windows are called where a memory error names the largest consumers.
const CONSUMER: &str = "window";

/// `node`, counted if it is a window.
pub fn watched_windows(
    node: Arc<dyn ExecutionPlan>,
    pool: &Arc<dyn MemoryPool>,
    stop: &Stop,
) -> Result<Arc<dyn ExecutionPlan>> {
    let held = Arc::new(Holding::new(pool, stop));
    let entering = |input: &Arc<dyn ExecutionPlan>| {
        Arc::new(Passing::new(Arc::clone(input), Gate { held: Arc::clone(&held), side: Side::In }))
    };
    let window: Arc<dyn ExecutionPlan> = if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        let functions = counted_functions(window.window_expr(), &held)?;
        let can_repartition = !window.partition_keys().is_empty();
        Arc::new(WindowAggExec::try_new(functions, entering(window.input()), can_repartition)?)
    } else if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
        let functions = counted_functions(window.window_expr(), &held)?;
        let can_repartition = !window.partition_keys().is_empty();
        let (input, mode) = (entering(window.input()), window.input_order_mode.clone());
        Arc::new(BoundedWindowAggExec::try_new(functions, input, mode, can_repartition)?)
    } else {
        return Ok(node);
    };
    Ok(Arc::new(Passing::new(window, Gate { held, side: Side::Out })))
}

/// What one window holds, of all its partitions.
#[derive(Debug)]
struct Holding {
    reservation: MemoryReservation,
    rows: Mutex<usize>,
    stop: Stop,
}

impl Holding {
    fn new(pool: &Arc<dyn MemoryPool>, stop: &Stop) -> Holding {
        let reservation = MemoryConsumer::new(CONSUMER).register(pool);
        Holding { reservation, rows: Mutex::new(0), stop: stop.clone() }
    }

    fn enter(&self, batch: &RecordBatch) -> Result<()> {
        self.reservation.try_grow(batch_bytes(batch, Texts::Held))?;
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) += batch.num_rows();
        Ok(())
    }

    /// Gives back for `rows` what as many take of all.
    fn leave(&self, rows: usize) {
        let mut held = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, rows) = (self.reservation.size(), rows.min(*held));
        let share = (bytes as u128 * rows as u128).checked_div(*held as u128).unwrap_or_default();
        self.reservation.shrink(usize::try_from(share).unwrap_or(bytes).min(bytes));
        *held -= rows;
    }
}

#[derive(Debug, Clone, Copy)]
enum Side {
    In,
    Out,
}

/// Where rows go into a window, or come out.
#[derive(Debug, Clone)]
struct Gate {
    held: Arc<Holding>,
    side: Side,
}

impl Watch for Gate {
    fn name(&self) -> &'static str {
        match self.side {
            Side::In => "CountInExec",
            Side::Out => "CountOutExec",
        }
    }

    fn watch(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (schema, gate) = (rows.schema(), self.clone());
        match gate.side {
            Side::In => {
                let counted = rows.map(move |batch| {
                    let batch = fitted(batch?)?;
                    gate.held.enter(&batch)?;
                    Ok(batch)
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, counted))
            }
            Side::Out => {
                let counted = Cut.watch(rows).inspect(move |batch| {
                    if let Ok(batch) = batch {
                        gate.held.leave(batch.num_rows());
                    }
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, counted))
            }
        }
    }
}

/// The functions of a window, which can be stopped, and of which those that give texts or lists count them.
fn counted_functions(
    functions: &[Arc<dyn WindowExpr>],
    held: &Arc<Holding>,
) -> Result<Vec<Arc<dyn WindowExpr>>> {
    let counted = functions.iter().map(|function| {
        let is_wide = function.field()?.data_type().primitive_width().is_none();
        let Some(standard) = function.as_any().downcast_ref::<StandardWindowExpr>() else {
            return Ok(Arc::clone(function));
        };
        let inner = Arc::clone(standard.get_standard_func_expr());
        let counted = Arc::new(Counted { inner, held: Arc::clone(held), is_wide });
        let (partition_by, order_by) = (function.partition_by(), function.order_by());
        let frame = Arc::clone(function.get_window_frame());
        Ok(Arc::new(StandardWindowExpr::new(counted, partition_by, order_by, frame)) as _)
    });
    counted.collect()
}

/// A function whose values are counted.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn StandardWindowFunctionExpr>,
    held: Arc<Holding>,
    is_wide: bool,
}

impl StandardWindowFunctionExpr for Counted {
    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }

    fn field(&self) -> Result<FieldRef> {
        self.inner.field()
    }

    fn expressions(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn evaluate_args(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.inner.evaluate_args(batch)
    }

    fn create_evaluator(&self) -> Result<Box<dyn PartitionEvaluator>> {
        let inner = self.inner.create_evaluator()?;
        Ok(Box::new(CountedValues { inner, held: Arc::clone(&self.held), is_wide: self.is_wide }))
    }

    fn reverse_expr(&self) -> Option<Arc<dyn StandardWindowFunctionExpr>> {
        let inner = self.inner.reverse_expr()?;
        Some(Arc::new(Counted { inner, held: Arc::clone(&self.held), is_wide: self.is_wide }))
    }

    fn get_result_ordering(&self, schema: &SchemaRef) -> Option<PhysicalSortExpr> {
        self.inner.get_result_ordering(schema)
    }

    fn limit_effect(&self) -> LimitEffect {
        self.inner.limit_effect()
    }
}

#[derive(Debug)]
struct CountedValues {
    inner: Box<dyn PartitionEvaluator>,
    held: Arc<Holding>,
    is_wide: bool,
}

impl PartitionEvaluator for CountedValues {
    fn memoize(&mut self, state: &mut WindowAggState) -> Result<()> {
        self.inner.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.inner.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.held.stop.check()?;
        let all = self.inner.evaluate_all(values, rows)?;
        if self.is_wide {
            self.held.reservation.try_grow(array_bytes(&all, Texts::Held))?;
        }
        Ok(all)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.held.stop.check()?;
        let value = self.inner.evaluate(values, range)?;
        if self.is_wide {
            self.held.reservation.try_grow(value_bytes(&value))?;
        }
        Ok(value)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        self.inner.evaluate_all_with_rank(rows, ranks)
    }

    fn supports_bounded_execution(&self) -> bool {
        self.inner.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.inner.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.inner.include_rank()
    }
}
