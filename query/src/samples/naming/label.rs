//! The name of a label that an attribute becomes.

/// The name in Prometheus; none where nothing but underscores remains, as of an empty key: there is no such label.
/// Two keys may have one name.
pub fn name(key: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(plain).collect();
    if !name.contains(|c| c != '_') {
        return None;
    }
    let prefix = match name.as_bytes() {
        [b'0'..=b'9', ..] => "key_",
        // Two in front are the mark of Prometheus's own labels.
        [b'_', b'_', ..] => "",
        [b'_', ..] => "key",
        _ => "",
    };
    Some(format!("{prefix}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of otlptranslator's tests that keep several underscores, and its `key_`.
    #[test]
    fn an_attribute_is_named_as_prometheus_names_it() {
        let cases = [
            ("label:with:colons", "label_with_colons"),
            ("LabelWithCapitalLetters", "LabelWithCapitalLetters"),
            ("label!with&special$chars)", "label_with_special_chars_"),
            ("label_with_foreign_characters_字符", "label_with_foreign_characters___"),
            ("label.with.dots", "label_with_dots"),
            ("123label", "key_123label"),
            ("_label_starting_with_underscore", "key_label_starting_with_underscore"),
            ("__label_starting_with_2underscores", "__label_starting_with_2underscores"),
            ("label.name__with&&special##chars", "label_name__with__special__chars"),
            ("__reserved__label__name__", "__reserved__label__name__"),
            ("trailing_underscores___", "trailing_underscores___"),
        ];
        for (key, want) in cases {
            assert_eq!(name(key).as_deref(), Some(want), "{key}");
        }
        for key in ["", "__", "ようこそ"] {
            assert_eq!(name(key), None, "{key}");
        }
    }
}
