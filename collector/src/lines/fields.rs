//! What a file in W3C's extended log format says of the lines that follow: a line `#Fields: date time ...`, at its head and
//! wherever the fields change.
//!
//! Such a file is read in parts like any other, so whoever cuts it takes the line along that is in force where a part
//! begins. Source: W3C, "Extended Log File Format", "Directives".

use bytes::Bytes;
use memchr::memmem;

use super::container::unwrap_container;

/// How the line begins.
const FIELDS: &[u8] = b"#Fields:";

/// The longest such line that is taken along, some hundred fields; it must fit into the address of a post. Behind a longer one no
/// fields are known.
pub const FIELDS_BYTES_MAX: usize = 4096;

/// The last line of `lines` that says which fields follow; empty where it is too long to be taken along.
pub fn last_fields(lines: &[u8]) -> Option<Bytes> {
    memmem::find(lines, FIELDS)?;
    let unwrapped = unwrap_container(lines);
    let last = unwrapped.rsplit(|byte| *byte == b'\n').find(|line| says_fields(line))?.trim_ascii_end();
    Some(if last.len() > FIELDS_BYTES_MAX { Bytes::new() } else { Bytes::copy_from_slice(last) })
}

/// Whether lines of `head` are directives, as of a file that says its fields.
pub fn has_directives(head: &[u8]) -> bool {
    unwrap_container(head).split(|byte| *byte == b'\n').any(|line| line.starts_with(b"#"))
}

/// One that names no field says nothing.
fn says_fields(line: &[u8]) -> bool {
    line.strip_prefix(FIELDS).is_some_and(|names| !names.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_names_fields_counts() {
        let check = |lines: &str, want: Option<&str>| {
            assert_eq!(last_fields(lines.as_bytes()).as_deref(), want.map(str::as_bytes), "{lines}");
        };
        check("a b\nc d\n", None);
        check("#Software: x\r\n#Fields: a b\r\n1 2\r\n", Some("#Fields: a b"));
        check("#Fields: a b\n1 2\n#Fields: c\n3\n#Fields: \n", Some("#Fields: c"));
        check("GET /#Fields: a\n", None);
        check("2026-11-23T07:07:07.948123456Z stdout F #Fields: a\n", Some("#Fields: a"));
        let longest = format!("#Fields: {}", "a".repeat(FIELDS_BYTES_MAX - 9));
        check(&format!("{longest}\n"), Some(&longest));
        check(&format!("#Fields: b\n{longest}a\n"), Some(""));
    }

    #[test]
    fn a_head_with_directives_is_of_a_file_that_says_its_fields() {
        assert!(has_directives(b"#Software: x\n") && has_directives(b"\n#x"));
        assert!(!has_directives(b"a #x\n") && !has_directives(b""));
    }
}
