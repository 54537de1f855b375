//! Rows as SQL answers them, compared with what an SDK says that it recorded.
//!
//! Attribute values are stored as text with their type beside; here the two are joined again, so that a value
//! that changed its type is a difference. That needs the order of a map's entries, which `serde_json::Value`
//! does not keep, so answers are read as [`Json`]. A column that is in neither list below must be in the
//! record, or null.

use std::fmt;
use std::str::Chars;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::harness::{Server, request};

/// Every table that SDKs fill, and what tells its rows apart, as JSON pointers.
const TABLES: [(&str, &[&str]); 6] = [
    ("spans", &["/span_id"]),
    ("logs", &["/attributes/test.number"]),
    ("metric_points", &POINT),
    ("metric_histograms", &POINT),
    ("metric_exp_histograms", &POINT),
    ("metric_summaries", &POINT),
];
const POINT: [&str; 6] = [
    "/metric_name",
    "/scope_name",
    "/aggregation_temporality",
    "/start_time_unix_nano",
    "/time_unix_nano",
    "/attributes",
];

/// Columns that the collector adds of its own.
const ADDED: [&str; 10] = [
    "tenant",
    "ingest_time",
    "time",
    "date",
    "resource_id",
    "series_id",
    "is_proxy",
    "adjusted_count",
    "outcome",
    "counted",
];

/// Columns that repeat an attribute of the resource.
const FROM_RESOURCE: [(&str, &str); 4] = [
    ("service_name", "service.name"),
    ("service_namespace", "service.namespace"),
    ("service_version", "service.version"),
    ("service_instance_id", "service.instance.id"),
];

/// Columns that an attribute of a span moves to, with its type, of those that the senders set.
const FROM_ATTRIBUTES: [(&str, &str, &str); 5] = [
    ("http_request_method", "http.request.method", "s"),
    ("http_response_status_code", "http.response.status_code", "i"),
    ("http_route", "http.route", "s"),
    ("server_address", "server.address", "s"),
    ("server_port", "server.port", "i"),
];

/// Columns of text that a value of another type fills as it reads; the value itself stays among the attributes.
const FILLED: [(&str, &str, &str); 1] = [("url_path", "url.path", "i")];

/// Fails unless the rows of `service` are those that were recorded, each once, value for value.
pub async fn check(server: &Server, service: &str, recorded: &Value) -> Result<()> {
    let mut names = recorded.as_object().context("tables by name")?.keys();
    ensure!(names.all(|name| TABLES.iter().any(|(table, _)| name == table)), "a table is not compared");
    for (table, key) in TABLES {
        let recorded = recorded[table].as_array().cloned().unwrap_or_default();
        let recorded = sorted(key, recorded);
        let stored = sorted(key, stored(server, table, service).await.context(table)?);
        ensure!(
            stored.len() == recorded.len(),
            "{table}: {} rows, recorded {}",
            stored.len(),
            recorded.len()
        );
        for ((name, stored), (_, recorded)) in stored.iter().zip(&recorded) {
            compare(stored, recorded).with_context(|| format!("{table} {name}"))?;
        }
    }
    Ok(())
}

/// Rows with what names them, in the order of that.
fn sorted(key: &[&str], rows: Vec<Value>) -> Vec<(String, Value)> {
    let name = |row: &Value| {
        let parts = key.iter().map(|part| row.pointer(part).unwrap_or(&Value::Null).to_string());
        parts.collect::<Vec<_>>().join(" ")
    };
    let mut rows: Vec<_> = rows.into_iter().map(|row| (name(&row), row)).collect();
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows
}

/// A column that is missing is null.
fn compare(stored: &Value, recorded: &Value) -> Result<()> {
    let columns = [stored, recorded].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    for column in columns {
        if let Some(difference) = difference(column, &stored[column], &recorded[column]) {
            bail!("{difference}");
        }
    }
    Ok(())
}

