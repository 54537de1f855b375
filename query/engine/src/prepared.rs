//! A statement with parameters: described before it runs, run with values as often as wanted.
//!
//! Programs that prepare (the Postgres protocol, Flight SQL, JDBC) ask for the columns and parameters first, perhaps
//! minutes before they run the statement, and run it many times. So a prepared statement holds its text and what
//! was found out about it, no snapshot and no place among the running queries: each run sees the snapshot of
//! its own query and is planned on it.
//!
//! Parameters are `$1`, `$2` and so on, `?` by their order, or `$name`. A type is known where the parameter is compared with something, cast, or
//! a LIMIT, and where it is the list of `x = ANY($1)`; parameters that are used as several types, or only handed to functions, have none, and take that of their
//! value. A column whose type depends on such a parameter is described as Null.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use meshlake_schema::filter::Value;

use crate::answer::called;
use crate::error::QueryError;
use crate::postgres::shown_name;
use crate::text_guard::TEXT_BYTES_MAX;
use crate::values::parameter;

/// Parameters of one statement. Postgres' protocol can count 32,767; hand-written statements have a dozen, and
/// lists that programs write out, hundreds. Guess, not measured.
const PARAMETERS_MAX: usize = 1_000;

/// Bytes of all text values of one run: what the statement's own text may have, since operators that make much of
/// little are bounded by that.
const VALUE_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// A statement that was let through and described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    sql: Arc<str>,
    columns: SchemaRef,
    parameters: Vec<Option<DataType>>,
    names: Vec<String>,
}

/// A statement with the values of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    sql: Arc<str>,
    values: Vec<ScalarValue>,
}

impl Prepared {
    /// The columns of its answer, by name and type; whether they can be null is not told.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// The types of `$1`, `$2` and so on; none where the statement does not tell.
    pub fn parameters(&self) -> &[Option<DataType>] {
        &self.parameters
    }

    /// The names of `$1`, `$2` and so on where the statement wrote `$name`; none where it has numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn with_names(self, names: Vec<String>) -> Prepared {
        Prepared { names, ..self }
    }

    /// The statement with a value for each parameter; none is null. Text is read as what the parameter is, other
    /// values must be of its kind.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for another number of values and for the first value that does not fit;
    /// [`QueryError::Refused`] for more than 64 KiB of text.
    pub fn bind(&self, values: &[Option<Value>]) -> Result<Bound, QueryError> {
        same_count(self.parameters.len(), values.len())?;
        let texts = values.iter().map(|value| match value {
            Some(Value::Text(text)) => text.len(),
            _ => 0,
        });
        let bytes: usize = texts.sum();
        if bytes > VALUE_BYTES_MAX {
            let message = format!("the values have {bytes} bytes, at most {VALUE_BYTES_MAX} are allowed");
            return Err(QueryError::Refused(message));
        }
        let fitted = values.iter().zip(&self.parameters).enumerate();
        let fitted = fitted.map(|(i, (value, wanted))| parameter(i + 1, value.as_ref(), wanted.as_ref()));
        Ok(Bound { sql: Arc::clone(&self.sql), values: fitted.collect::<Result<_, _>>()? })
    }
}

impl Bound {
    /// A statement without parameters.
    pub(crate) fn plain(sql: &str) -> Self {
        Bound { sql: sql.into(), values: Vec::new() }
    }

    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// `plan`, which is the statement's, with the values in it.
    pub(crate) fn fill(self, plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
        same_count(parameters_of(&plan)?.len(), self.values.len())?;
        if self.values.is_empty() {
            return Ok(plan);
        }
        Ok(plan.with_param_values(self.values)?)
    }
}

fn same_count(parameters: usize, values: usize) -> Result<(), QueryError> {
    if parameters == values {
        return Ok(());
    }
    let message = format!("the statement's parameters are {parameters}, the values given {values}");
    Err(QueryError::Invalid(message))
}

/// What `plan`, the plan of `sql`, will answer with.
///
/// # Errors
/// [`QueryError::Invalid`] for parameters that are not numbered from 1, and for a statement that does not make sense
/// with any values; [`QueryError::Refused`] for too many parameters.
pub fn describe(sql: &str, plan: LogicalPlan, state: &SessionState) -> Result<Prepared, QueryError> {
    let parameters = parameters_of(&plan)?;
    let columns = columns_of(plan, &parameters, state)?;
    let columns = called(&columns, shown_name);
    Ok(Prepared { sql: sql.into(), columns, parameters, names: Vec::new() })
}

/// The columns that nulls of the parameters' types are answered with: a plan with parameters in it cannot be
/// analysed, and before it is analysed types are not final.
fn columns_of(
    plan: LogicalPlan,
    parameters: &[Option<DataType>],
    state: &SessionState,
) -> PlanResult<SchemaRef> {
    let null = |wanted: &Option<DataType>| match wanted {
        Some(wanted) => ScalarValue::try_new_null(wanted),
        None => Ok(ScalarValue::Null),
    };
    let nulls = parameters.iter().map(null).collect::<PlanResult<Vec<_>>>()?;
    let plan = if nulls.is_empty() { plan } else { plan.with_param_values(ParamValues::from(nulls))? };
    let plan = match plan {
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_) => plan,
        plan => state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?,
    };
    Ok(Arc::new(Schema::clone(plan.schema().as_arrow())))
}

/// The types of `$1`, `$2` and so on.
fn parameters_of(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, QueryError> {
    // Of each parameter by name, every type that it is used as.
    let mut found: BTreeMap<String, Vec<DataType>> = BTreeMap::new();
    let mut add = |placeholder: &Placeholder, used_as: Option<&DataType>| {
        let types = found.entry(placeholder.id.clone()).or_default();
        // Texts of all layouts are one type to whoever sends one.
        let used_as = used_as.map(|used_as| if used_as.is_string() { &DataType::Utf8 } else { used_as });
        types.extend(used_as.filter(|used_as| !types.contains(used_as)).cloned());
    };
    plan.apply_with_subqueries(|node| {
        let inputs = merge_schema(&node.inputs());
        let bare = matches!(node, LogicalPlan::Limit(_)).then_some(&DataType::Int64);
        node.apply_expressions(|whole| {
            whole.apply(|part| match part {
                Expr::Cast(Cast { expr, field }) if let Expr::Placeholder(placeholder) = expr.as_ref() => {
                    add(placeholder, Some(field.data_type()));
                    Ok(TreeNodeRecursion::Jump)
                }
                Expr::ScalarFunction(call) if call.name() == "array_has" => {
                    if let [Expr::Placeholder(list), element] = call.args.as_slice()
                        && let Ok(element) = element.get_type(&inputs)
                    {
                        let element = if element.is_string() { DataType::Utf8 } else { element };
                        add(list, Some(&DataType::new_list(element, true)));
                    }
                    Ok(TreeNodeRecursion::Continue)
                }
                Expr::Placeholder(placeholder) => {
                    let inferred = placeholder.field.as_ref().map(|field| field.data_type());
                    add(placeholder, inferred.or(bare));
                    Ok(TreeNodeRecursion::Continue)
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    if found.len() > PARAMETERS_MAX {
        let message =
            format!("the statement has {} parameters, at most {PARAMETERS_MAX} are allowed", found.len());
        return Err(QueryError::Refused(message));
    }
    let numbered = (1..=found.len()).map(|number| {
        let missing =
            || QueryError::Invalid(format!("parameters are $1, $2 and so on, and there is no ${number}"));
        let types = found.get(&format!("${number}")).ok_or_else(missing)?;
        Ok(match types.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        })
    });
    numbered.collect()
}
