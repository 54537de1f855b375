//! How much of one record is kept. What is beyond is cut or left out, the record is stored, its sender is warned.
//!
//! A record is bounded so that no single one makes a file, a page or an answer unreadable; an export is bounded
//! where it comes in. Refusing a record for its size would lose all of it, and refusing its export all the others.
//!
//! Limits: sizes are those of the bytes as sent; text that has to be mended or escaped takes more. The number of
//! attributes of a resource, a scope or a metric is not bounded, as in the OpenTelemetry SDKs: they are stored once
//! for all their records. Names, messages and tracestates are as long as they come.

/// Bytes of an attribute's key. The longest key of the semantic conventions has some 60.
pub const KEY_BYTES_MAX: usize = 256;

/// Bytes of an attribute's value: a long statement or stack trace fits.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// Bytes of a log record's body; the longest line that Loki takes by default.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// Attributes of a record, an event, a link or an exemplar; the default of the OpenTelemetry SDKs.
pub const ATTRIBUTES_MAX: usize = 128;

/// Events of a span, and links of one. Eight times the SDKs' default, because those who raised that meant to.
pub const EVENTS_MAX: usize = 1024;
pub const LINKS_MAX: usize = 1024;

/// Levels of values inside values; a plain value is level 1. Nothing real has more than a few, and writing them
/// recurses once a level.
pub const LEVELS_MAX: usize = 32;

/// The longest start of `text` that has at most `bytes_max` bytes and cuts no character.
pub fn cut_text(text: &[u8], bytes_max: usize) -> &[u8] {
    if text.len() <= bytes_max {
        return text;
    }
    // A character has at most three bytes behind its first; with more of that kind it is no UTF-8 anyway.
    let mut ends = (bytes_max.saturating_sub(3)..=bytes_max).rev();
    let end = ends.find(|end| text[*end] & 0xc0 != 0x80);
    &text[..end.unwrap_or(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let cases: [(&str, usize, &str); 9] = [
            ("abc", 3, "abc"),
            ("abc", 4, "abc"),
            ("abc", 2, "ab"),
            ("aä", 2, "a"),
            ("aä", 3, "aä"),
            ("a✓b", 3, "a"),
            ("a😀b", 4, "a"),
            ("a😀b", 5, "a😀"),
            ("ä", 0, ""),
        ];
        for (text, bytes_max, want) in cases {
            assert_eq!(cut_text(text.as_bytes(), bytes_max), want.as_bytes(), "{text} at {bytes_max}");
        }
        assert_eq!(cut_text(&[0x80; 9], 5), [0x80; 5], "no character at all");
    }
}
