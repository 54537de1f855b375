//! Text in HTML: everything that came from outside passes through here.

use std::fmt::{self, Display, Formatter, Write as _};

/// Displays as text that is safe between tags and inside quoted attributes. Control characters and those
/// that reorder text become the replacement character, so that a name looks like what it is.
pub struct Text<'a>(pub &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() || is_reordering(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Explicit bidirectional formatting (Unicode Standard Annex 9, section 2).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `chars_max` characters, the last of them an ellipsis if some were cut.
pub fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        let hostile = "<script>alert('x')</script>\"&\u{202e}\u{0}";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(shortened("reviews", 7), "reviews");
        assert_eq!(shortened("revieews", 7), "reviee…");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
