//! Which type of PostgreSQL a column is to its clients.
//!
//! One table of the types that we speak, with the numbers that every PostgreSQL server has for them: drivers have them
//! built in. What a column of Arrow is called follows from its type alone, but for columns of the catalogue: those say
//! it themselves, in the metadata of their field, because `oid` and `name` have no type of their own in Arrow.
//!
//! Source: PostgreSQL 16, `src/include/catalog/pg_type.dat`.

use arrow::datatypes::{DataType, Field};

/// The key of a field's metadata that names its [`Scalar`], where the Arrow type does not tell.
pub const FIELD_TYPE: &str = "postgres.type";

/// A type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    Bool,
    Bytea,
    Char,
    Name,
    Int8,
    Int2,
    Int4,
    Text,
    Oid,
    Float4,
    Float8,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Numeric,
    Jsonb,
    /// A row of numbers as the catalogue writes them: with spaces between, counted from 0.
    Int2vector,
    Oidvector,
}

/// A type of a column: one value, or an array of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PostgresType {
    pub scalar: Scalar,
    pub is_array: bool,
}

/// One line of `pg_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    pub oid: u32,
    /// Of arrays of it.
    pub array_oid: u32,
    /// In `pg_type`.
    pub name: &'static str,
    /// As SQL spells it.
    pub sql_name: &'static str,
    /// Bytes of a value, -1 where they vary.
    pub bytes: i16,
    /// `typcategory`, what drivers and tools group types by.
    pub category: char,
}

impl Scalar {
    pub const ALL: [Scalar; 20] = [
        Scalar::Bool,
        Scalar::Bytea,
        Scalar::Char,
        Scalar::Name,
        Scalar::Int8,
        Scalar::Int2,
        Scalar::Int4,
        Scalar::Text,
        Scalar::Oid,
        Scalar::Float4,
        Scalar::Float8,
        Scalar::Date,
        Scalar::Time,
        Scalar::Timestamp,
        Scalar::Timestamptz,
        Scalar::Interval,
        Scalar::Numeric,
        Scalar::Jsonb,
        Scalar::Int2vector,
        Scalar::Oidvector,
    ];

    pub fn described(self) -> Described {
        let (oid, array_oid, name, sql_name, bytes, category) = match self {
            Scalar::Bool => (16, 1000, "bool", "boolean", 1, 'B'),
            Scalar::Bytea => (17, 1001, "bytea", "bytea", -1, 'U'),
            Scalar::Char => (18, 1002, "char", "\"char\"", 1, 'Z'),
            Scalar::Name => (19, 1003, "name", "name", 64, 'S'),
            Scalar::Int8 => (20, 1016, "int8", "bigint", 8, 'N'),
            Scalar::Int2 => (21, 1005, "int2", "smallint", 2, 'N'),
            Scalar::Int4 => (23, 1007, "int4", "integer", 4, 'N'),
            Scalar::Text => (25, 1009, "text", "text", -1, 'S'),
            Scalar::Oid => (26, 1028, "oid", "oid", 4, 'N'),
            Scalar::Float4 => (700, 1021, "float4", "real", 4, 'N'),
            Scalar::Float8 => (701, 1022, "float8", "double precision", 8, 'N'),
            Scalar::Date => (1082, 1182, "date", "date", 4, 'D'),
            Scalar::Time => (1083, 1183, "time", "time without time zone", 8, 'D'),
            Scalar::Timestamp => (1114, 1115, "timestamp", "timestamp without time zone", 8, 'D'),
            Scalar::Timestamptz => (1184, 1185, "timestamptz", "timestamp with time zone", 8, 'D'),
            Scalar::Interval => (1186, 1187, "interval", "interval", 16, 'T'),
            Scalar::Numeric => (1700, 1231, "numeric", "numeric", -1, 'N'),
            Scalar::Jsonb => (3802, 3807, "jsonb", "jsonb", -1, 'U'),
            Scalar::Int2vector => (22, 1006, "int2vector", "int2vector", -1, 'A'),
            Scalar::Oidvector => (30, 1013, "oidvector", "oidvector", -1, 'A'),
        };
        Described { oid, array_oid, name, sql_name, bytes, category }
    }

    fn named(name: &str) -> Option<Scalar> {
        Scalar::ALL.into_iter().find(|scalar| scalar.described().name == name)
    }
}

impl PostgresType {
    /// The type of a column. Unsigned integers of 64 bits are `bigint`, as counts are to PostgreSQL; lists of plain
    /// values are arrays; other lists, maps and structs are `jsonb`; a column of nothing but nulls is text.
    pub fn of(field: &Field) -> PostgresType {
        let told = field.metadata().get(FIELD_TYPE).and_then(|name| Scalar::named(name));
        let is_list = matches!(field.data_type(), DataType::List(_));
        match told {
            Some(scalar @ (Scalar::Int2vector | Scalar::Oidvector)) => {
                PostgresType { scalar, is_array: false }
            }
            Some(scalar) => PostgresType { scalar, is_array: is_list },
            None => PostgresType::of_data(field.data_type()),
        }
    }

