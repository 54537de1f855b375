//! Reads the protobuf wire format field by field, without message structs.
//!
//! A payload is read where it lies: strings and sub-messages are slices of it, and the decoder that walks
//! them pushes straight into the columns. Generated structs would copy every string once and allocate for
//! every span, which costs more than all other work on the road together.
//!
//! Source: protobuf.dev, "Encoding". Groups (wire types 3 and 4) are deprecated but legal: they are skipped
//! whole. Limits: a varint has at most 10 bytes, a field number is 1..=2^29-1, groups nest at most
//! [`GROUP_DEPTH_MAX`] deep.

use std::borrow::Cow;

use thiserror::Error;

/// Groups appear in no message that we read; some nesting is allowed for senders from the future.
const GROUP_DEPTH_MAX: usize = 32;

/// Why bytes are not a protobuf message. Always the sender's fault; trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("message ends inside a field")]
    Truncated,
    #[error("varint is longer than 10 bytes")]
    VarintTooLong,
    #[error("field number 0 or above 2^29-1")]
    FieldNumber,
    #[error("unknown wire type {0}")]
    WireType(u8),
    #[error("field {field} has wire type {found}, not the one of its declaration")]
    FieldType { field: u32, found: &'static str },
    #[error("group ends without its start, or nests too deeply")]
    Group,
    #[error("messages nest deeper than {0} levels")]
    TooDeep(usize),
}

/// The value of one field as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    fn kind(self) -> &'static str {
        match self {
            Value::Varint(_) => "varint",
            Value::Fixed64(_) => "fixed64",
            Value::Bytes(_) => "length-delimited",
            Value::Fixed32(_) => "fixed32",
        }
    }

    /// The bytes of a string, bytes or message field.
    pub fn bytes(self, field: u32) -> Result<&'a [u8], WireError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(WireError::FieldType { field, found: other.kind() }),
        }
    }

    /// The number of a varint field: uint32, uint64, int32, int64, bool or enum.
    pub fn varint(self, field: u32) -> Result<u64, WireError> {
        match self {
            Value::Varint(value) => Ok(value),
            other => Err(WireError::FieldType { field, found: other.kind() }),
        }
    }

    /// The number of a fixed64 or sfixed64 field.
    pub fn fixed64(self, field: u32) -> Result<u64, WireError> {
        match self {
            Value::Fixed64(value) => Ok(value),
            other => Err(WireError::FieldType { field, found: other.kind() }),
        }
    }

    /// The number of a fixed32 field.
    pub fn fixed32(self, field: u32) -> Result<u32, WireError> {
        match self {
            Value::Fixed32(value) => Ok(value),
            other => Err(WireError::FieldType { field, found: other.kind() }),
        }
    }

    /// The number of a double field.
    pub fn double(self, field: u32) -> Result<f64, WireError> {
        self.fixed64(field).map(f64::from_bits)
    }
}

/// The fields of one message in the order sent. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn read_varint(&mut self) -> Result<u64, WireError> {
        if let [first, rest @ ..] = self.rest
            && *first < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*first));
        }
        self.read_long_varint()
    }

    /// Kept out of line so that the short case, nine of ten, stays small enough to inline.
    #[inline(never)]
    fn read_long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::VarintTooLong })
    }

    #[inline]
    fn read_bytes(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn read_array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn read_tag(&mut self) -> Result<(u32, u8), WireError> {
        // Field numbers below 16 take one byte; that is nearly all of them.
        if let [tag @ 8..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok((u32::from(*tag >> 3), *tag & 7));
        }
        let tag = self.read_varint()?;
        let field = u32::try_from(tag >> 3).map_err(|_| WireError::FieldNumber)?;
        if field == 0 || field >= 1 << 29 {
            return Err(WireError::FieldNumber);
        }
        Ok((field, (tag & 7) as u8))
    }

    /// Inlined always: a field found goes straight into the branch of its number. Out of line it took a
    /// fifth of the time of decoding a span.
    #[inline(always)]
    fn read_field(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (field, wire_type) = self.read_tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.read_varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.read_array()?)),
            2 => {
                let length = self.read_varint()?;
                Value::Bytes(self.read_bytes(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.read_array()?)),
            other => return self.read_after_group(field, other),
        };
        Ok(Some((field, value)))
    }

    /// The field after a group that starts here, and after any groups that follow it.
    #[cold]
    fn read_after_group(
        &mut self,
        mut field: u32,
        mut wire_type: u8,
    ) -> Result<Option<(u32, Value<'a>)>, WireError> {
        loop {
            match wire_type {
                3 => self.skip_group(field)?,
                4 => return Err(WireError::Group),
                other => return Err(WireError::WireType(other)),
            }
            let before = self.rest;
            if before.is_empty() {
                return Ok(None);
            }
            (field, wire_type) = self.read_tag()?;
            if matches!(wire_type, 0 | 1 | 2 | 5) {
                self.rest = before;
                return self.read_field();
            }
        }
    }

    #[cold]
    fn skip_group(&mut self, field: u32) -> Result<(), WireError> {
        let mut open = vec![field];
        while let Some(innermost) = open.last().copied() {
            let (field, wire_type) = self.read_tag()?;
            match wire_type {
                0 => drop(self.read_varint()?),
                1 => drop(self.read_array::<8>()?),
                2 => {
                    let length = self.read_varint()?;
                    self.read_bytes(length)?;
                }
                3 if open.len() < GROUP_DEPTH_MAX => open.push(field),
                4 if field == innermost => drop(open.pop()),
                3 | 4 => return Err(WireError::Group),
                5 => drop(self.read_array::<4>()?),
                other => return Err(WireError::WireType(other)),
            }
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.read_field().transpose();
        if matches!(field, Some(Err(_))) {
            self.rest = &[];
        }
        field
    }
}

