//! Arrays as PostgreSQL writes them in text: `{a,NULL,"b c"}`.
//!
//! Source: PostgreSQL 16, "Array Input and Output Syntax". Limits: one dimension.

/// The elements, none for a null; nothing at all where `text` is no such array.
pub fn elements_of(text: &str) -> Option<Vec<Option<String>>> {
    let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut chars = inside.chars().peekable();
    let mut elements = Vec::new();
    if inside.trim().is_empty() {
        return Some(elements);
    }
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut element = String::new();
        let is_quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.peek() {
                Some('"') if is_quoted => {
                    chars.next();
                    break;
                }
                None if is_quoted => return None,
                Some(',') | None if !is_quoted => break,
                Some('{' | '}' | '"') if !is_quoted => return None,
                Some('\\') => {
                    chars.next();
                    element.push(chars.next()?);
                }
                Some(_) => element.extend(chars.next()),
                None => break,
            }
        }
        if !is_quoted {
            element.truncate(element.trim_end().len());
        }
        let is_null = !is_quoted && element.eq_ignore_ascii_case("null");
        if !is_quoted && element.is_empty() {
            return None;
        }
        elements.push((!is_null).then_some(element));
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.next() {
            Some(',') => {}
            None => return Some(elements),
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_plain_or_quoted_or_null() {
        let cases = [
            ("{}", Some(vec![])),
            ("{a, b}", Some(vec![Some("a"), Some("b")])),
            (r#"{"a,b",NULL,"null","\"\\"}"#, Some(vec![Some("a,b"), None, Some("null"), Some("\"\\")])),
            (r#"{""}"#, Some(vec![Some("")])),
            ("{a,}", None),
            ("{a", None),
            (r#"{"a}"#, None),
            ("{{1},{2}}", None),
            (r#"{"a"b}"#, None),
        ];
        for (text, want) in cases {
            let elements = elements_of(text);
            let elements = elements.as_ref().map(|elements| elements.iter().map(Option::as_deref).collect());
            assert_eq!(elements, want, "{text}");
        }
    }
}