/// The first difference, if there is one. Numbers are compared by their bits as doubles: larger integers are
/// strings on both sides, and JavaScript writes the double 1.0 as 1.
fn difference(path: &str, stored: &Value, recorded: &Value) -> Option<String> {
    match (stored, recorded) {
        (Value::Number(a), Value::Number(b))
            if a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits) =>
        {
            None
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(at, (a, b))| difference(&format!("{path}[{at}]"), a, b))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, a)| difference(&format!("{path}.{key}"), a, &b[key]))
        }
        _ if stored == recorded => None,
        _ => Some(format!("{path} is {stored}, recorded was {recorded}")),
    }
}

/// The rows of `service`, in the form of the senders.
async fn stored(server: &Server, table: &str, service: &str) -> Result<Vec<Value>> {
    #[derive(Deserialize)]
    struct Answer {
        columns: Vec<Column>,
        rows: Vec<Vec<Json>>,
    }
    #[derive(Deserialize)]
    struct Column {
        name: String,
    }
    let micros = "CAST(time AS BIGINT) AS time_micros";
    let statement = format!("SELECT *, {micros} FROM {table} WHERE service_name = '{service}'");
    let url = format!("http://{}/api/v1/sql", server.addresses.query);
    let body = json!({ "sql": statement }).to_string();
    let (status, answer) =
        request("POST", &url, &[("content-type", "application/json")], body.into()).await?;
    ensure!(status == 200, "{statement}: {status} {}", String::from_utf8_lossy(&answer));
    let answer: Answer = serde_json::from_slice(&answer)?;
    let names: Vec<_> = answer.columns.into_iter().map(|column| column.name).collect();
    answer.rows.into_iter().map(|cells| row(names.iter().cloned().zip(cells).collect())).collect()
}

fn row(cells: Vec<(String, Json)>) -> Result<Value> {
    let mut row = with_types(cells)?;
    for [column, types] in [["resource", "resource_types"], ["scope_attributes", "scope_attribute_types"]] {
        if let (Some(Value::String(text)), Some(Value::String(types))) =
            (row.remove(column), row.remove(types))
        {
            let Json::Object(entries) = serde_json::from_str(&text)? else { bail!("{column} is no object") };
            row.insert(column.to_owned(), typed_entries(entries, &types, typed)?.into());
        }
    }
    if let (Some(body), Some(Value::String(body_type))) = (row.remove("body"), row.remove("body_type"))
        && !body.is_null()
    {
        row.insert("body".to_owned(), typed_text(Json::Scalar(body), &mut body_type.chars())?);
    }
    for (column, key) in FROM_RESOURCE {
        let value = row.remove(column).context("a column of every table")?;
        ensure!(value == row["resource"][key]["s"], "{column} is {value}, in the resource it is another");
    }
    for (column, key, value_type) in FROM_ATTRIBUTES {
        if let Some(value) = row.remove(column).filter(|value| !value.is_null()) {
            row["attributes"][key] = json!({ value_type: value });
        }
    }
    for (column, key, value_type) in FILLED {
        if let Some(Value::String(text)) = row.remove(column) {
            let sent = row["attributes"][key][value_type].to_string();
            ensure!(sent == text, "{column} is {text}, the attribute {sent}");
        }
    }
    if let Some(Value::String(exception)) = row.remove("exception_type") {
        let events = row["events"].to_string();
        let is_told = events.contains("exception.type") && events.contains(&format!("\"{exception}\""));
        ensure!(is_told, "exception_type is {exception}, the events are {events}");
    }
    let cause = row.remove("exception_cause").filter(|cause| !cause.is_null());
    ensure!(cause.is_none(), "no SDK here wraps an exception, and {cause:?} is told");
    check_time(&mut row)?;
    row.retain(|column, _| !ADDED.contains(&column.as_str()));
    Ok(row.into())
}

/// The column `time` is the nanoseconds that were sent, cut to microseconds.
fn check_time(row: &mut Map<String, Value>) -> Result<()> {
    let micros = row.remove("time_micros").context("it was asked for")?;
    let nanos =
        ["time_unix_nano", "observed_time_unix_nano"].iter().find_map(|column| row.get(*column)?.as_str());
    let nanos: i64 = nanos.context("no time was sent")?.parse()?;
    ensure!(micros == nanos / 1_000, "time is {micros} us, sent was {nanos} ns");
    Ok(())
}