/// The sub-messages of a repeated field, in the order sent.
pub fn repeated(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], WireError>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((found, value)) => (found == number).then(|| value.bytes(number)),
        Err(error) => Some(Err(error)),
    })
}

/// Reads a packed run of varints (repeated numbers in one length-delimited field).
pub fn packed_varints(bytes: &[u8]) -> impl Iterator<Item = Result<u64, WireError>> + '_ {
    let mut fields = Fields::new(bytes);
    std::iter::from_fn(move || (!fields.rest.is_empty()).then(|| fields.read_varint())).fuse()
}

/// Reads a packed run of fixed64 values.
///
/// # Errors
/// [`WireError::Truncated`] when the length is no multiple of 8.
pub fn packed_fixed64(bytes: &[u8]) -> Result<impl Iterator<Item = u64> + '_, WireError> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(WireError::Truncated);
    }
    Ok(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)))
}

/// The number of a sint32 field: zigzag, so that small negative numbers are short.
pub fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// The text of a string field. Invalid UTF-8 is replaced by U+FFFD, because one bad record must not
/// poison the batch that it came in; the caller counts `Cow::Owned` as a replacement.
#[inline]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    // `from_utf8` reads ASCII a word at a time; the lossy reading goes byte by byte.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, WireError> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn each_wire_type_is_read() {
        // protobuf.dev "Encoding": 08 96 01 is field 1 = 150; 12 07 "testing" is field 2.
        let bytes =
            [b"\x08\x96\x01\x12\x07testing".as_slice(), b"\x19\x01\0\0\0\0\0\0\0\x25\x02\0\0\0"].concat();
        let want = [
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"testing")),
            (3, Value::Fixed64(1)),
            (4, Value::Fixed32(2)),
        ];
        assert_eq!(read(&bytes).as_deref(), Ok(want.as_slice()));
    }

    #[test]
    fn broken_bytes_are_refused() {
        let cases: [(&[u8], WireError); 9] = [
            (b"\x08", WireError::Truncated),
            (b"\x08\x96", WireError::Truncated),
            (b"\x12\x07test", WireError::Truncated),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", WireError::Truncated),
            (b"\x19\x01", WireError::Truncated),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", WireError::VarintTooLong),
            (b"\x00\x01", WireError::FieldNumber),
            (b"\x0e", WireError::WireType(6)),
            (b"\x0c", WireError::Group),
        ];
        for (bytes, want) in cases {
            assert_eq!(read(bytes), Err(want), "{bytes:02x?}");
        }
    }

    #[test]
    fn groups_are_skipped_whole_and_bounded() {
        // field 1 start group, field 2 varint, field 1 end group, then field 3 = 7.
        assert_eq!(read(b"\x0b\x10\x01\x0c\x18\x07"), Ok(vec![(3, Value::Varint(7))]));
        assert_eq!(read(b"\x0b\x0c\x0b\x0c\x18\x07"), Ok(vec![(3, Value::Varint(7))]), "two in a row");
        assert_eq!(read(b"\x0b\x0c\x0e"), Err(WireError::WireType(6)), "nothing legal after it");
        assert_eq!(read(b"\x0b\x14"), Err(WireError::Group), "ends another group");
        assert_eq!(read(b"\x0b\x10\x01"), Err(WireError::Truncated), "never ends");
        let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        assert_eq!(read(&nested(GROUP_DEPTH_MAX)), Ok(vec![]));
        assert_eq!(read(&nested(GROUP_DEPTH_MAX + 1)), Err(WireError::Group));
    }

    #[test]
    fn packed_numbers_are_read_and_checked() {
        let varints: Result<Vec<_>, _> = packed_varints(b"\x03\x8e\x02\x9e\xa7\x05").collect();
        assert_eq!(varints, Ok(vec![3, 270, 86_942]), "the example of protobuf.dev");
        assert_eq!(packed_varints(b"\x80").collect::<Result<Vec<_>, _>>(), Err(WireError::Truncated));
        assert!(packed_fixed64(&[0; 9]).is_err());
    }

    #[test]
    fn zigzag_numbers_are_read() {
        // protobuf.dev "Encoding", the table of sint32.
        let cases = [(0, 0), (1, -1), (2, 1), (0xffff_fffe, 0x7fff_ffff), (0xffff_ffff, -0x8000_0000)];
        for (encoded, want) in cases {
            assert_eq!(zigzag(encoded), want);
        }
    }

    #[test]
    fn a_wrong_wire_type_names_its_field() {
        let error = Value::Varint(1).bytes(7);
        assert_eq!(error, Err(WireError::FieldType { field: 7, found: "varint" }));
    }
}
