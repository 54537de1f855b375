//! House rules that the compiler does not check: which crate may use which, imports that point only
//! down the module list, protocols that do not know one another, a `//!` on every file, file length.
//!
//! Each rule is a function from text to a complaint, so each is tested with a text that breaks it. The
//! rules and their reasons are in `docs/architecture.md`.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests. Longer files are two files; see the architecture document.
const FILE_LINES_MAX: usize = 400;

/// What each crate must never depend on, by crate directory. A trailing `*` matches any name with that start.
const FORBIDDEN_DEPENDENCIES: [(&str, &[&str]); 4] = [
    ("schema", &["meshlake-*", "tokio*", "object_store", "datafusion*", "tonic*", "axum", "parquet"]),
    (
        "store",
        &[
            "meshlake-collector",
            "meshlake-query",
            "datafusion*",
            "tonic*",
            "axum",
            "opentelemetry*",
            "envoy-types",
        ],
    ),
    ("collector", &["meshlake-query", "datafusion*", "parquet", "object_store", "deltalake*"]),
    ("query", &["meshlake-collector", "tonic*", "deltalake*"]),
];

/// Directories whose files are one protocol or feature each and never import one another.
const SIBLINGS_APART: [&str; 5] = [
    "collector/src/receivers",
    "collector/src/decode",
    "collector/src/normalize",
    "query/src/functions",
    "query/src/api",
];

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut complaints = Vec::new();
    for (name, forbidden) in FORBIDDEN_DEPENDENCIES {
        let manifest = read(&root.join(name).join("Cargo.toml"));
        complaints
            .extend(forbidden_dependencies(&manifest, forbidden).map(|c| format!("{name}/Cargo.toml: {c}")));
    }
    for source in ["src", "schema/src", "store/src", "collector/src", "query/src", "bench/src", "tests"] {
        let directory = root.join(source);
        let list = ["lib.rs", "main.rs"].iter().map(|f| directory.join(f)).find(|f| f.exists());
        let order = list.map(|file| module_order(&read(&file))).unwrap_or_default();
        for file in rust_files(&directory) {
            let inside = file.strip_prefix(&directory).expect("the walk stays below its start");
            let text = read(&file);
            let shown = format!("{source}/{}", inside.display());
            complaints.extend(missing_doc(&text).into_iter().map(|c| format!("{shown}: {c}")));
            complaints.extend(too_long(&text).into_iter().map(|c| format!("{shown}: {c}")));
            complaints
                .extend(upward_imports(&order, &module_of(inside), &text).map(|c| format!("{shown}: {c}")));
            complaints.extend(sibling_imports(&shown, &text).map(|c| format!("{shown}: {c}")));
        }
    }
    assert!(complaints.is_empty(), "the tree is not tidy:\n{}", complaints.join("\n"));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The top-level module that a file belongs to: `decode/wire.rs` is in `decode`.
fn module_of(inside: &Path) -> String {
    let first = inside.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Names in the order of their `mod x;` lines.
fn module_order(list: &str) -> Vec<String> {
    let declarations =
        list.lines().map(|line| line.trim_start_matches("pub(crate) ").trim_start_matches("pub "));
    declarations.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

/// The part of a file before its unit tests; tests may import what they like.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// Text without comments, so that a doc link is no import.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    without_tests(text).lines().map(|line| line.split("//").next().unwrap_or(line))
}

/// What follows each occurrence of `prefix`, up to the end of the name.
fn names_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code_lines(text).flat_map(move |line| {
        line.match_indices(prefix).map(move |(at, _)| {
            let name = &line[at + prefix.len()..];
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            &name[..end]
        })
    })
}

fn missing_doc(text: &str) -> Option<String> {
    (!text.starts_with("//! ")).then(|| "does not open with a `//!` line that says what it does".to_owned())
}

fn too_long(text: &str) -> Option<String> {
    let lines = without_tests(text).lines().count();
    (lines > FILE_LINES_MAX).then(|| format!("{lines} lines without tests, the ceiling is {FILE_LINES_MAX}"))
}

fn upward_imports(order: &[String], module: &str, text: &str) -> impl Iterator<Item = String> {
    let position = |name: &str| order.iter().position(|m| m == name);
    let own = position(module);
    let above = names_after(text, "crate::").filter(|name| match (own, position(name)) {
        (Some(own), Some(other)) => other < own,
        _ => false,
    });
    above
        .map(|name| format!("imports crate::{name}, which is above {module} in the module list"))
        .collect::<Vec<_>>()
        .into_iter()
}

