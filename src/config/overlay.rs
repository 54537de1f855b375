//! Lays what a user wrote over the defaults, key by key, and reports every wrong key at once.
//!
//! What keys there are and of which type is read from an example, the *shape*: the defaults with every optional
//! key set and every list holding one element (an empty list takes text). A key that is not in it, or whose value
//! has another type, is a problem with its full path and its origin. Deserialising straight into the structs
//! would stop at the first mistake, and a user would fix them one restart at a time.
//! Limits: of the keys that are missing in one optional section or list, the first is named.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::paths::{differences, set, suggestion};

/// Values so far, and what was wrong on the way to them.
#[derive(Debug)]
pub struct Overlay {
    shape: Table,
    defaults: Table,
    values: Table,
    problems: Vec<String>,
}

impl Overlay {
    pub fn new(shape: Table, defaults: Table) -> Overlay {
        Overlay { shape, values: defaults.clone(), defaults, problems: Vec::new() }
    }

    pub fn add_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Lays `given` over what is there. A wrong key changes nothing.
    pub fn lay(&mut self, given: Table, origin: &str) {
        let below = Value::Table(std::mem::take(&mut self.values));
        let shape = Value::Table(self.shape.clone());
        let mut reading = Reading { all: &self.shape, origin, problems: &mut self.problems };
        if let Some(Value::Table(values)) = reading.value(&shape, Some(&below), Value::Table(given), "") {
            self.values = values;
        }
    }

    /// Lays one textual value (an environment variable or a flag) over the key at `path`, read as that key's type:
    /// text as it stands, a list of text also separated by commas, other lists and sections in TOML's syntax.
    pub fn lay_text(&mut self, path: &[&str], text: &str, origin: &str) {
        let mut shape = Some(&self.shape);
        let mut known = None;
        for key in path {
            known = shape.and_then(|table| table.get(*key));
            shape = known.and_then(Value::as_table);
        }
        let value = match known {
            Some(shape) => read_text(shape, text),
            // The problem is the key, which is told below.
            None => Some(Value::String(text.to_owned())),
        };
        let Some(value) = value else {
            let want = known.map(type_of).unwrap_or_default();
            return self.problems.push(format!("{origin}: {} is {text:?}, want {want}", path.join(".")));
        };
        let mut given = Table::new();
        set(&mut given, path, value);
        self.lay(given, origin);
    }

    /// The configuration, with the defaults in place of what is wrong, and everything that is.
    pub fn finish<C: DeserializeOwned>(mut self) -> (C, Vec<String>) {
        let mut values = self.defaults.clone();
        for (path, value) in differences(&self.defaults, &self.values) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let mut alone = self.defaults.clone();
            set(&mut alone, &path, value.clone());
            // Types alone do not tell that a count is negative, or a name none of those that a key takes.
            match alone.try_into::<C>() {
                Ok(_) => set(&mut values, &path, value),
                Err(error) => {
                    self.problems.push(format!("{}: {}", path.join("."), in_words(error.message())));
                }
            }
        }
        let config =
            values.try_into().expect("each value was read beside the defaults, and keys are independent");
        (config, self.problems)
    }
}

/// One source while it is read.
struct Reading<'a> {
    all: &'a Table,
    origin: &'a str,
    problems: &'a mut Vec<String>,
}

impl Reading<'_> {
    /// `given` as `shape` has it, tables laid over those of `below`; none if it is of another type.
    fn value(&mut self, shape: &Value, below: Option<&Value>, given: Value, path: &str) -> Option<Value> {
        match (shape, given) {
            (Value::Table(shape), Value::Table(given)) => {
                let told = self.problems.len();
                let mut table = below.and_then(Value::as_table).cloned().unwrap_or_default();
                for (key, value) in given {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    let Some(shape) = shape.get(&key) else {
                        let hint = suggestion(shape, self.all, &path);
                        self.problems.push(format!("{}: unknown key {path}{hint}", self.origin));
                        continue;
                    };
                    if let Some(value) = self.value(shape, table.get(&key), value, &path) {
                        table.insert(key, value);
                    }
                }
                // A section of which nothing was there is used as a whole or not at all: without the key that is
                // wrong, it would also be told that the key is missing.
                (below.is_some() || self.problems.len() == told).then_some(Value::Table(table))
            }
            (Value::Array(shape), Value::Array(given)) => {
                let shape = element(shape);
                let elements = given.into_iter().enumerate();
                let elements: Vec<_> = elements
                    .map(|(i, given)| self.value(&shape, None, given, &format!("{path}[{i}]")))
                    .collect();
                elements.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            (Value::Float(_), Value::Integer(whole)) => Some(Value::Float(whole as f64)),
            (shape, given) if shape.same_type(&given) => Some(given),
            (shape, given) => {
                let (is, shown, want) = (given.type_str(), given.to_string(), type_of(shape));
                self.problems.push(format!("{}: {path} is {is} {}, want {want}", self.origin, shown.trim()));
                None
            }
        }
    }
}

