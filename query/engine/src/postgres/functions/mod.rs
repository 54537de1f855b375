//! The functions that PostgreSQL's clients call and the engine does not have.
//!
//! Each is a line of a table and a few lines of Rust on plain values, row by row: they are called on the rows of the
//! catalogue, or once a statement. Null gives null unless a function says otherwise, as in PostgreSQL.

mod of_session;
mod of_catalogue;
mod of_texts;
mod sleep;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::cell::{Cell, CellType};
use super::known::Facts;

/// One function.
#[derive(Debug)]
struct Declared {
    name: &'static str,
    returns: CellType,
    /// Whether it is called with nulls.
    takes_nulls: bool,
    body: fn(&Facts, Arguments<'_>) -> Result<Cell>,
}

impl Declared {
    /// The same, called with nulls too.
    const fn with_nulls(self) -> Declared {
        Declared { takes_nulls: true, ..self }
    }
}

/// The arguments of one call.
#[derive(Debug, Clone, Copy)]
struct Arguments<'a>(&'a [ScalarValue]);

impl Arguments<'_> {
    /// The argument at `place`, from 0, as text.
    fn text(&self, place: usize) -> Result<Option<String>> {
        let Some(value) = self.0.get(place).filter(|value| !value.is_null()) else { return Ok(None) };
        match value.cast_to(&DataType::Utf8)? {
            ScalarValue::Utf8(text) => Ok(text),
            other => Err(DataFusionError::Internal(format!("text became {other:?}"))),
        }
    }

    fn last_text(&self) -> Result<Option<String>> {
        self.text(self.0.len().saturating_sub(1))
    }

    /// The elements of the array at `place`.
    fn array(&self, place: usize) -> Result<Option<ArrayRef>> {
        match self.0.get(place) {
            Some(ScalarValue::List(list)) if list.is_valid(0) => Ok(Some(list.value(0))),
            Some(value) if value.is_null() => Ok(None),
            None => Ok(None),
            Some(other) => Err(DataFusionError::Plan(format!("{other} is no array"))),
        }
    }

    fn length(&self, place: usize) -> Result<usize> {
        Ok(self.array(place)?.map_or(0, |array| array.len()))
    }

    /// The elements of the array at `place`, as texts.
    fn list(&self, place: usize) -> Result<Vec<String>> {
        let Some(array) = self.array(place)? else { return Ok(Vec::new()) };
        let texts = cast(&array, &DataType::Utf8)?;
        Ok(texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
    }

    fn data_type(&self, place: usize) -> Option<DataType> {
        self.0.get(place).map(ScalarValue::data_type)
    }

    fn boolean(&self, place: usize) -> bool {
        matches!(self.0.get(place), Some(ScalarValue::Boolean(Some(true))))
    }
}

/// All of them, for one client.
pub fn all(facts: &Arc<Facts>) -> Vec<Arc<ScalarUDF>> {
    let declared = of_session::ALL.iter().chain(&of_catalogue::ALL).chain(&of_texts::ALL);
    let functions = declared.map(|declared| {
        let function = Callable { declared, facts: Arc::clone(facts), signature: any_arguments() };
        Arc::new(ScalarUDF::from(function))
    });
    functions.chain([sleep::pg_sleep()]).collect()
}

/// Any number of arguments of any types: what does not fit is the body's to say.
fn any_arguments() -> Signature {
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable)
}

#[derive(Debug)]
struct Callable {
    declared: &'static Declared,
    facts: Arc<Facts>,
    signature: Signature,
}

impl PartialEq for Callable {
    fn eq(&self, other: &Self) -> bool {
        self.declared.name == other.declared.name && Arc::ptr_eq(&self.facts, &other.facts)
    }
}

impl Eq for Callable {}

impl Hash for Callable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.declared.name.hash(state);
    }
}

impl ScalarUDFImpl for Callable {
    fn name(&self) -> &str {
        self.declared.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.declared.returns.data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.declared.returns.field(self.declared.name)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let mut cells = Vec::with_capacity(rows);
        for row in 0..rows {
            let values = args.args.iter().map(|arg| match arg {
                ColumnarValue::Scalar(value) => Ok(value.clone()),
                ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            let is_null = !self.declared.takes_nulls && values.iter().any(ScalarValue::is_null);
            let call = || (self.declared.body)(&self.facts, Arguments(&values));
            cells.push(if is_null { Cell::Null } else { call()? });
        }
        let array = self.declared.returns.array(cells.iter())?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}
