//! Has the memory pool count what aggregates make as windows, and lets them be stopped: `string_agg(name, ',') OVER ()` is
//! a text of all rows, once a row.
//!
//! As groups they tell the pool what they hold; as windows nobody asks them. So an aggregate that gives texts
//! or lists is wrapped where a statement calls it as a window: its state is counted, and each value before it
//! is written, for as many rows as have come since the last, which are the rows that it is written for. All
//! of it is counted until the statement ends. A window with a FILTER does not see those rows and is refused. A window
//! computes all of its rows in one step of a plan, so each aggregate is asked at every row whether to go on.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, ReversedUDAF, Signature,
    WindowFunctionDefinition,
};

use crate::error::QueryError;
use crate::ongoing::Ongoing;
use crate::stop::Stop;
use crate::weight::{Texts, array_bytes, names_bytes};

/// How windows are called where a memory error names the largest consumers.
const CONSUMER: &str = "values of a window";

/// Bytes that a value takes where it is written; of lists of texts, their views, and what they name texts by.
pub fn value_bytes(value: &ScalarValue) -> usize {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            size_of::<u128>() + text.as_ref().map_or(0, String::len)
        }
        other => other.to_array().map_or_else(
            |_| other.size(),
            |array| array_bytes(&array, Texts::Shared).saturating_add(names_bytes(&array)),
        ),
    }
}

/// Wraps aggregates that are windows; to be registered with a session.
#[derive(Debug)]
pub struct CountWindows {
    pool: Arc<dyn MemoryPool>,
}

impl CountWindows {
    pub fn new(pool: &Arc<dyn MemoryPool>) -> CountWindows {
        CountWindows { pool: Arc::clone(pool) }
    }
}

impl FunctionRewrite for CountWindows {
    fn name(&self) -> &'static str {
        "count_windows"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
        // What has no type yet is given one later, and may be a text.
        let is_wide =
            |expr: &Expr| expr.get_type(schema).map_or(true, |kind| kind.primitive_width().is_none());
        match expr {
            Expr::WindowFunction(mut window)
                if matches!(window.fun, WindowFunctionDefinition::AggregateUDF(_)) =>
            {
                let is_wide = is_wide(&Expr::WindowFunction(window.clone()));
                if is_wide && window.params.filter.is_some() {
                    let message = "a window of texts or lists cannot have a FILTER: put the condition into its \
                                   argument, as CASE WHEN ... THEN ... END";
                    return Err(QueryError::Refused(message.to_owned()).into());
                }
                if let WindowFunctionDefinition::AggregateUDF(inner) = &window.fun {
                    let held = is_wide.then(|| MemoryConsumer::new(CONSUMER).register(&self.pool));
                    let window_of = Window { held: held.map(Arc::new), stop: Ongoing::of(config).stop };
                    window.fun = WindowFunctionDefinition::AggregateUDF(counted(inner, &window_of));
                }
                Ok(Transformed::yes(Expr::WindowFunction(window)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn counted(inner: &Arc<AggregateUDF>, window: &Window) -> Arc<AggregateUDF> {
    if inner.inner().is::<Counted>() {
        return Arc::clone(inner);
    }
    Arc::new(AggregateUDF::from(Counted { inner: Arc::clone(inner), window: window.clone() }))
}

/// What a window holds, where that is texts or lists, and what stops it.
#[derive(Debug, Clone)]
struct Window {
    held: Option<Arc<MemoryReservation>>,
    stop: Stop,
}

impl Window {
    fn grow(&self, bytes: impl FnOnce() -> usize) -> Result<()> {
        self.held.as_ref().map_or(Ok(()), |held| held.try_grow(bytes()))
    }
}

/// An aggregate whose values are counted, and that can be stopped.
#[derive(Debug)]
struct Counted {
    inner: Arc<AggregateUDF>,
    window: Window,
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Counted {
    fn values(&self, inner: Box<dyn Accumulator>) -> Box<dyn Accumulator> {
        Box::new(CountedValues { inner, window: self.window.clone(), state_bytes: 0, rows: 0 })
    }
}

impl AggregateUDFImpl for Counted {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(self.values(self.inner.accumulator(args)?))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(self.values(self.inner.create_sliding_accumulator(args)?))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(inner) => ReversedUDAF::Reversed(counted(&inner, &self.window)),
            other => other,
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(kind)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}

#[derive(Debug)]
struct CountedValues {
    inner: Box<dyn Accumulator>,
    window: Window,
    /// Of the state, what is counted.
    state_bytes: usize,
    /// Rows since the last value.
    rows: usize,
}

impl CountedValues {
    fn count_state(&mut self) -> Result<()> {
        let Some(held) = &self.window.held else { return Ok(()) };
        let bytes = self.inner.size();
        if let Some(more) = bytes.checked_sub(self.state_bytes) {
            held.try_grow(more)?;
            self.state_bytes = bytes;
        }
        Ok(())
    }
}

impl Accumulator for CountedValues {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows += values.first().map_or(1, |values| values.len());
        self.inner.update_batch(values)?;
        self.count_state()
    }

    /// The one value of a partition is written for all its rows, that of a frame that grows for the row that
    /// it ends with and those alike.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.window.stop.check()?;
        let value = self.inner.evaluate()?;
        let rows = std::mem::take(&mut self.rows).max(1);
        self.window.grow(|| value_bytes(&value).saturating_mul(rows))?;
        Ok(value)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)?;
        self.count_state()
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}
