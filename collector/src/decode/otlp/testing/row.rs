//! Reads one row of a batch by column name, as any reader of the tables would.

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use base64::Engine as _;
use meshlake_schema::attributes::Types;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};

use super::{any, array, entry, list};

/// A row of a batch, or of a list of structs.
pub(in crate::decode) struct Row {
    batch: RecordBatch,
    row: usize,
}

impl Row {
    pub(in crate::decode) fn of(batch: &RecordBatch, row: usize) -> Self {
        Row { batch: batch.clone(), row }
    }

    fn column(&self, name: &str) -> &ArrayRef {
        self.batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
    }

    fn valid(&self, name: &str) -> Option<&ArrayRef> {
        Some(self.column(name)).filter(|column| column.is_valid(self.row))
    }

    pub(in crate::decode) fn is_null(&self, name: &str) -> bool {
        self.column(name).is_null(self.row)
    }

    pub(in crate::decode) fn text(&self, name: &str) -> Option<String> {
        let column = self.valid(name)?;
        let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else {
            return Some(column.as_string::<i32>().value(self.row).to_owned());
        };
        let texts = dictionary.downcast_dict::<StringArray>().expect("dictionaries hold text");
        texts.into_iter().nth(self.row).flatten().map(str::to_owned)
    }

    /// A text that is stored as null when empty.
    pub(in crate::decode) fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// An id: hex digits back to bytes.
    pub(in crate::decode) fn id(&self, name: &str) -> Vec<u8> {
        let hex = self.text_or_empty(name);
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("ids are hex");
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    pub(in crate::decode) fn int(&self, name: &str) -> Option<i64> {
        self.valid(name).map(|column| column.as_primitive::<Int64Type>().value(self.row))
    }

    /// A count, a time or flags: an integer that is never null.
    pub(in crate::decode) fn count(&self, name: &str) -> u64 {
        self.int(name).unwrap_or_default() as u64
    }

    pub(in crate::decode) fn count32(&self, name: &str) -> u32 {
        u32::try_from(self.count(name)).expect("32 bits on the wire")
    }

    pub(in crate::decode) fn int32(&self, name: &str) -> Option<i32> {
        self.valid(name).map(|column| column.as_primitive::<Int32Type>().value(self.row))
    }

    pub(in crate::decode) fn double(&self, name: &str) -> Option<f64> {
        self.valid(name).map(|column| column.as_primitive::<Float64Type>().value(self.row))
    }

    pub(in crate::decode) fn bool(&self, name: &str) -> Option<bool> {
        self.valid(name).map(|column| column.as_boolean().value(self.row))
    }

    pub(in crate::decode) fn micros(&self, name: &str) -> Option<i64> {
        self.valid(name).map(|column| column.as_primitive::<TimestampMicrosecondType>().value(self.row))
    }

    pub(in crate::decode) fn counts(&self, name: &str) -> Vec<u64> {
        let numbers = self.column(name).as_list::<i32>().value(self.row);
        numbers.as_primitive::<Int64Type>().values().iter().map(|count| *count as u64).collect()
    }

    pub(in crate::decode) fn doubles(&self, name: &str) -> Vec<f64> {
        let numbers = self.column(name).as_list::<i32>().value(self.row);
        numbers.as_primitive::<Float64Type>().values().to_vec()
    }

    /// The elements of a list of structs.
    pub(in crate::decode) fn elements(&self, name: &str) -> Vec<Row> {
        let elements = self.column(name).as_list::<i32>().value(self.row);
        let batch = RecordBatch::from(elements.as_struct());
        (0..batch.num_rows()).map(|row| Row::of(&batch, row)).collect()
    }

    /// The entries of the map `attributes` as text, in order.
    pub(in crate::decode) fn map(&self) -> Vec<(String, String)> {
        let entries = self.column("attributes").as_map().value(self.row);
        let texts = |at: usize| entries.column(at).as_string::<i32>().iter().flatten().map(str::to_owned);
        texts(0).zip(texts(1)).collect()
    }

    /// The entries of the map `attributes` as messages.
    pub(in crate::decode) fn attributes(&self) -> Vec<KeyValue> {
        let types = self.text_or_empty("attribute_types");
        let entries = self.map();
        assert_eq!(Types::new(&types).count(), entries.len(), "one type an entry: {types}");
        entries.iter().zip(Types::new(&types)).map(|((key, text), t)| entry(key, value(text, t))).collect()
    }

    /// The entries of a JSON object as messages; none when it is null.
    pub(in crate::decode) fn object(&self, name: &str, types: &str) -> Vec<KeyValue> {
        let Some(text) = self.text(name) else { return vec![] };
        let Json::Object(entries) = parse(&text) else { panic!("{text} is no object") };
        let types = self.text_or_empty(types);
        assert_eq!(Types::new(&types).count(), entries.len(), "one type a value: {types}");
        entries
            .into_iter()
            .zip(Types::new(&types))
            .map(|((key, json), t)| entry(&key, from_json(json, t)))
            .collect()
    }
}

/// A value from its text and type; the inverse of `ValueWriter::single`.
pub(in crate::decode) fn value(text: &str, value_type: &str) -> AnyValue {
    match value_type.as_bytes() {
        b"n" => AnyValue { value: None },
        b"s" => any(Value::StringValue(text.to_owned())),
        b"i" => any(Value::IntValue(text.parse().expect("decimal"))),
        b"d" => any(Value::DoubleValue(text.parse().expect("double"))),
        b"b" => any(Value::BoolValue(text.parse().expect("bool"))),
        b"y" => any(Value::BytesValue(base64(text))),
        _ => from_json(parse(text), value_type),
    }
}

fn base64(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

fn from_json(json: Json, value_type: &str) -> AnyValue {
    let inner = value_type.get(1..value_type.len() - 1).unwrap_or_default();
    match (json, value_type.as_bytes()[0]) {
        (Json::Null, b'n') => AnyValue { value: None },
        (Json::Text(text), b's' | b'y' | b'd') => value(&text, value_type),
        (Json::Int(int), b'i') => any(Value::IntValue(int)),
        (Json::Double(double), b'd') => any(Value::DoubleValue(double)),
        (Json::Bool(bool), b'b') => any(Value::BoolValue(bool)),
        (Json::Array(values), b'[') => {
            array(values.into_iter().zip(Types::new(inner)).map(|(json, t)| from_json(json, t)).collect())
        }
        (Json::Object(entries), b'{') => list(
            entries
                .into_iter()
                .zip(Types::new(inner))
                .map(|((k, json), t)| entry(&k, from_json(json, t)))
                .collect(),
        ),
        (json, _) => panic!("{json:?} is no {value_type}"),
    }
}

fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// JSON that keeps the order of keys and repeated keys, which `serde_json::Value` does not.
#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Int(value as i64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Json::Object(entries))
    }
}