/// The largest whole number that TOML has.
const TOML_MAX: u64 = i64::MAX as u64;

/// What the library says of a number that does not fit, without the name of a type of Rust.
fn in_words(message: &str) -> String {
    let largest =
        [("u16", u64::from(u16::MAX)), ("u32", u64::from(u32::MAX)), ("u64", TOML_MAX), ("usize", TOML_MAX)];
    let found = largest.iter().find_map(|(name, max)| Some((message.strip_suffix(name)?, max)));
    found.map_or_else(|| message.to_owned(), |(said, max)| format!("{said}a whole number from 0 to {max}"))
}

/// What each element of a list is like.
fn element(shape: &[Value]) -> Value {
    shape.first().cloned().unwrap_or_else(|| Value::String(String::new()))
}

fn type_of(shape: &Value) -> String {
    match shape {
        Value::Array(shape) => format!("a list of {}", element(shape).type_str()),
        Value::Table(_) => "a section".to_owned(),
        scalar => scalar.type_str().to_owned(),
    }
}

fn read_text(shape: &Value, text: &str) -> Option<Value> {
    match shape {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Array(shape) if element(shape).is_str() && !text.trim_start().starts_with('[') => {
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            Some(Value::Array(names.map(|name| Value::String(name.to_owned())).collect()))
        }
        _ => {
            let mut table: Table = format!("value = {text}").parse().ok()?;
            let value = table.remove("value")?;
            let fits = value.same_type(shape) || (shape.is_float() && value.is_integer());
            (table.is_empty() && fits).then_some(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        a: Section,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        address: String,
        size: u32,
        ratio: f64,
        on: bool,
        origins: Vec<String>,
        files: Vec<File>,
        tls: Option<Certificate>,
        inner: Inner,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        path: String,
        format: Option<String>,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Certificate {
        cert: String,
        key: String,
    }

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        depth: u32,
    }

    fn overlay() -> Overlay {
        let mut every_key = Config::default();
        every_key.a.files = vec![File { format: Some(String::new()), ..File::default() }];
        every_key.a.tls = Some(Certificate::default());
        let [shape, defaults] =
            [every_key, Config::default()].map(|config| Table::try_from(config).expect("plain"));
        Overlay::new(shape, defaults)
    }

    fn file(given: &str, want_problems: &[&str]) -> Section {
        let mut overlay = overlay();
        overlay.lay(given.parse().expect("valid TOML"), "f.toml");
        let (config, problems) = overlay.finish::<Config>();
        assert_eq!(problems, want_problems, "{given}");
        config.a
    }

    fn text(key: &[&str], text: &str, want_problems: &[&str]) -> Section {
        let mut overlay = overlay();
        overlay.lay_text(key, text, "E");
        let (config, problems) = overlay.finish::<Config>();
        assert_eq!(problems, want_problems, "{text}");
        config.a
    }

    #[test]
    fn given_keys_replace_and_others_stay() {
        let mut overlay = overlay();
        overlay.lay("[a]\nsize = 2\nratio = 1\n[a.inner]\ndepth = 3".parse().expect("valid TOML"), "f.toml");
        overlay.lay_text(&["a", "size"], "4", "E");
        let (config, problems) = overlay.finish::<Config>();
        assert_eq!(problems, Vec::<String>::new());
        let inner = Inner { depth: 3 };
        let want = Section { size: 4, ratio: 1.0, inner, ..Section::default() };
        assert_eq!(config.a, want, "a whole number fits a ratio");
    }

    #[test]
    fn lists_and_optional_sections_are_read() {
        let given = "[a]\norigins = ['x', 'y']\n[a.tls]\ncert = 'c'\nkey = 'k'\n\
                     [[a.files]]\npath = '1'\n[[a.files]]\npath = '2'\nformat = 'json'\n";
        let section = file(given, &[]);
        assert_eq!(section.origins, ["x", "y"]);
        assert_eq!(section.tls, Some(Certificate { cert: "c".to_owned(), key: "k".to_owned() }));
        let formats: Vec<_> =
            section.files.iter().map(|file| (file.path.as_str(), file.format.as_deref())).collect();
        assert_eq!(formats, [("1", None), ("2", Some("json"))]);
    }

    #[test]
    fn every_wrong_key_is_reported_with_its_path() {
        let given = "b = 1\nsize = 3\n[a]\nadress = 'y'\nsize = 'big'\non = true\norigins = ['x', 7]\n\
                     [a.inner]\ndeep = 1\n[a.tls]\nkei = 1\ncert = 'c'\n[[a.files]]\npath = 1\nformats = 'json'\n";
        let section = file(
            given,
            &[
                "f.toml: unknown key a.adress, did you mean a.address?",
                "f.toml: unknown key a.files[0].formats, did you mean a.files[0].format?",
                "f.toml: a.files[0].path is integer 1, want string",
                "f.toml: unknown key a.inner.deep",
                "f.toml: a.origins[1] is integer 7, want string",
                "f.toml: a.size is string \"big\", want integer",
                "f.toml: unknown key a.tls.kei, did you mean a.tls.key?",
                "f.toml: unknown key b",
                "f.toml: unknown key size, did you mean a.size?",
            ],
        );
        assert!(section.on, "right keys count beside wrong ones");
    }

    #[test]
    fn values_that_cannot_be_are_reported_at_once() {
        file(
            "[a]\nsize = -1\ninner = { depth = 4294967296 }",
            &[
                "a.inner.depth: invalid value: integer `4294967296`, expected a whole number from 0 to 4294967295",
                "a.size: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
            ],
        );
        file(
            "[a]\ntls = { cert = 'c' }\nfiles = [{}, {}]",
            &["a.files: missing field `path`", "a.tls: missing field `key`"],
        );
        file("a = 1", &["f.toml: a is integer 1, want a section"]);
        file("[a]\norigins = 'x'", &["f.toml: a.origins is string \"x\", want a list of string"]);
    }

    #[test]
    fn text_is_read_as_the_keys_type() {
        assert_eq!(text(&["a", "size"], "7", &[]).size, 7);
        assert_eq!(text(&["a", "ratio"], "7", &[]).ratio, 7.0);
        assert_eq!(text(&["a", "address"], "[::1]:1", &[]).address, "[::1]:1");
        assert_eq!(text(&["a", "inner", "depth"], "7", &[]).inner.depth, 7);
        assert_eq!(
            text(&["a", "tls"], "{ cert = 'c', key = 'k' }", &[]).tls.map(|tls| tls.key),
            Some("k".to_owned())
        );
        assert_eq!(text(&["a", "files"], "[{ path = 'p' }]", &[]).files[0].path, "p");
        assert_eq!(text(&["a", "origins"], "x, y,", &[]).origins, ["x", "y"]);
        assert_eq!(text(&["a", "origins"], "['x,y']", &[]).origins, ["x,y"]);
        assert_eq!(text(&["a", "origins"], "", &[]).origins, Vec::<String>::new());
    }

    #[test]
    fn text_that_is_wrong_says_what_is_wanted() {
        text(&["a", "on"], "maybe", &["E: a.on is \"maybe\", want boolean"]);
        text(&["a", "size"], "1\nother = 2", &["E: a.size is \"1\\nother = 2\", want integer"]);
        text(&["a", "files"], "p", &["E: a.files is \"p\", want a list of table"]);
        text(&["a", "nothing"], "1", &["E: unknown key a.nothing"]);
        text(&["z", "size"], "1", &["E: unknown key z"]);
        text(&["a", "size", "deeper"], "1", &["E: a.size is table { deeper = \"1\" }, want integer"]);
    }
}
