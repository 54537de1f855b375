//! `COPY ... TO STDOUT`: rows as lines, or in the binary format that other databases read.
//!
//! ```text
//! text     values between tabs, \N for null, with backslashes before what would end a value or a line
//! csv      values between commas, in quotes where they must be; nothing at all for null
//! binary   "PGCOPY\n\xff\r\n\0" | flags i32 | extension i32 | rows: columns i16, values after their lengths | -1 i16
//! ```
//! Source: PostgreSQL 16, "COPY", "File Formats".

use arrow::array::ArrayRef;
use bytes::{BufMut as _, BytesMut};
use meshlake_query::Bound;
use meshlake_query::postgres::{CopyFormat, Question};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};

use super::session::{Session, Stop};
use super::values::{Column, push_sized, push_text};

const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const BINARY_TRAILER: &[u8] = &[0xff, 0xff];

impl Session {
    /// Answers with the rows of `question` as `format` has them.
    ///
    /// # Errors
    /// It failed, was stopped, or the client has gone.
    pub async fn copy(
        &mut self,
        question: &Question,
        bound: Option<Bound>,
        format: &CopyFormat,
    ) -> Result<(), Stop> {
        let mut rows = self.ask(question, bound, &[]).await?;
        let is_binary = *format == CopyFormat::Binary;
        let width = i16::try_from(rows.columns().len()).unwrap_or(i16::MAX);
        let formats = vec![i16::from(is_binary); rows.columns().len()];
        let response = CopyOutResponse::new(is_binary.into(), width, formats);
        self.push(&PgWireBackendMessage::CopyOutResponse(response));
        // Of the binary format, a header and the first row are one message: there are clients that count on it.
        let mut header = header(rows.columns(), format).unwrap_or_default();
        if !is_binary && !header.is_empty() {
            push_data(self.outgoing.gathered(), |out| out.put_slice(&std::mem::take(&mut header)));
        }
        let mut copied = 0;
        while self.watch(rows.advance()).await? {
            let outgoing = &mut self.outgoing;
            copied += rows.take(usize::MAX, |arrays, columns, row| {
                push_data(outgoing.gathered(), |out| {
                    out.put_slice(&std::mem::take(&mut header));
                    push_line(out, arrays, columns, row, format);
                });
                !outgoing.is_full()
            });
            if self.outgoing.is_full() {
                self.outgoing.flush(rows.send_deadline()).await?;
            }
        }
        if is_binary {
            push_data(self.outgoing.gathered(), |out| {
                out.put_slice(&header);
                out.put_slice(BINARY_TRAILER);
            });
        }
        self.push(&PgWireBackendMessage::CopyDone(CopyDone::new()));
        self.complete(format!("COPY {copied}"));
        Ok(())
    }
}

/// Appends a message with data: `'d' | length i32, itself included | data`.
fn push_data(out: &mut BytesMut, push: impl FnOnce(&mut BytesMut)) {
    out.put_u8(b'd');
    let start = out.len();
    out.put_u32(0);
    push(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// What comes before the rows.
fn header(columns: &[Column], format: &CopyFormat) -> Option<Vec<u8>> {
    let names = |delimiter: char, push: &dyn Fn(&mut BytesMut, &[u8])| {
        let mut line = BytesMut::new();
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                line.put_u8(delimiter as u8);
            }
            push(&mut line, column.name.as_bytes());
        }
        line.put_u8(b'\n');
        line.to_vec()
    };
    match format {
        CopyFormat::Binary => Some(BINARY_HEADER.to_vec()),
        CopyFormat::Text { delimiter, has_header: true, .. } => {
            Some(names(*delimiter, &|line, name| push_escaped(line, name, *delimiter)))
        }
        CopyFormat::Csv { delimiter, null, has_header: true } => {
            Some(names(*delimiter, &|line, name| push_quoted(line, name, *delimiter, null)))
        }
        CopyFormat::Text { .. } | CopyFormat::Csv { .. } => None,
    }
}

fn push_line(out: &mut BytesMut, arrays: &[ArrayRef], columns: &[Column], row: usize, format: &CopyFormat) {
    if *format == CopyFormat::Binary {
        out.put_i16(i16::try_from(arrays.len()).unwrap_or(i16::MAX));
        for (array, column) in arrays.iter().zip(columns) {
            push_sized(out, array.as_ref(), row, column.postgres_type, true);
        }
        return;
    }
    let (CopyFormat::Text { delimiter, null, .. } | CopyFormat::Csv { delimiter, null, .. }) = format else {
        return;
    };
    let mut value = BytesMut::new();
    for (place, (array, column)) in arrays.iter().zip(columns).enumerate() {
        if place > 0 {
            out.put_u8(*delimiter as u8);
        }
        if array.is_null(row) || array.data_type().is_null() {
            out.put_slice(null.as_bytes());
            continue;
        }
        value.clear();
        push_text(&mut value, array.as_ref(), row, column.postgres_type);
        match format {
            CopyFormat::Csv { .. } => push_quoted(out, &value, *delimiter, null),
            _ => push_escaped(out, &value, *delimiter),
        }
    }
    out.put_u8(b'\n');
}

fn push_escaped(out: &mut BytesMut, value: &[u8], delimiter: char) {
    for byte in value {
        let escaped = match byte {
            0x08 => b'b',
            0x0b => b'v',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'\\' => b'\\',
            byte if *byte == delimiter as u8 => *byte,
            byte => {
                out.put_u8(*byte);
                continue;
            }
        };
        out.put_slice(&[b'\\', escaped]);
    }
}

/// In quotes where it would read as something else without.
fn push_quoted(out: &mut BytesMut, value: &[u8], delimiter: char, null: &str) {
    let needs_quotes = value == null.as_bytes()
        || value == b"\\."
        || value.iter().any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || *byte == delimiter as u8);
    if !needs_quotes {
        return out.put_slice(value);
    }
    out.put_u8(b'"');
    for byte in value {
        if *byte == b'"' {
            out.put_u8(b'"');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        push(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    /// As the documentation named above has it.
    #[test]
    fn values_are_escaped_in_text_and_quoted_in_csv() {
        let cases = [
            ("plain", "plain", "plain"),
            ("a\tb\nc\\", "a\\tb\\nc\\\\", "\"a\tb\nc\\\""),
            ("a,\"b\"", "a,\"b\"", "\"a,\"\"b\"\"\""),
            ("", "", "\"\""),
            ("\\.", "\\\\.", "\"\\.\""),
        ];
        for (value, text, csv) in cases {
            assert_eq!(written(|out| push_escaped(out, value.as_bytes(), '\t')), text);
            assert_eq!(written(|out| push_quoted(out, value.as_bytes(), ',', "")), csv);
        }
    }
}
