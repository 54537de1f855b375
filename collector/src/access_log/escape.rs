//! How proxies write characters that would end a field: each language has its own way, Envoy has none.
//!
//! | language | written | source |
//! |---|---|---|
//! | Envoy | nothing is escaped | "Access log format strings" |
//! | nginx | `\xHH` for quotes, backslashes, control characters and all above 126 | `log_format`, `escape=default` |
//! | nginx, JSON | as RFC 8259 | `log_format`, `escape=json` |
//! | Apache, Varnish | `\"`, `\\`, `\n` and so on, `\xhh` | mod_log_config, "Security Considerations" |
//! | HAProxy | `#HH` in captures and request lines | "Configuration Manual", 8.6 |
//!
//! An escape that is cut off, or is none, stands for itself. Bytes that make no UTF-8 are replaced by U+FFFD.

use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    /// A backslash, an x and two hex digits: no quote is ever in a text.
    Hex,
    /// A backslash, then two hex digits or one character. A quote behind a backslash does not end a field.
    Backslash,
    /// A hash, then two hex digits.
    Hash,
}

impl Escape {
    /// Whether a quote at `at` is part of the text.
    pub(super) fn escapes(self, text: &[u8], at: usize) -> bool {
        let before = || text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        self == Escape::Backslash && before() % 2 == 1
    }

    /// The byte that an escape begins with.
    fn mark(self) -> Option<u8> {
        match self {
            Escape::None => None,
            Escape::Hex | Escape::Backslash => Some(b'\\'),
            Escape::Hash => Some(b'#'),
        }
    }

    /// How a line is escaped whose format is escaped so: most have nothing to escape, which is seen at once.
    pub(super) fn of(self, line: &str) -> Escape {
        let has = |mark| memchr::memchr(mark, line.as_bytes()).is_some();
        if self.mark().is_some_and(has) { self } else { Escape::None }
    }

    /// The text that was meant.
    #[inline]
    pub(super) fn read(self, text: &str) -> Cow<'_, str> {
        let Some(mark) = self.mark() else { return text.into() };
        match memchr::memchr(mark, text.as_bytes()) {
            None => text.into(),
            Some(first) => unescape(text, mark, first),
        }
    }
}

fn unescape(text: &str, mark: u8, first: usize) -> Cow<'static, str> {
    let mut meant = Vec::with_capacity(text.len());
    meant.extend_from_slice(&text.as_bytes()[..first]);
    let mut rest = &text.as_bytes()[first..];
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != mark {
            meant.push(*byte);
            continue;
        }
        rest = match mark {
            b'#' => read_hex(after, &mut meant).unwrap_or_else(|| {
                meant.push(b'#');
                after
            }),
            _ => read_backslash(after, &mut meant),
        };
    }
    match String::from_utf8(meant) {
        Ok(meant) => meant.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
    }
}

fn read_backslash<'a>(after: &'a [u8], meant: &mut Vec<u8>) -> &'a [u8] {
    let Some((kind, rest)) = after.split_first() else {
        meant.push(b'\\');
        return after;
    };
    let control = match kind {
        b'x' => match read_hex(rest, meant) {
            Some(rest) => return rest,
            None => None,
        },
        b'u' => match read_utf16(rest, meant) {
            Some(rest) => return rest,
            None => None,
        },
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'r' => Some(b'\r'),
        b'b' => Some(8),
        b'f' => Some(12),
        b'v' => Some(11),
        b'"' | b'\\' | b'/' | b'\'' => Some(*kind),
        _ => None,
    };
    match control {
        Some(byte) => meant.push(byte),
        None => meant.extend_from_slice(&[b'\\', *kind]),
    }
    rest
}

fn read_hex<'a>(digits: &'a [u8], meant: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (pair, rest) = digits.split_first_chunk::<2>()?;
    meant.push(hex_number(pair)? as u8);
    Some(rest)
}

/// Four hex digits, and the second half of a surrogate pair where it follows.
fn read_utf16<'a>(digits: &'a [u8], meant: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (four, mut rest) = digits.split_first_chunk::<4>()?;
    let mut code = hex_number(four)?;
    if (0xd800..0xdc00).contains(&code)
        && let Some((low, after)) = rest.strip_prefix(b"\\u").and_then(|rest| rest.split_first_chunk::<4>())
        && let Some(low) = hex_number(low).filter(|low| (0xdc00..0xe000).contains(low))
    {
        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        rest = after;
    }
    let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    meant.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn hex_number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + (*digit as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The user agent `scout "q" \ é` as nginx 1.22, Apache 2.4 and HAProxy 2.6 wrote it.
    #[test]
    fn real_proxies_are_understood() {
        let cases = [
            (Escape::Hex, r"scout \x22q\x22 \x5C \xC3\xA9", "scout \"q\" \\ é"),
            (Escape::Backslash, r#"scout \"q\" \\ \xc3\xa9"#, "scout \"q\" \\ é"),
            (Escape::Hash, r"scout #22q#22 \ #C3#A9", "scout \"q\" \\ é"),
            (Escape::None, r#"scout "q" \x22"#, r#"scout "q" \x22"#),
            (Escape::Backslash, r"é\u00e9\ud83d\ude00\n", "éé😀\n"),
        ];
        for (escape, written, want) in cases {
            assert_eq!(escape.read(written), want, "{written}");
        }
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for text in ["\\", "\\x", "\\x1", "\\xzz", "\\q", "\\u12", "\\uzzzz"] {
            assert_eq!(Escape::Backslash.read(text), text);
        }
        for text in ["#", "#1", "#zz", "a#"] {
            assert_eq!(Escape::Hash.read(text), text);
        }
        assert_eq!(Escape::Backslash.read(r"\xff\ud800"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_quote_behind_an_odd_number_of_backslashes_is_text() {
        for (text, want) in [("a\"", false), ("a\\\"", true), ("a\\\\\"", false), ("\\\\\\\"", true)] {
            assert_eq!(Escape::Backslash.escapes(text.as_bytes(), text.len() - 1), want, "{text}");
            assert!(!Escape::None.escapes(text.as_bytes(), text.len() - 1));
        }
    }
}
