//! Operators of texts as functions, so that they can be capped and stopped: an operator's result is bounded by nobody, and
//! while it goes through a batch nobody can stop it.
//!
//! What they do is left to the engine's own operators. `||` with null is null, unlike `concat`. `LIKE` and `~` are
//! functions only where a pattern is looked for in what was computed, or is itself computed: of a column and a constant the
//! optimiser knows which files to leave out.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    operator: Operator,
    name: &'static str,
    signature: Signature,
}

impl Operation {
    pub fn new(operator: Operator, name: &'static str) -> Operation {
        Operation { operator, name, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names = args.iter().map(|arg| arg.schema_name().to_string());
        Ok(names.collect::<Vec<_>>().join(&format!(" {} ", self.name)))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = two(types);
        let (left, right) = BinaryTypeCoercer::new(left, &self.operator, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = two(types);
        BinaryTypeCoercer::new(left, &self.operator, right).get_result_type()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (mut fields, mut columns, mut sides) = (Vec::new(), Vec::new(), Vec::new());
        for argument in args.args {
            let side: Arc<dyn PhysicalExpr> = match argument {
                ColumnarValue::Scalar(value) => Arc::new(Literal::new(value)),
                ColumnarValue::Array(array) => {
                    fields.push(Field::new("side", array.data_type().clone(), true));
                    columns.push(array);
                    Arc::new(Column::new("side", columns.len() - 1))
                }
            };
            sides.push(side);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(args.number_rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        let right = sides.pop().expect("the types of two sides were found");
        let left = sides.pop().expect("the types of two sides were found");
        BinaryExpr::new(left, self.operator, right).evaluate(&batch)
    }
}

/// Both sides; what is missing is null.
fn two(types: &[DataType]) -> [&DataType; 2] {
    [0, 1].map(|side| types.get(side).unwrap_or(&DataType::Null))
}