/// An object in which `attributes` have their types, at any depth.
fn with_types(entries: Vec<(String, Json)>) -> Result<Map<String, Value>> {
    let types = entries.iter().find_map(|(key, value)| match value {
        Json::Scalar(Value::String(types)) if key == "attribute_types" => Some(types.clone()),
        _ => None,
    });
    let mut row = Map::new();
    for (key, value) in entries {
        let value = match (key.as_str(), value, &types) {
            ("attribute_types", _, _) => continue,
            ("attributes", Json::Object(entries), Some(types)) => {
                typed_entries(entries, types, typed_text)?.into()
            }
            (_, value, _) => plain(value)?,
        };
        row.insert(key, value);
    }
    Ok(row)
}

fn plain(value: Json) -> Result<Value> {
    Ok(match value {
        Json::Scalar(value) => value,
        Json::List(elements) => elements.into_iter().map(plain).collect::<Result<Vec<_>>>()?.into(),
        Json::Object(entries) => with_types(entries)?.into(),
    })
}

fn typed_entries(
    entries: Vec<(String, Json)>,
    types: &str,
    typed: impl Fn(Json, &mut Chars<'_>) -> Result<Value>,
) -> Result<Map<String, Value>> {
    let mut rest = types.chars();
    let entries = entries.into_iter().map(|(key, value)| {
        let value = typed(value, &mut rest).with_context(|| format!("{key} of {types}"))?;
        anyhow::Ok((key, value))
    });
    let entries = entries.collect::<Result<Map<String, Value>>>()?;
    ensure!(rest.as_str().is_empty(), "{types} has more types than there are values");
    Ok(entries)
}

/// A value that is stored as text by itself: strings, bytes and what is not finite are the text, all others are
/// JSON in it.
fn typed_text(value: Json, types: &mut Chars<'_>) -> Result<Value> {
    let Json::Scalar(Value::String(text)) = &value else { bail!("{value:?} is no text") };
    let is_text = matches!(types.clone().next(), Some('s' | 'y' | 'n'));
    let parsed = if is_text { None } else { serde_json::from_str(text).ok() };
    typed(parsed.unwrap_or(value), types)
}

/// `{"i": 1}` for the value 1 of the type `i`. The grammar of types is in `docs/formats.md`.
fn typed(value: Json, types: &mut Chars<'_>) -> Result<Value> {
    let value_type = types.next().context("a value without a type")?;
    Ok(match (value_type, value) {
        ('n', _) => Value::Null,
        ('[', Json::List(elements)) => {
            let elements = elements.into_iter().map(|element| typed(element, types));
            let elements = elements.collect::<Result<Vec<_>>>()?;
            ensure!(types.next() == Some(']'), "the types of a list do not end with it");
            json!({ "[": elements })
        }
        ('{', Json::Object(entries)) => {
            let entries = entries.into_iter().map(|(key, value)| anyhow::Ok((key, typed(value, types)?)));
            let entries = entries.collect::<Result<Map<String, Value>>>()?;
            ensure!(types.next() == Some('}'), "the types of a map do not end with it");
            json!({ "{": entries })
        }
        ('i', Json::Scalar(Value::Number(number))) => {
            json!({ "i": exact(number.as_i64().context("no int")?) })
        }
        ('s' | 'b' | 'd' | 'y', Json::Scalar(value)) => json!({ value_type.to_string(): value }),
        (_, value) => bail!("{value:?} is not of type {value_type}"),
    })
}

/// An integer as the SQL API writes it, and the senders: a string when a double may not hold it.
fn exact(integer: i64) -> Value {
    if integer.unsigned_abs() < 1 << 53 { integer.into() } else { integer.to_string().into() }
}

/// JSON whose objects keep their order.
#[derive(Debug, Clone)]
enum Json {
    Scalar(Value),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}
