//! Text from outside on a page: maud escapes it, and here what would look like something else is taken out.

use std::fmt::{self, Display, Formatter, Write as _};

/// Displays text whose control characters, and those that reorder text, are the replacement character, so that a name
/// looks like what it is. Everything that came over the network is shown through it.
#[derive(Clone, Copy)]
pub struct Text<'a>(pub &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if is_misleading(c) { '\u{fffd}' } else { c }))
    }
}

impl maud::Render for Text<'_> {
    fn render_to(&self, out: &mut String) {
        let mut escaper = maud::Escaper::new(out);
        write!(escaper, "{self}").expect("writing to a String cannot fail");
    }
}

/// Explicit bidirectional formatting (Unicode Standard Annex 9, section 2), control characters, and the two that are not
/// characters of XML (XML 1.0, 2.2), as drawings are saved.
fn is_misleading(c: char) -> bool {
    let is_control = c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{fffe}' | '\u{ffff}');
    is_control || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
    use maud::html;

    use super::*;

    #[test]
    fn markup_is_text() {
        let hostile = Text("<script>alert('x')</script>\"&\u{202e}\u{0}");
        let html = html! { p title=(hostile) { (hostile) } }.into_string();
        let text = "&lt;script&gt;alert('x')&lt;/script&gt;&quot;&amp;\u{fffd}\u{fffd}";
        assert_eq!(html, format!("<p title=\"{text}\">{text}</p>"));
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(shortened("reviews", 7), "reviews");
        assert_eq!(shortened("revieews", 7), "reviee…");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
