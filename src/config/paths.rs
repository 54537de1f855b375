//! Keys by their whole path: what differs between two configurations, and which key a wrong one is near.

use toml::{Table, Value};

/// Mistakes that a suggestion forgives; with more, any short key is near any other.
const MISTAKES_MAX: usize = 2;

/// Paths of the keys in which `new` differs from `old`, with their new values. Sections are looked into where both
/// have them; a list is one value.
pub fn differences(old: &Table, new: &Table) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (key, value) in new {
        match (old.get(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => {
                let deeper = differences(old, new).into_iter();
                found.extend(deeper.map(|(path, value)| ([vec![key.clone()], path].concat(), value)));
            }
            (old, value) if old != Some(value) => found.push((vec![key.clone()], value.clone())),
            _ => {}
        }
    }
    found
}

/// Sets the value at `path` and makes the sections on the way.
pub fn set(table: &mut Table, path: &[&str], value: Value) {
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert((*key).to_owned(), value);
        return;
    }
    let section = table.entry((*key).to_owned()).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        set(section, rest, value);
    }
}

/// `, did you mean ...?` when a key of the same section differs by little, or another section has this very key.
pub fn suggestion(section: &Table, all: &Table, path: &str) -> String {
    let (before, key) =
        path.rsplit_once('.').map_or(("", path), |(_, key)| (&path[..path.len() - key.len()], key));
    let distance = |known: &&String| edit_distance(known, key);
    let near = section
        .keys()
        .filter(|known| distance(known) <= MISTAKES_MAX.min(key.len().saturating_sub(1)))
        .min_by_key(distance);
    let meant = near.map(|known| format!("{before}{known}")).or_else(|| elsewhere(all, key));
    meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default()
}

fn elsewhere(all: &Table, key: &str) -> Option<String> {
    key_paths(all)
        .into_iter()
        .find(|path| path.last().is_some_and(|last| last == key))
        .map(|path| path.join("."))
}

/// The path of every key, those of sections included.
pub fn key_paths(table: &Table) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (key, value) in table {
        paths.push(vec![key.clone()]);
        let deeper = value.as_table().map(key_paths).unwrap_or_default();
        paths.extend(deeper.into_iter().map(|path| [vec![key.clone()], path].concat()));
    }
    paths
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

    fn table(text: &str) -> Table {
        text.parse().expect("valid TOML")
    }

    #[test]
    fn keys_differ_at_every_depth() {
        let old = table("[a]\nsame = 1\nother = 1\nlist = [1]\n[a.inner]\nx = 1");
        let new = table("[a]\nsame = 1\nother = 2\nlist = [1, 2]\n[a.inner]\nx = 2\n[a.added]\ny = 1");
        let paths: Vec<String> = differences(&old, &new).iter().map(|(path, _)| path.join(".")).collect();
        assert_eq!(paths, ["a.added", "a.inner.x", "a.list", "a.other"]);
        assert_eq!(differences(&old, &old), []);
    }

    #[test]
    fn a_suggestion_is_near_or_the_same_key_elsewhere() {
        let all = table("[query]\nhttp = 1\nrows_max = 1\n[a.tls]\ncert = 1");
        let check = |section: &str, path: &str, want: &str| {
            let section = if section.is_empty() { &all } else { all[section].as_table().expect("a section") };
            assert_eq!(suggestion(section, &all, path), want, "{path}");
        };
        check("query", "query.htpt", ", did you mean query.http?");
        check("query", "query.row_mx", ", did you mean query.rows_max?");
        check("query", "query.row_m", "");
        check("query", "query.x", "");
        check("", "querry", ", did you mean query?");
        check("", "cert", ", did you mean a.tls.cert?");
        check("", "", "");
    }
}
