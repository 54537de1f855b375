//! Functions that can make much of little, refused before they do, and those that take long, so that they can be stopped.
//!
//! DataFusion's memory pool is not asked for what a scalar function allocates, so `repeat('x', 2000000000)`
//! takes two gigabytes from nobody's budget. Each function here is DataFusion's own behind a check: the size
//! of the result is bounded from the sizes of the arguments (`growth`), a batch that could outgrow
//! [`RESULT_BYTES_MAX`] is an error, and what was made the pool counts while it is held (`charge`). The
//! bounds are safe, not tight. Functions that make no more than a few times what they are given are not bounded: what
//! reads too much of it is `watched`. All of them are called for some rows at a time (`stepping`).

mod rewrite;
mod operation;
mod growth;
mod charge;
mod stepping;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, new_empty_array};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::error::QueryError;
use crate::ongoing::Ongoing;
use crate::series::check_series;
use charge::charged;
use growth::Growth;
use stepping::Steps;

pub use rewrite::CapCalls;

/// Bytes that one call may make for one batch (8,192 rows, or one while constants are folded). 64 MiB leaves
/// 8 KiB a row, more than any label or path.
const RESULT_BYTES_MAX: u64 = 64 << 20;

/// The same of constants, which are part of the plan and copied with it.
const CONSTANT_BYTES_MAX: u64 = 16 << 20;

/// How often the engine copies a constant text as often as a list, which it shares.
const TEXT_COPIES: usize = 4;

/// Functions that take long for a text or a list and do not make more of it; the engine's optimiser knows nothing of them but
/// their name.
const SLOW: [&str; 27] = [
    "regexp_like",
    "regexp_count",
    "regexp_instr",
    "log_pattern",
    "json_get",
    "translate",
    "strpos",
    "split_part",
    "substr_index",
    "find_in_set",
    "upper",
    "lower",
    "initcap",
    "reverse",
    "btrim",
    "ltrim",
    "rtrim",
    "md5",
    "digest",
    "decode",
    "array_distinct",
    "array_except",
    "array_intersect",
    "array_positions",
    "array_sort",
    "array_remove_all",
    "hist_quantile",
];

/// Functions by how they grow. Each doubles or more what it is given, so that a chain of them has no end;
/// other functions of text and lists give back what they got, in another order or less of it.
const CAPPED: [(&str, Growth); 49] = [
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
    ("array_has_any", Growth::Pairs),
    ("array_has_all", Growth::Pairs),
    ("~", Growth::None),
    ("~*", Growth::None),
    ("!~", Growth::None),
    ("!~*", Growth::None),
    ("LIKE", Growth::None),
    ("NOT LIKE", Growth::None),
    ("ILIKE", Growth::None),
    ("NOT ILIKE", Growth::None),
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
    capped_in(function, pool, &Ongoing::default())
}

/// The same in one statement, which stops its calls.
fn capped_in(function: Arc<ScalarUDF>, pool: &Arc<dyn MemoryPool>, statement: &Ongoing) -> Arc<ScalarUDF> {
    let inner = match function.inner().downcast_ref::<Capped>() {
        Some(capped) => Arc::clone(&capped.inner),
        None => function,
    };
    let is_slow = || SLOW.contains(&inner.name()).then_some(Growth::None);
    let growth = CAPPED.iter().find(|(name, _)| *name == inner.name()).map(|(_, growth)| *growth);
    match growth.or_else(is_slow) {
        Some(growth) => {
            let (pool, statement, steps) = (Arc::clone(pool), statement.clone(), Steps::default());
            Arc::new(ScalarUDF::from(Capped { inner, growth, place: Place { pool, statement, steps } }))
        }
        None => inner,
    }
}

/// Where a function is called: in a statement, with the one pool of an engine. Functions do not differ by it.
#[derive(Debug)]
struct Place {
    pool: Arc<dyn MemoryPool>,
    statement: Ongoing,
    steps: Steps,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    place: Place,
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

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Some functions look at the first row, which is not always there.
        if args.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(args.return_type())));
        }
        if self.growth == Growth::Series {
            check_series(self.name(), &args)?;
        }
        self.check_growth(&args)?;
        let number = match self.growth {
            Growth::Pad => args.args.get_mut(1),
            Growth::Place => args.args.get_mut(2),
            _ => None,
        };
        if let Some(number) = number {
            *number = at_least_zero(number)?;
        }
        let Place { pool, statement, steps } = &self.place;
        let given = args.args.clone();
        match steps.call(args, &statement.stop, |args| self.inner.invoke_with_args(args))? {
            ColumnarValue::Array(made) if self.growth != Growth::None => {
                Ok(ColumnarValue::Array(charged(made, &given, pool)?))
            }
            ColumnarValue::Scalar(constant) => {
                let copies = if constant.data_type().is_nested() { 1 } else { TEXT_COPIES };
                statement.add_constant(constant.size().saturating_mul(copies))?;
                Ok(ColumnarValue::Scalar(constant))
            }
            made => Ok(made),
        }
    }
}

impl Capped {
    fn check_growth(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let bytes = self.growth.bytes(args)?;
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let max = if is_constant { CONSTANT_BYTES_MAX } else { RESULT_BYTES_MAX };
        if bytes <= max {
            return Ok(());
        }
        let (name, of) = (self.name(), if is_constant { " of constants" } else { "" });
        let message =
            format!("{name}{of} could take {bytes} bytes or steps at once, at most {max} are allowed");
        Err(QueryError::Refused(message).into())
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
