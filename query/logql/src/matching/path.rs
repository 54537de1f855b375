//! Paths into JSON, as parsers with expressions have them.
//!
//! Source: "Log queries", JSON, Extracted properties.

use std::ops::ControlFlow;

use super::json::{Mistake, Value, elements, first, members, text};

/// Where in a value another one is: `a.b["c d"][0]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// # Errors
    /// Text that says what is wrong.
    pub fn new(path: String) -> Result<Path, String> {
        let wrong = || format!("cannot parse expression {path:?}: a path is written a.b[\"c d\"][0]");
        let mut steps = Vec::new();
        let mut rest = path.as_str();
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, behind) = if inside.starts_with('"') {
                    let (key, length) = text(inside).map_err(|_| wrong())?;
                    (Step::Key(key.into_owned()), &inside[length..])
                } else {
                    let end = inside.find(']').ok_or_else(wrong)?;
                    (Step::Index(inside[..end].trim().parse().map_err(|_| wrong())?), &inside[end..])
                };
                steps.push(step);
                rest = behind.strip_prefix(']').ok_or_else(wrong)?;
            } else {
                let named = if steps.is_empty() { rest } else { rest.strip_prefix('.').ok_or_else(wrong)? };
                let end = named.find(['.', '[']).unwrap_or(named.len());
                let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '$');
                if end == 0 || !named[..end].chars().all(is_key) {
                    return Err(wrong());
                }
                steps.push(Step::Key(named[..end].to_owned()));
                rest = &named[end..];
            }
        }
        if steps.is_empty() { Err(wrong()) } else { Ok(Path { text: path, steps }) }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value there in `line`; none if there is none.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn find<'l>(&self, line: &'l str) -> Result<Option<Value<'l>>, Mistake> {
        let mut value = first(line)?;
        for step in &self.steps {
            let mut found = None;
            match (step, value) {
                (Step::Key(key), Value::Object(object)) => members(object, &mut |name, value| {
                    if name == key.as_str() {
                        found = Some(value);
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })?,
                (Step::Index(index), Value::Array(array)) => {
                    let element = elements(array).and_then(|elements| elements.get(*index).copied());
                    found = element.map(first).transpose()?;
                }
                _ => {}
            }
            match found {
                Some(inner) => value = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_a_value() {
        let line = r#"{"servers":["a",{"host":"h","x y":[[7]]}],"request":{"method":"GET"},"n":null}"#;
        let check = |path: &str, want: Option<&str>| {
            let path = Path::new(path.to_owned()).expect(path);
            let found = path.find(line).expect("it is JSON").map(Value::text);
            assert_eq!(found.as_deref(), want, "{}", path.text());
        };
        check("servers[0]", Some("a"));
        check("servers[1].host", Some("h"));
        check(r#"servers[1]["x y"][0]"#, Some("[7]"));
        check(r#"["request"].method"#, Some("GET"));
        check("request", Some(r#"{"method":"GET"}"#));
        check("n", Some(""));
        for none in ["servers[2]", "servers.a", "request[0]", "x.y"] {
            check(none, None);
        }
        for wrong in ["", ".", "a.", "a[", "a[x]", "a[\"b]", "a b", "[-1]"] {
            assert!(Path::new(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
