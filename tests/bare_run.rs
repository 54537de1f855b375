//! A bare `cargo run` in the root, as README tells a new user to type, starts meshlake.
//!
//! Cargo decides that from the manifests alone, so they are asked, and nothing is built for it: a second
//! binary among the default members makes the command ambiguous unless exactly one package names its
//! `default-run` (which `cargo run` looks for in all of them).

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn a_bare_cargo_run_starts_meshlake() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo, which runs this test, can be started");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    assert_eq!(binary_of_bare_run(&metadata), Ok("meshlake".to_owned()));
}

/// The binary that `cargo run` without a name would start, by the rules of Cargo, or the candidates.
fn binary_of_bare_run(metadata: &Value) -> Result<String, Vec<String>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let defaults = list(&metadata["workspace_default_members"]);
    let packages: Vec<Value> =
        list(&metadata["packages"]).into_iter().filter(|package| defaults.contains(&package["id"])).collect();
    let named = packages.iter().filter(|package| package["default_run"].is_string());
    let named: Vec<String> = named.map(|package| text(&package["default_run"])).collect();
    let targets = packages.iter().flat_map(|package| list(&package["targets"]));
    let binaries = targets.filter(|target| list(&target["kind"]).contains(&json!("bin")));
    let binaries: Vec<String> = binaries.map(|target| text(&target["name"])).collect();
    match (named.as_slice(), binaries.as_slice()) {
        ([one], _) | (_, [one]) => Ok(one.clone()),
        _ => Err(binaries),
    }
}

#[test]
fn two_binaries_without_one_default_are_ambiguous() {
    let package = |name: &str, default_run: Value| {
        let target = json!({ "kind": ["bin"], "name": name });
        json!({ "id": name, "default_run": default_run, "targets": [target] })
    };
    let metadata = |packages: &[Value], defaults: &[&str]| json!({ "packages": packages, "workspace_default_members": defaults });
    let both = ["a", "b"];
    let candidates = Err(both.map(str::to_owned).to_vec());
    let without = [package("a", Value::Null), package("b", Value::Null)];
    assert_eq!(binary_of_bare_run(&metadata(&without, &both)), candidates);
    assert_eq!(
        binary_of_bare_run(&metadata(&without, &["b"])),
        Ok("b".to_owned()),
        "a member that is no default"
    );
    let one = [package("a", json!("a")), package("b", Value::Null)];
    assert_eq!(binary_of_bare_run(&metadata(&one, &both)), Ok("a".to_owned()));
    let two = [package("a", json!("a")), package("b", json!("b"))];
    assert_eq!(binary_of_bare_run(&metadata(&two, &both)), candidates, "two defaults are none");
}