fn sibling_imports(shown: &str, text: &str) -> impl Iterator<Item = String> {
    let apart = SIBLINGS_APART
        .iter()
        .find_map(|directory| Some((directory, shown.strip_prefix(directory)?.strip_prefix('/')?)));
    let complaints = apart.filter(|(_, file)| *file != "mod.rs").map(|(directory, file)| {
        let own = file.split(['/', '.']).next().unwrap_or(file);
        let parent = directory.rsplit('/').next().unwrap_or(directory);
        let top_level = !file.contains('/');
        let absolute = format!("crate::{parent}::");
        let by_path: Vec<_> = names_after(text, &absolute).map(str::to_owned).collect();
        let by_super: Vec<_> =
            names_after(text, "super::").filter(|_| top_level).map(str::to_owned).collect();
        let is_module = |name: &String| name.starts_with(|c: char| c.is_lowercase()) && *name != own;
        let modules = by_path.into_iter().chain(by_super).filter(is_module);
        modules
            .filter(|name| sibling_exists(directory, name))
            .map(|name| format!("imports its sibling {name}"))
            .collect()
    });
    complaints.unwrap_or_else(Vec::new).into_iter()
}

fn sibling_exists(directory: &str, name: &str) -> bool {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    directory.join(name).is_dir() || directory.join(format!("{name}.rs")).exists()
}

fn forbidden_dependencies(manifest: &str, forbidden: &[&str]) -> impl Iterator<Item = String> {
    let dependencies =
        manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]")).unwrap_or("");
    let names = dependencies
        .lines()
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty());
    let hit = names.filter(|name| {
        forbidden
            .iter()
            .any(|rule| rule.strip_suffix('*').map_or(*name == *rule, |start| name.starts_with(start)))
    });
    hit.map(|name| format!("must not depend on {name}")).collect::<Vec<_>>().into_iter()
}

#[test]
fn a_file_without_a_doc_or_too_long_is_found() {
    assert!(missing_doc("use std::fs;\n").is_some());
    assert!(missing_doc("//! Reads.\n").is_none());
    let lines = |n: usize| "x\n".repeat(n);
    assert!(too_long(&lines(FILE_LINES_MAX)).is_none());
    assert!(too_long(&lines(FILE_LINES_MAX + 1)).is_some());
    let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}", lines(FILE_LINES_MAX), lines(500));
    assert!(too_long(&with_tests).is_none(), "tests do not count");
}

#[test]
fn an_upward_import_is_found() {
    let order = module_order("//! List.\npub mod api;\nmod engine;\npub(crate) mod catalog;\n");
    assert_eq!(order, ["api", "engine", "catalog"]);
    let complaints = |module: &str, text: &str| upward_imports(&order, module, text).count();
    assert_eq!(complaints("engine", "use crate::api::Router;"), 1);
    assert_eq!(complaints("engine", "use crate::catalog::Table;"), 0);
    assert_eq!(complaints("engine", "// crate::api is above\n#[cfg(test)]\nmod tests {\nuse crate::api;"), 0);
    assert_eq!(module_of(Path::new("engine/guard.rs")), "engine");
}

#[test]
fn a_sibling_import_is_found() {
    let complaints = |file: &str, text: &str| sibling_imports(file, text).count();
    let file = "collector/src/receivers/otlp_http.rs";
    assert_eq!(complaints(file, "use super::otlp_grpc::Server;"), 1);
    assert_eq!(complaints(file, "use crate::receivers::otlp_grpc;"), 1);
    assert_eq!(complaints(file, "use super::Signal;"), 0);
    assert_eq!(
        complaints("query/src/engine/guard.rs", "use super::session;"),
        0,
        "only the listed directories"
    );
}

#[test]
fn a_forbidden_dependency_is_found() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\narrow.workspace = true\ntokio-stream = \"1\"\n[dev-dependencies]\ntonic = \"1\"\n";
    let found: Vec<_> = forbidden_dependencies(manifest, &["tokio*", "tonic*"]).collect();
    assert_eq!(found, ["must not depend on tokio-stream"], "tests may use what the crate must not");
}
