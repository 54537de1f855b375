//! What a client is handed to come back with: a statement, its values, and a name to cancel it by.
//!
//! ```text
//! 0        16              20                20 + length
//! | name   | length, u32   | statement, UTF-8 | values, one behind the other |
//!
//! a value: | 0 | null     | 1 | length, u32 | text     | 2 | integer, i64     | 3 | double, f64     | 4 | 0 or 1 |
//!          | 5 | nanoseconds since the epoch, i64       numbers are little-endian
//! ```
//! The name is drawn anew for each ticket, so that a run can be cancelled and no other. Nothing here is a secret or a
//! proof: see the module above. Values are not Arrow's own encoding, whose reader panics on bytes that nobody encoded.
//! Limits: a handle of another layout, as of a later version, is refused.

use std::hash::{BuildHasher as _, RandomState};

use meshlake_query::Value;
use meshlake_schema::UnixNanos;
use tonic::Status;

/// Bytes of a name: as many as no one guesses.
const NAME_BYTES: usize = 16;

/// One run of a statement.
pub type Name = [u8; NAME_BYTES];

/// A statement that a client may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Handle {
    pub name: Name,
    pub sql: String,
    /// For `$1`, `$2` and so on; none is null. Empty without parameters, and before their values are known.
    pub values: Vec<Option<Value>>,
}

impl Handle {
    pub fn new(sql: String, values: Vec<Option<Value>>) -> Self {
        Handle { name: drawn_name(), sql, values }
    }

    /// # Errors
    /// INVALID_ARGUMENT for a text whose length has no place, which the cap on messages leaves no room for.
    pub fn encode(&self) -> Result<Vec<u8>, Status> {
        let mut bytes = self.name.to_vec();
        push_text(&mut bytes, &self.sql)?;
        for value in &self.values {
            push_value(&mut bytes, value.as_ref())?;
        }
        Ok(bytes)
    }

    /// # Errors
    /// INVALID_ARGUMENT for bytes that are none of ours.
    pub fn decode(bytes: &[u8]) -> Result<Handle, Status> {
        let decoded = || {
            let mut rest = bytes;
            let name = *take(&mut rest)?;
            let sql = take_text(&mut rest)?;
            let mut values = Vec::new();
            while !rest.is_empty() {
                values.push(take_value(&mut rest)?);
            }
            Some(Handle { name, sql, values })
        };
        decoded().ok_or_else(|| Status::invalid_argument("this is no handle of this server"))
    }
}

fn push_value(bytes: &mut Vec<u8>, value: Option<&Value>) -> Result<(), Status> {
    let (tag, number) = match value {
        None => (0, None),
        Some(Value::Text(text)) => {
            bytes.push(1);
            return push_text(bytes, text);
        }
        Some(Value::Integer(number)) => (2, Some(number.to_le_bytes())),
        Some(Value::Double(number)) => (3, Some(number.to_le_bytes())),
        Some(Value::Boolean(value)) => {
            bytes.extend([4, u8::from(*value)]);
            return Ok(());
        }
        Some(Value::Time(time)) => (5, Some(time.0.to_le_bytes())),
    };
    bytes.push(tag);
    bytes.extend(number.into_iter().flatten());
    Ok(())
}

fn push_text(bytes: &mut Vec<u8>, text: &str) -> Result<(), Status> {
    let length = u32::try_from(text.len()).map_err(|_| Status::invalid_argument("a text is too long"))?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

/// The next value, of which none is null; none at all when there is no such value.
fn take_value(rest: &mut &[u8]) -> Option<Option<Value>> {
    let [tag] = *take(rest)?;
    Some(Some(match tag {
        0 => return Some(None),
        1 => Value::Text(take_text(rest)?),
        2 => Value::Integer(i64::from_le_bytes(*take(rest)?)),
        3 => Value::Double(f64::from_le_bytes(*take(rest)?)),
        4 => match *take(rest)? {
            [0] => Value::Boolean(false),
            [1] => Value::Boolean(true),
            _ => return None,
        },
        5 => Value::Time(UnixNanos(i64::from_le_bytes(*take(rest)?))),
        _ => return None,
    }))
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(u32::from_le_bytes(*take(rest)?)).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(str::from_utf8(text).ok()?.to_owned())
}

fn take<'a, const LENGTH: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; LENGTH]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(taken)
}

/// A name from the hasher that the standard library seeds with random numbers of the system.
fn drawn_name() -> Name {
    let halves = [0_u8, 1].map(|half| RandomState::new().hash_one(half).to_le_bytes());
    let mut name = [0; NAME_BYTES];
    name.iter_mut().zip(halves.into_iter().flatten()).for_each(|(byte, drawn)| *byte = drawn);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        let values = vec![
            Some(Value::Text("é".to_owned())),
            None,
            Some(Value::Integer(-7)),
            Some(Value::Double(0.5)),
            Some(Value::Boolean(true)),
            Some(Value::Time(UnixNanos(1_000))),
        ];
        Handle::new("SELECT 'é', $1".to_owned(), values)
    }

    #[test]
    fn a_handle_comes_back_as_it_was() {
        for handle in [handle(), Handle::new(String::new(), Vec::new())] {
            let bytes = handle.encode().expect("a short statement");
            assert_eq!(Handle::decode(&bytes).ok(), Some(handle));
        }
        let [a, b] = [(); 2].map(|()| Handle::new(String::new(), Vec::new()).name);
        assert_ne!(a, b);
    }

    /// A cut handle is none, but where it is cut between two values; a flipped byte never panics.
    #[test]
    fn what_is_no_handle_is_refused() {
        let whole = handle();
        let bytes = whole.encode().expect("a short statement");
        for length in 0..bytes.len() {
            if let Ok(cut) = Handle::decode(&bytes[..length]) {
                assert_eq!(whole.values[..cut.values.len()], cut.values, "{length}");
            }
            let mut flipped = bytes.clone();
            flipped[length] ^= 0xff;
            drop(Handle::decode(&flipped));
        }
        assert!(Handle::decode(&bytes[..NAME_BYTES + 3]).is_err(), "no length");
        let mut long = bytes;
        long[NAME_BYTES..NAME_BYTES + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Handle::decode(&long).is_err(), "longer than there is");
    }
}
