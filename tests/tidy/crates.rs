//! Which crate may use which, of ours and of others. The table and its reasons are in `docs/architecture.md`.

use toml::{Table, Value};

/// What one crate may use.
pub struct CrateRule {
    pub directory: &'static str,
    /// Directories of the crates of ours that it may use.
    ours: &'static [&'static str],
    /// Crates of others that it must never use; a trailing `*` matches any name with that start.
    never: &'static [&'static str],
    /// Whether not even its tests may use them: they must build without.
    is_pure: bool,
}

/// Anything that reads, writes, waits or serves.
const IO: &[&str] =
    &["tokio*", "hyper*", "axum*", "tonic*", "object_store", "datafusion*", "parquet", "deltalake*"];

pub const RULES: [CrateRule; 12] = [
    rule("schema", &[], IO).pure(),
    rule(
        "listen",
        &["schema"],
        &["datafusion*", "parquet", "object_store", "deltalake*", "prost*", "opentelemetry*"],
    ),
    rule("store", &["schema"], &["datafusion*", "tonic*", "axum*", "opentelemetry*", "envoy-types"]),
    rule("remote", &["schema", "store"], &["datafusion*", "axum*", "parquet", "deltalake*"]),
    rule(
        "collector",
        &["schema", "listen", "store"],
        &["datafusion*", "parquet", "object_store", "deltalake*"],
    ),
    rule("query/calls", &["schema"], IO).pure(),
    rule("query/promql", &["schema"], IO).pure(),
    rule("query/traceql", &["schema"], IO).pure(),
    rule("query/logql", &["query/promql", "query/traceql", "schema"], IO).pure(),
    rule("query/engine", &["schema", "store"], &["axum*", "tonic*", "deltalake*"]),
    rule(
        "query",
        &["query/engine", "query/calls", "query/promql", "query/traceql", "query/logql", "schema"],
        &["axum*", "tonic*", "datafusion*", "deltalake*"],
    ),
    rule("query/faces", &["query", "listen", "schema"], &["datafusion*", "object_store", "deltalake*"]),
];

const fn rule(
    directory: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
) -> CrateRule {
    CrateRule { directory, ours, never, is_pure: false }
}

impl CrateRule {
    const fn pure(self) -> CrateRule {
        CrateRule { is_pure: true, ..self }
    }

    /// What is wrong with the dependencies of `manifest`; `workspace` is the root's, which knows where ours are.
    pub fn complaints(&self, manifest: &str, workspace: &str) -> Vec<String> {
        let [manifest, workspace]: [Table; 2] =
            [manifest, workspace].map(|text| text.parse().expect("a manifest"));
        let ours = &workspace["workspace"]["dependencies"];
        let sections =
            if self.is_pure { ["dependencies", "dev-dependencies"].as_slice() } else { &["dependencies"] };
        let names = sections.iter().flat_map(|section| names(&manifest, section));
        let forbidden = names.filter(|name| match ours.get(name).and_then(|our| our.get("path")) {
            Some(path) => !path.as_str().is_some_and(|path| self.ours.contains(&path)),
            None => self.never.iter().any(|pattern| matches(pattern, name)),
        });
        forbidden.map(|name| format!("must not depend on {name}")).collect()
    }
}

/// The crates of a section, by the names they have in their registry.
fn names<'a>(manifest: &'a Table, section: &str) -> Vec<&'a str> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = targets.filter_map(Value::as_table).chain([manifest]);
    let entries = tables.filter_map(|table| table.get(section)?.as_table()).flatten();
    entries.map(|(name, entry)| entry.get("package").and_then(Value::as_str).unwrap_or(name)).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

#[test]
fn a_forbidden_dependency_is_found() {
    let workspace =
        "[workspace.dependencies]\nour-schema = { path = \"schema\" }\nour-store = { path = \"store\" }";
    let check = |rule: CrateRule, manifest: &str, want: &[&str]| {
        assert_eq!(rule.complaints(manifest, workspace), want, "{manifest}");
    };
    let store = || rule("store", &["schema"], &["tonic*"]);
    check(store(), "[dependencies]\nour-schema.workspace = true\ntokio = \"1\"", &[]);
    check(store(), "[dependencies.our-store]\nworkspace = true", &["must not depend on our-store"]);
    check(store(), "[dependencies]\ntonic-build = \"1\"", &["must not depend on tonic-build"]);
    check(store(), "[dependencies]\nwire = { package = \"tonic\" }", &["must not depend on tonic"]);
    check(store(), "[target.'cfg(unix)'.dependencies]\ntonic = \"1\"", &["must not depend on tonic"]);
    let tests = "[dev-dependencies]\ntonic = \"1\"";
    check(store(), tests, &[]);
    check(store().pure(), tests, &["must not depend on tonic"]);
}