    /// The type of values of `data_type`.
    pub fn of_data(data_type: &DataType) -> PostgresType {
        let scalar = match data_type {
            DataType::Boolean => Scalar::Bool,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => Scalar::Int2,
            DataType::Int32 | DataType::UInt16 => Scalar::Int4,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Scalar::Int8,
            DataType::Float16 | DataType::Float32 => Scalar::Float4,
            DataType::Float64 => Scalar::Float8,
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Scalar::Numeric,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Scalar::Bytea,
            DataType::Date32 | DataType::Date64 => Scalar::Date,
            DataType::Time32(_) | DataType::Time64(_) => Scalar::Time,
            DataType::Timestamp(_, Some(_)) => Scalar::Timestamptz,
            DataType::Timestamp(_, None) => Scalar::Timestamp,
            DataType::Interval(_) | DataType::Duration(_) => Scalar::Interval,
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Scalar::Text,
            DataType::Dictionary(_, values) => return PostgresType::of_data(values),
            DataType::RunEndEncoded(_, values) => return PostgresType::of(values),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::ListView(element)
            | DataType::LargeListView(element)
            | DataType::FixedSizeList(element, _) => return PostgresType::array_of(element.data_type()),
            DataType::Map(..) | DataType::Struct(_) | DataType::Union(..) => Scalar::Jsonb,
        };
        PostgresType { scalar, is_array: false }
    }

    fn array_of(element: &DataType) -> PostgresType {
        match PostgresType::of_data(element) {
            PostgresType { scalar: Scalar::Jsonb, .. } | PostgresType { is_array: true, .. } => {
                PostgresType { scalar: Scalar::Jsonb, is_array: false }
            }
            PostgresType { scalar, .. } => PostgresType { scalar, is_array: true },
        }
    }

    pub fn oid(self) -> u32 {
        let described = self.scalar.described();
        if self.is_array { described.array_oid } else { described.oid }
    }

    /// Bytes of a value, -1 where they vary.
    pub fn bytes(self) -> i16 {
        if self.is_array { -1 } else { self.scalar.described().bytes }
    }

    /// As SQL spells it.
    pub fn sql_name(self) -> String {
        let name = self.scalar.described().sql_name;
        if self.is_array { format!("{name}[]") } else { name.to_owned() }
    }

    /// The type that has this number, if we speak it. Clients name the types of parameters so.
    pub fn with_oid(oid: u32) -> Option<PostgresType> {
        // Texts of limited length are text to us.
        const TEXTS: [(u32, u32); 2] = [(1042, 1014), (1043, 1015)];
        // Documents as they were written.
        const JSON: u32 = 114;
        let text = |is_array| PostgresType { scalar: Scalar::Text, is_array };
        if let Some((one, _)) = TEXTS.iter().find(|(one, array)| oid == *one || oid == *array) {
            return Some(text(oid != *one));
        }
        if oid == JSON {
            return Some(PostgresType { scalar: Scalar::Jsonb, is_array: false });
        }
        Scalar::ALL.into_iter().find_map(|scalar| {
            let described = scalar.described();
            let is_array = described.array_oid == oid;
            (is_array || described.oid == oid).then_some(PostgresType { scalar, is_array })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::TimeUnit;

    use super::*;

    /// The numbers are PostgreSQL's own; see the source named above.
    #[test]
    fn columns_have_the_types_that_drivers_know() {
        let list = |element| DataType::List(Arc::new(Field::new("element", element, true)));
        let pair = DataType::Struct(vec![Field::new("a", DataType::Int64, true)].into());
        let cases = [
            (DataType::Boolean, 16),
            (DataType::Int16, 21),
            (DataType::Int32, 23),
            (DataType::Int64, 20),
            (DataType::UInt64, 20),
            (DataType::Float32, 700),
            (DataType::Float64, 701),
            (DataType::Utf8View, 25),
            (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), 25),
            (DataType::Binary, 17),
            (DataType::Decimal128(10, 2), 1700),
            (DataType::Date32, 1082),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), 1184),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), 1114),
            (DataType::Null, 25),
            (list(DataType::Int64), 1016),
            (list(DataType::Utf8), 1009),
            (list(pair.clone()), 3802),
            (list(list(DataType::Int64)), 3802),
            (pair, 3802),
        ];
        for (data_type, oid) in cases {
            assert_eq!(PostgresType::of_data(&data_type).oid(), oid, "{data_type}");
        }
    }

    #[test]
    fn a_field_of_the_catalogue_says_what_it_is() {
        let named = |name: &str| {
            let metadata = [(FIELD_TYPE.to_owned(), name.to_owned())].into();
            PostgresType::of(&Field::new("oid", DataType::Int32, false).with_metadata(metadata)).oid()
        };
        assert_eq!((named("oid"), named("no such")), (26, 23));
    }

    #[test]
    fn every_type_is_found_by_its_numbers() {
        for scalar in Scalar::ALL {
            for is_array in [false, true] {
                let spoken = PostgresType { scalar, is_array };
                assert_eq!(PostgresType::with_oid(spoken.oid()), Some(spoken));
            }
        }
        assert_eq!(PostgresType::with_oid(1043).map(PostgresType::oid), Some(25), "varchar is text");
        assert_eq!(PostgresType::with_oid(0), None);
    }
}
