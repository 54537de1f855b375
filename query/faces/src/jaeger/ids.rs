//! A trace's id as clients of Jaeger write it.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::failure::Failure;
use crate::attributes::hex;
use crate::trace_id;

/// Of an id of 128 bits.
const BYTES: usize = 16;

/// Its 32 digits, of 1 to 32: the zeros that it began with may be missing.
///
/// # Errors
/// [`Failure::Asker`]; an id of zeros is none.
pub fn of_hex(text: &str) -> Result<String, Failure> {
    trace_id::parse(text).ok_or_else(|| {
        Failure::Asker(format!(
            "cannot parse trace ID {text:?}: it is not 1 to 32 hexadecimal digits, or all zero"
        ))
    })
}

/// The same, or its 16 bytes in base64, plain or for addresses, padded or not: v3's clients write either.
///
/// # Errors
/// As [`of_hex`].
pub fn of_hex_or_base64(text: &str) -> Result<String, Failure> {
    of_hex(text).or_else(|error| {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let engines = [STANDARD, URL_SAFE].map(|alphabet| GeneralPurpose::new(&alphabet, config));
        let bytes = engines.iter().find_map(|engine| engine.decode(text).ok());
        bytes.filter(|bytes| bytes.len() == BYTES).map_or(Err(error), |bytes| of_bytes(&bytes))
    })
}

/// Of 16 bytes, or of the 8 of an id of 64 bits.
///
/// # Errors
/// As [`of_hex`].
pub fn of_bytes(bytes: &[u8]) -> Result<String, Failure> {
    of_hex(&hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_digits_or_bytes() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        for text in [id, &id.to_uppercase(), &id[1..]] {
            assert_eq!(of_hex(text).as_deref(), Ok(id), "{text}");
        }
        // By `echo $id | xxd -r -p | base64`.
        for text in ["CvdlGRbNQ92ESOshHIAxnA==", "CvdlGRbNQ92ESOshHIAxnA"] {
            assert_eq!(of_hex_or_base64(text).as_deref(), Ok(id), "{text}");
            assert!(of_hex(text).is_err());
        }
        let (plus, minus) = ("+/+/+/+/+/+/+/+/+/+/+w==", "-_-_-_-_-_-_-_-_-_-_-w");
        assert_eq!(of_hex_or_base64(plus), of_hex_or_base64(minus));
        assert_eq!(of_bytes(&[0, 0, 0, 0, 0, 0, 0, 5]).as_deref(), Ok("00000000000000000000000000000005"));
        for bad in ["", "xyz", "0", &"0".repeat(32), &"a".repeat(33), "a' OR 1=1"] {
            assert!(of_hex(bad).is_err(), "{bad}");
        }
        assert!(of_hex_or_base64("AAAAAAAA!").is_err() && of_bytes(&[]).is_err());
    }
}
