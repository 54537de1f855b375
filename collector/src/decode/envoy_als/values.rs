//! `google.protobuf.Struct` and `Any` as attribute text with types.
//!
//! Dynamic metadata and filter state that name no peer are kept as attributes: plain text where the value
//! is one, JSON for structures, and for types that are not known here an object of type URL and base64, so
//! that nothing is lost. The types follow the grammar of `meshlake_schema::attributes`.

use meshlake_schema::attributes::{push_bytes, push_double, push_json_string};

use super::fields::{Texts, first_text, map_entry};
use crate::protobuf::messages::envoy::STRUCT;
use crate::protobuf::validate::validate;
use crate::protobuf::wire::{Fields, Value, WireError};

/// Appends a `Struct` as a JSON object, its keys in the order sent, and its types.
///
/// The message must be validated: nesting is then bounded, and this recurses once per level.
pub(super) fn write_struct(
    message: &[u8],
    texts: &mut Texts,
    json: &mut String,
    types: &mut String,
) -> Result<(), WireError> {
    json.push('{');
    types.push('{');
    let mut first = true;
    for field in Fields::new(message) {
        let (1, entry) = field? else { continue };
        let (key, value) = map_entry(entry.bytes(1)?)?;
        if !std::mem::take(&mut first) {
            json.push(',');
        }
        push_json_string(json, &texts.read(key));
        json.push(':');
        write_value(value, texts, json, types)?;
    }
    json.push('}');
    types.push('}');
    Ok(())
}

fn write_value(
    message: &[u8],
    texts: &mut Texts,
    json: &mut String,
    types: &mut String,
) -> Result<(), WireError> {
    // Of a oneof the last member sent holds.
    match Fields::new(message).filter(|field| !matches!(field, Ok((7.., _)))).last().transpose()? {
        Some((2, value)) => {
            let number = value.double(2)?;
            if number.is_finite() {
                push_double(json, number);
            } else {
                let mut name = String::new();
                push_double(&mut name, number);
                push_json_string(json, &name);
            }
            types.push('d');
        }
        Some((3, value)) => {
            push_json_string(json, &texts.read(value.bytes(3)?));
            types.push('s');
        }
        Some((4, value)) => {
            json.push_str(if value.varint(4)? != 0 { "true" } else { "false" });
            types.push('b');
        }
        Some((5, value)) => write_struct(value.bytes(5)?, texts, json, types)?,
        Some((6, value)) => write_list(value.bytes(6)?, texts, json, types)?,
        _ => {
            json.push_str("null");
            types.push('n');
        }
    }
    Ok(())
}

fn write_list(
    message: &[u8],
    texts: &mut Texts,
    json: &mut String,
    types: &mut String,
) -> Result<(), WireError> {
    json.push('[');
    types.push('[');
    let mut first = true;
    for field in Fields::new(message) {
        let (1, value) = field? else { continue };
        if !std::mem::take(&mut first) {
            json.push(',');
        }
        write_value(value.bytes(1)?, texts, json, types)?;
    }
    json.push(']');
    types.push(']');
    Ok(())
}

/// Appends what an `Any` wraps: a string or bytes plainly, a `Struct` as JSON, anything else with its type.
pub(super) fn write_any(
    any: &[u8],
    texts: &mut Texts,
    text: &mut String,
    types: &mut String,
) -> Result<(), WireError> {
    let (url, wrapped) = map_entry(any)?;
    // What is wrapped was not validated with the payload: what cannot be read is kept as bytes.
    match well_known(url) {
        Some("Struct") if validate(wrapped, &STRUCT).is_ok() => {
            return write_struct(wrapped, texts, text, types);
        }
        Some("StringValue") => {
            if let Ok(bytes) = first_text(wrapped) {
                text.push_str(&texts.read(bytes));
                types.push('s');
                return Ok(());
            }
        }
        Some("BytesValue") => {
            if let Ok(bytes) = first_text(wrapped) {
                push_bytes(text, bytes);
                types.push('y');
                return Ok(());
            }
        }
        Some("BoolValue") => {
            if let Ok(value) = wrapped_bool(wrapped) {
                text.push_str(if value { "true" } else { "false" });
                types.push('b');
                return Ok(());
            }
        }
        _ => {}
    }
    text.push_str("{\"@type\":");
    push_json_string(text, &texts.read(url));
    text.push_str(",\"value\":\"");
    push_bytes(text, wrapped);
    text.push_str("\"}");
    types.push_str("{sy}");
    Ok(())
}

fn wrapped_bool(message: &[u8]) -> Result<bool, WireError> {
    let mut wrapped = false;
    for field in Fields::new(message) {
        if let (1, Value::Varint(value)) = field? {
            wrapped = value != 0;
        }
    }
    Ok(wrapped)
}

/// The name of a type of `google.protobuf`, from its type URL.
pub(super) fn well_known(url: &[u8]) -> Option<&str> {
    std::str::from_utf8(url).ok()?.rsplit_once('/')?.1.strip_prefix("google.protobuf.")
}
