//! Lays what a user wrote over the defaults, key by key, and reports every wrong key at once.
//!
//! The defaults themselves are the list of known keys and of their types: a key that is not among them, or
//! whose value has another type, is a problem with its full path and its origin. Deserialising straight
//! into the structs would stop at the first mistake, and a user would fix them one restart at a time.

use toml::{Table, Value};

/// Lays `given` over `known`. Problems are appended, one line each; a wrong key changes nothing.
pub fn overlay(known: &mut Table, given: Table, origin: &str, problems: &mut Vec<String>) {
    overlay_at(known, given, "", origin, problems);
}

fn overlay_at(known: &mut Table, given: Table, prefix: &str, origin: &str, problems: &mut Vec<String>) {
    for (key, value) in given {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (known.get_mut(&key), value) {
            (None, _) => problems.push(format!("{origin}: unknown key {path}{}", suggestion(known, &key))),
            (Some(Value::Table(section)), Value::Table(given)) => {
                overlay_at(section, given, &path, origin, problems);
            }
            (Some(slot @ Value::Float(_)), Value::Integer(whole)) => *slot = Value::Float(whole as f64),
            (Some(slot), value) if slot.same_type(&value) => *slot = value,
            (Some(slot), value) => problems.push(format!(
                "{origin}: {path} is {} {}, want {}",
                value.type_str(),
                value.to_string().trim(),
                slot.type_str()
            )),
        }
    }
}

/// Lays one textual value (an environment variable or a flag) over the key at `path`, read as that key's type.
pub fn overlay_text(known: &mut Table, path: &[&str], text: &str, origin: &str, problems: &mut Vec<String>) {
    let Some((key, sections)) = path.split_last() else { return };
    let mut table = known;
    for section in sections {
        match table.get_mut(*section) {
            Some(Value::Table(inner)) => table = inner,
            _ => return problems.push(format!("{origin}: unknown section {section}")),
        }
    }
    let Some(slot) = table.get_mut(*key) else {
        let hint = suggestion(table, key);
        return problems.push(format!("{origin}: unknown key {}{hint}", path.join(".")));
    };
    let parsed = match slot {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        _ => None,
    };
    match parsed {
        Some(value) => *slot = value,
        None => problems.push(format!("{origin}: {} is {text:?}, want {}", path.join("."), slot.type_str())),
    }
}

/// `, did you mean ...?` when a known key differs by little, else nothing.
fn suggestion(known: &Table, key: &str) -> String {
    let near = known.keys().filter(|k| edit_distance(k, key) <= 2).min_by_key(|k| edit_distance(k, key));
    near.map(|k| format!(", did you mean {k}?")).unwrap_or_default()
}

/// Levenshtein distance in bytes; keys are short and ASCII.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, byte_a) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, byte_b) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(byte_a != byte_b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Table {
        "[a]\naddress = \"x\"\nsize = 1\nratio = 0.5\non = true".parse().expect("valid TOML")
    }

    fn check(given: &str, want_problems: &[&str]) -> Table {
        let mut table = known();
        let mut problems = Vec::new();
        overlay(&mut table, given.parse().expect("valid TOML"), "f.toml", &mut problems);
        assert_eq!(problems, want_problems);
        table
    }

    #[test]
    fn given_keys_replace_and_others_stay() {
        let table = check("[a]\nsize = 2\nratio = 1", &[]);
        assert_eq!(table["a"]["size"].as_integer(), Some(2));
        assert_eq!(table["a"]["ratio"].as_float(), Some(1.0), "a whole number fits a ratio");
        assert_eq!(table["a"]["address"].as_str(), Some("x"));
    }

    #[test]
    fn every_wrong_key_is_reported_with_its_path() {
        let table = check(
            "b = 1\n[a]\nadress = \"y\"\nsize = \"big\"\non = false",
            &[
                "f.toml: unknown key a.adress, did you mean address?",
                "f.toml: a.size is string \"big\", want integer",
                "f.toml: unknown key b, did you mean a?",
            ],
        );
        assert_eq!(table["a"]["on"].as_bool(), Some(false), "right keys count beside wrong ones");
    }

    #[test]
    fn text_is_read_as_the_keys_type() {
        let mut table = known();
        let mut problems = Vec::new();
        overlay_text(&mut table, &["a", "size"], "7", "E", &mut problems);
        overlay_text(&mut table, &["a", "on"], "maybe", "E", &mut problems);
        overlay_text(&mut table, &["a", "nothing"], "1", "E", &mut problems);
        overlay_text(&mut table, &["z", "size"], "1", "E", &mut problems);
        assert_eq!(table["a"]["size"].as_integer(), Some(7));
        assert_eq!(
            problems,
            ["E: a.on is \"maybe\", want boolean", "E: unknown key a.nothing", "E: unknown section z"]
        );
    }
}
