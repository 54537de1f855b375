//! Functions that can make much of little, refused before they do; and one that takes long for little.
//!
//! DataFusion's memory pool is not asked for what a scalar function allocates, so `repeat('x', 2000000000)`
//! takes two gigabytes from nobody's budget. Each function here is DataFusion's own behind a check: the size
//! of the result is bounded from the sizes of the arguments (`growth`), a batch that could outgrow
//! [`RESULT_BYTES_MAX`] is an error, and what was made the pool counts while it is held (`charge`). The
//! bounds are safe, not tight. Functions that make no more than a few times what they are given are left
//! alone: what reads too much of it is `watched`.

mod rewrite;
mod concatenation;
mod growth;
mod charge;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, new_empty_array};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::error::QueryError;
use crate::series::check_series;
use charge::charged;
use growth::Growth;

pub use rewrite::CapCalls;

/// Bytes that one call may make for one batch (8,192 rows, or one while constants are folded). 64 MiB leaves
/// 8 KiB a row, more than any label or path.
const RESULT_BYTES_MAX: u64 = 64 << 20;

/// Functions by how they grow. Each doubles or more what it is given, so that a chain of them has no end;
/// other functions of text and lists give back what they got, in another order or less of it.
const CAPPED: [(&str, Growth); 39] = [
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("regexp_replace", Growth::ReplacePattern),
    ("concat", Growth::Join),
    ("concat_ws", Growth::Join),
    ("levenshtein", Growth::Product),
    ("array_position", Growth::Place),
    ("generate_series", Growth::Series),
    ("range", Growth::Series),
    ("array_repeat", Growth::Values),
    ("||", Growth::Parts),
    ("overlay", Growth::Parts),
    ("make_array", Growth::Parts),
    ("array_append", Growth::Parts),
    ("array_prepend", Growth::Parts),
    ("array_concat", Growth::Parts),
    ("array_union", Growth::Parts),
    ("arrays_zip", Growth::Parts),
    ("map", Growth::Parts),
    ("map_entries", Growth::Parts),
    ("struct", Growth::Parts),
    ("row", Growth::Parts),
    ("named_struct", Growth::Parts),
    ("encode", Growth::Double),
    ("quote_ident", Growth::Double),
    ("quote_literal", Growth::Double),
    ("like_pattern", Growth::Double),
    ("array_to_string", Growth::JoinElements),
    ("array_replace", Growth::ReplaceElements),
    ("array_replace_n", Growth::ReplaceElements),
    ("array_replace_all", Growth::ReplaceElements),
    ("string_to_array", Growth::Split),
    ("text_array", Growth::Split),
    ("parse_ident", Growth::Split),
    ("regexp_match", Growth::Split),
    ("to_char", Growth::Format),
    ("format", Growth::Fill),
];

/// The same function, behind a check if it needs one; what it makes is counted by `pool`.
pub fn capped(function: Arc<ScalarUDF>, pool: &Arc<dyn MemoryPool>) -> Arc<ScalarUDF> {
    match CAPPED.iter().find(|(name, _)| *name == function.name()) {
        Some((_, growth)) if !function.inner().is::<Capped>() => Arc::new(ScalarUDF::from(Capped {
            inner: function,
            growth: *growth,
            pool: Pool(Arc::clone(pool)),
        })),
        _ => function,
    }
}

/// The one pool of an engine: functions do not differ by it.
#[derive(Debug)]
struct Pool(Arc<dyn MemoryPool>);

impl PartialEq for Pool {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pool {}

impl Hash for Pool {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    pool: Pool,
}

impl ScalarUDFImpl for Capped {
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

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Some functions look at the first row, which is not always there.
        if args.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(args.return_type())));
        }
        if self.growth == Growth::Series {
            check_series(self.name(), &args)?;
        }
        let bytes = self.growth.bytes(&args)?;
        if bytes > RESULT_BYTES_MAX {
            let name = self.name();
            let message = format!(
                "{name} could take {bytes} bytes or steps at once, at most {RESULT_BYTES_MAX} are allowed"
            );
            return Err(QueryError::Refused(message).into());
        }
        let number = match self.growth {
            Growth::Pad => args.args.get_mut(1),
            Growth::Place => args.args.get_mut(2),
            _ => None,
        };
        if let Some(number) = number {
            *number = at_least_zero(number)?;
        }
        let given = args.args.clone();
        match self.inner.invoke_with_args(args)? {
            ColumnarValue::Array(made) => Ok(ColumnarValue::Array(charged(made, &given, &self.pool.0)?)),
            constant => Ok(constant),
        }
    }
}

/// A negative length is none, as in PostgreSQL; DataFusion's functions take it for one beyond all memory and
/// panic. They count a place from one below it, which the least of numbers has not; none below 1 is one.
fn at_least_zero(length: &ColumnarValue) -> Result<ColumnarValue> {
    Ok(match length {
        ColumnarValue::Scalar(ScalarValue::Int64(Some(length))) => {
            ColumnarValue::Scalar(ScalarValue::Int64(Some((*length).max(0))))
        }
        ColumnarValue::Array(lengths) if lengths.data_type() == &DataType::Int64 => {
            let lengths = lengths.as_primitive::<Int64Type>();
            ColumnarValue::Array(Arc::new(lengths.unary::<_, Int64Type>(|length| length.max(0))))
        }
        other => other.clone(),
    })
}
