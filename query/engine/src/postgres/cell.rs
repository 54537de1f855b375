//! A value of the catalogue, and columns of them.
//!
//! The catalogue has some thousand rows of some dozen columns; values by name are easy to read and cost nothing that
//! anybody would notice.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Int16Array, Int16Builder, Int32Array, Int32Builder,
    Int64Array, ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::error::{DataFusionError, Result};

use super::postgres_type::{FIELD_TYPE, Scalar};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    /// An integer of any width, or an oid.
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    Bytes(Vec<u8>),
    /// Microseconds since 1970 in UTC.
    Micros(i64),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Cell::Int(value.into())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell::Text(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// The type of a column of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Text,
    /// Text that is shown as `name` or `"char"`.
    Named(Scalar),
    Oid,
    Oids,
    Int2s,
    Texts,
    Int2vector,
    Oidvector,
    Bytea,
    Timestamptz,
}

impl CellType {
    /// By PostgreSQL's name of it.
    pub fn named(name: &str) -> Option<CellType> {
        Some(match name {
            "bool" => CellType::Bool,
            "int2" => CellType::Int2,
            "int4" => CellType::Int4,
            "int8" => CellType::Int8,
            "float4" => CellType::Float4,
            "text" => CellType::Text,
            "name" => CellType::Named(Scalar::Name),
            "char" => CellType::Named(Scalar::Char),
            "oid" => CellType::Oid,
            "oid[]" => CellType::Oids,
            "int2[]" => CellType::Int2s,
            "text[]" => CellType::Texts,
            "int2vector" => CellType::Int2vector,
            "oidvector" => CellType::Oidvector,
            _ => return None,
        })
    }

    pub fn data_type(self) -> DataType {
        let list = |element| DataType::List(Arc::new(Field::new("item", element, true)));
        match self {
            CellType::Bool => DataType::Boolean,
            CellType::Int2 => DataType::Int16,
            CellType::Int4 | CellType::Oid => DataType::Int32,
            CellType::Int8 => DataType::Int64,
            CellType::Float4 => DataType::Float32,
            CellType::Text | CellType::Named(_) => DataType::Utf8,
            CellType::Oids | CellType::Oidvector => list(DataType::Int32),
            CellType::Int2s | CellType::Int2vector => list(DataType::Int16),
            CellType::Bytea => DataType::Binary,
            CellType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            CellType::Texts => list(DataType::Utf8),
        }
    }

    /// A column of this type, which tells clients what Arrow cannot say.
    pub fn field(self, name: &str) -> Field {
        let field = Field::new(name, self.data_type(), true);
        let scalar = match self {
            CellType::Named(scalar) => scalar,
            CellType::Oid | CellType::Oids => Scalar::Oid,
            CellType::Int2vector => Scalar::Int2vector,
            CellType::Oidvector => Scalar::Oidvector,
            _ => return field,
        };
        field.with_metadata([(FIELD_TYPE.to_owned(), scalar.described().name.to_owned())].into())
    }

    /// The column that `cells` are.
    ///
    /// # Errors
    /// A value of another type: a bug of ours.
    pub fn array<'a>(self, cells: impl Iterator<Item = &'a Cell>) -> Result<ArrayRef> {
        let wrong = |cell: &Cell| DataFusionError::Internal(format!("{cell:?} in a column of {self:?}"));
        let int = |cell: &Cell| match cell {
            Cell::Null => Ok(None),
            Cell::Int(value) => Ok(Some(*value)),
            other => Err(wrong(other)),
        };
        Ok(match self {
            CellType::Bool => {
                let values = cells.map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Bool(value) => Ok(Some(*value)),
                    other => Err(wrong(other)),
                });
                Arc::new(values.collect::<Result<BooleanArray>>()?)
            }
            CellType::Int2 => {
                let values = cells.map(|cell| Ok(int(cell)?.and_then(|value| i16::try_from(value).ok())));
                Arc::new(values.collect::<Result<Int16Array>>()?)
            }
            CellType::Int4 | CellType::Oid => {
                let values = cells.map(|cell| Ok(int(cell)?.and_then(|value| i32::try_from(value).ok())));
                Arc::new(values.collect::<Result<Int32Array>>()?)
            }
            CellType::Int8 => Arc::new(cells.map(int).collect::<Result<Int64Array>>()?),
            CellType::Float4 => {
                let values = cells.map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Float(value) => Ok(Some(*value)),
                    other => Err(wrong(other)),
                });
                Arc::new(values.collect::<Result<Float32Array>>()?)
            }
            CellType::Bytea => {
                let values = cells.map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Bytes(value) => Ok(Some(value.as_slice())),
                    other => Err(wrong(other)),
                });
                Arc::new(values.collect::<Result<BinaryArray>>()?)
            }
            CellType::Timestamptz => {
                let values = cells.map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Micros(value) => Ok(Some(*value)),
                    other => Err(wrong(other)),
                });
                Arc::new(values.collect::<Result<TimestampMicrosecondArray>>()?.with_timezone("UTC"))
            }
            CellType::Text | CellType::Named(_) => {
                let values = cells.map(|cell| match cell {
                    Cell::Null => Ok(None),
                    Cell::Text(value) => Ok(Some(value.as_str())),
                    other => Err(wrong(other)),
                });
                Arc::new(values.collect::<Result<StringArray>>()?)
            }
            CellType::Oids
            | CellType::Int2s
            | CellType::Texts
            | CellType::Int2vector
            | CellType::Oidvector => self.list(cells)?,
        })
    }

    fn list<'a>(self, cells: impl Iterator<Item = &'a Cell>) -> Result<ArrayRef> {
        let wrong = |cell: &Cell| DataFusionError::Internal(format!("{cell:?} in a column of {self:?}"));
        let ints = |cell: &Cell| match cell {
            Cell::Null => Ok(None),
            Cell::Ints(values) => Ok(Some(values.clone())),
            other => Err(wrong(other)),
        };
        Ok(match self {
            CellType::Oids | CellType::Oidvector => {
                let mut builder = ListBuilder::new(Int32Builder::new());
                for cell in cells {
                    let values = ints(cell)?;
                    builder.append_option(values.map(|values| {
                        values.into_iter().map(|value| i32::try_from(value).ok()).collect::<Vec<_>>()
                    }));
                }
                Arc::new(builder.finish())
            }
            CellType::Int2s | CellType::Int2vector => {
                let mut builder = ListBuilder::new(Int16Builder::new());
                for cell in cells {
                    let values = ints(cell)?;
                    builder.append_option(values.map(|values| {
                        values.into_iter().map(|value| i16::try_from(value).ok()).collect::<Vec<_>>()
                    }));
                }
                Arc::new(builder.finish())
            }
            _ => {
                let mut builder = ListBuilder::new(StringBuilder::new());
                for cell in cells {
                    match cell {
                        Cell::Null => builder.append_null(),
                        Cell::Texts(values) => builder.append_value(values.iter().map(Some)),
                        other => return Err(wrong(other)),
                    }
                }
                Arc::new(builder.finish())
            }
        })
    }
}
