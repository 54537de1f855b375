//! Recipes for bytes: what a file of 64 MiB, or one that is no valid anything, would hold.
//!
//! A recipe is a list of parts. Those that build protobuf write a tag and a length that are right; what is
//! meant to be wrong is written as hex.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::encoding::encode_varint;
use serde::Deserialize;

use super::mark::Mark;
use super::signal::Transport;
use super::zstd;

/// One part; several numbers are given as a list: `{ repeat = [3, [{ hex = "00" }]] }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The good request of the signal, in the transport's encoding.
    Good,
    /// Text, with the placeholders of a case.
    Text(String),
    /// Hex digits and white space.
    Hex(String),
    /// The parts, so many times.
    Repeat(usize, Vec<Part>),
    /// So many bytes that follow no pattern, the same in each run.
    Random(usize),
    /// A length-delimited protobuf field.
    Field(u32, Vec<Part>),
    /// A varint field: a decimal number, or `$seconds`; a negative one takes ten bytes, as protobuf has it.
    Varint(u32, String),
    /// A fixed64 field: a decimal number, or `$now`.
    Fixed64(u32, String),
    /// A fixed64 field that holds a double.
    Double(u32, f64),
    /// How many bytes the parts have, in decimal digits.
    Length(Vec<Part>),
    /// A core inside so many levels, each a length-delimited field in the next: outermost fields last.
    Nested(usize, Vec<u32>, Vec<Part>),
    /// The parts without their last bytes.
    Cut(usize, Vec<Part>),
    /// The parts with one bit of the byte at this place, counted from the end, changed.
    Flipped(usize, Vec<Part>),
    /// The parts and then what every reader skips, so many bytes in all: an unknown protobuf field, or spaces.
    Filled(usize, Vec<Part>),
    /// A gRPC frame with this flag.
    Frame(u8, Vec<Part>),
    Gzip(Vec<Part>),
    Zstd(Vec<Part>),
    /// A zstd frame of so many zeros, four bytes for each 128 KiB.
    ZstdZeros(usize),
}

/// What a recipe can refer to.
pub struct Ingredients<'a> {
    pub mark: &'a Mark,
    pub good: &'a [u8],
    pub transport: Transport,
}

impl Ingredients<'_> {
    /// The bytes of a recipe.
    ///
    /// # Errors
    /// A recipe that makes no sense.
    pub fn cook(&self, parts: &[Part]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for part in parts {
            self.add(part, &mut out)?;
        }
        Ok(out)
    }

    fn add(&self, part: &Part, out: &mut Vec<u8>) -> Result<()> {
        match part {
            Part::Good => out.extend_from_slice(self.good),
            Part::Text(text) => out.extend_from_slice(self.mark.fill(text).as_bytes()),
            Part::Hex(hex) => out.extend(from_hex(hex)?),
            Part::Repeat(times, parts) => out.extend(self.cook(parts)?.repeat(*times)),
            Part::Random(bytes) => out.extend(random(*bytes)),
            Part::Field(number, parts) => counted(out, *number, &self.cook(parts)?),
            Part::Varint(number, text) => {
                let value: i64 = self.mark.fill(text).parse().context("a decimal number")?;
                encode_varint(u64::from(*number) << 3, out);
                encode_varint(value as u64, out);
            }
            Part::Fixed64(number, text) => {
                let value: u64 = self.mark.fill(text).parse().context("a decimal number")?;
                encode_varint(u64::from(*number) << 3 | 1, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Part::Double(number, value) => {
                encode_varint(u64::from(*number) << 3 | 1, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Part::Length(parts) => out.extend_from_slice(self.cook(parts)?.len().to_string().as_bytes()),
            Part::Nested(levels, fields, parts) => out.extend(nested(*levels, fields, &self.cook(parts)?)),
            Part::Cut(bytes, parts) => {
                let whole = self.cook(parts)?;
                let kept = whole.len().checked_sub(*bytes).context("cut more than there is")?;
                out.extend_from_slice(&whole[..kept]);
            }
            Part::Flipped(from_end, parts) => {
                let mut whole = self.cook(parts)?;
                let at = whole.len().checked_sub(*from_end).context("flip a byte before the first")?;
                whole[at] ^= 1;
                out.extend(whole);
            }
            Part::Filled(total, parts) => out.extend(self.filled(*total, self.cook(parts)?)?),
            Part::Frame(flag, parts) => out.extend(frame(*flag, &self.cook(parts)?)),
            Part::Gzip(parts) => out.extend(gzip(&self.cook(parts)?)),
            Part::Zstd(parts) => out.extend(zstd::frame(&self.cook(parts)?)),
            Part::ZstdZeros(bytes) => out.extend(zstd::zeros(*bytes)),
        }
        Ok(())
    }

    fn filled(&self, total: usize, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        if self.transport == Transport::Json {
            ensure!(bytes.len() <= total, "more than {total} bytes already");
            bytes.resize(total, b' ');
            return Ok(bytes);
        }
        // Field 15 with a length of four bytes, padded where a shorter one would do.
        let length = total.checked_sub(bytes.len() + 5).context("no room for a field")?;
        bytes.push(15 << 3 | 2);
        for index in 0..4 {
            let more = if index < 3 { 0x80 } else { 0 };
            bytes.push((length >> (7 * index)) as u8 & 0x7f | more);
        }
        bytes.resize(total, 0);
        Ok(bytes)
    }
}

/// Appends a length-delimited protobuf field.
pub fn counted(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_varint(u64::from(number) << 3 | 2, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A gRPC message frame: flag, length, message.
pub fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[flag], length.to_be_bytes().as_slice(), message].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to a Vec cannot fail");
    encoder.finish().expect("writing to a Vec cannot fail")
}

/// Written from its end, because a length is known when its content is; each byte is then written once.
fn nested(levels: usize, fields: &[u32], core: &[u8]) -> Vec<u8> {
    let mut reversed: Vec<u8> = core.iter().rev().copied().collect();
    for number in fields.iter().cycle().take(levels * fields.len()) {
        let mut head = Vec::new();
        encode_varint(u64::from(*number) << 3 | 2, &mut head);
        encode_varint(reversed.len() as u64, &mut head);
        reversed.extend(head.iter().rev());
    }
    reversed.reverse();
    reversed
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    ensure!(digits.len().is_multiple_of(2), "an odd number of hex digits: {text}");
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair)?;
        u8::from_str_radix(text, 16).with_context(|| format!("{text} is not hex"))
    };
    digits.chunks(2).map(byte).collect()
}

/// xorshift64: bytes that no format recognises, without a library.
fn random(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut out: Vec<u8> = std::iter::repeat_with(&mut next).take(bytes.div_ceil(8)).flatten().collect();
    out.truncate(bytes);
    out
}

#[test]
fn nested_fields_have_their_lengths() {
    // Two levels of field 1 in field 5 around one byte: 2a 02 (0a 01 ..) seen from outside.
    let want = [0x2a, 7, 0x0a, 5, 0x2a, 3, 0x0a, 1, 0xff];
    assert_eq!(nested(2, &[1, 5], &[0xff]), want);
    assert_eq!(from_hex("0a ff\n00").ok(), Some(vec![10, 255, 0]));
    assert!(from_hex("0").is_err() && from_hex("zz").is_err());
}
