//! The key of an attribute that calls are grouped by.
//!
//! Held by value and not as a reference or a shared text, so that a question stays what can be copied: it is handed to
//! every thread that reads rows. Limit: [`KEY_BYTES_MAX`].

use std::fmt;

/// Longest key, in bytes. The longest of the OpenTelemetry semantic conventions is about half as long.
pub const KEY_BYTES_MAX: usize = 127;

/// The resource attribute that names a cluster. Source: OpenTelemetry semantic conventions, Kubernetes resources.
pub const CLUSTER_KEY: &str = "k8s.cluster.name";

/// A key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AttributeKey {
    bytes: [u8; KEY_BYTES_MAX],
    length: u8,
}

impl AttributeKey {
    /// The key; none for an empty one and for one of more than [`KEY_BYTES_MAX`] bytes.
    pub fn new(key: &str) -> Option<AttributeKey> {
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes.get_mut(..key.len())?.copy_from_slice(key.as_bytes());
        let length = u8::try_from(key.len()).ok().filter(|length| *length > 0)?;
        Some(AttributeKey { bytes, length })
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("the bytes were copied from a text")
    }
}

impl fmt::Debug for AttributeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

const _: () = assert!(KEY_BYTES_MAX <= u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_was_given_up_to_the_bound() {
        let longest = "é".repeat(KEY_BYTES_MAX / 2) + "x";
        for key in ["a", "deployment.environment.name", &longest] {
            assert_eq!(AttributeKey::new(key).as_ref().map(AttributeKey::text), Some(key));
        }
        for key in ["", &(longest.clone() + "x")] {
            assert_eq!(AttributeKey::new(key), None, "{key:?}");
        }
    }
}
