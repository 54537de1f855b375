//! How the tree is laid out: where each crate's files are, what opens them, and one style of modules.

use std::fs;
use std::path::{Path, PathBuf};

/// What a build or a server leaves behind; names with a dot in front are left out as well.
const NOT_OURS: [&str; 2] = ["target", "meshlake-data"];

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// All Rust files below `root`, as paths from there, in order.
pub fn rust_files(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(root.join(&directory)).expect("a directory of the tree").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = directory.join(&name);
            if entry.path().is_dir() {
                let is_ours = !name.starts_with('.') && !NOT_OURS.contains(&name.as_str());
                pending.extend(is_ours.then_some(path));
            } else if name.ends_with(".rs") {
                files.push(path.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}

/// Splits a file's path into the directory of its crate's root and the path below it.
pub fn crate_of<'a>(file: &'a str, files: &[String]) -> Option<(&'a str, &'a str)> {
    let is_root = |directory: &str| {
        ["lib.rs", "main.rs"].iter().any(|name| files.contains(&format!("{directory}/{name}")))
    };
    let mut splits = file.rmatch_indices('/').map(|(at, _)| (&file[..at], &file[at + 1..]));
    splits.find(|(directory, _)| is_root(directory))
}

pub fn missing_doc(text: &str) -> Option<String> {
    (!text.starts_with("//! ")).then(|| "does not open with a `//!` line that says what it does".to_owned())
}

/// A module with children is `x/mod.rs`: with `x.rs` beside `x/` half of it is in another place.
pub fn beside_its_folder(file: &str, files: &[String]) -> Option<String> {
    let folder = format!("{}/", file.strip_suffix(".rs")?);
    let has_folder = files.iter().any(|other| other.starts_with(&folder));
    has_folder.then(|| format!("stands beside its folder, move it to {folder}mod.rs"))
}

fn paths(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_file_without_a_doc_is_found() {
    assert!(missing_doc("use std::fs;\n").is_some());
    assert!(missing_doc("//!\n").is_some());
    assert!(missing_doc("//! Reads.\n").is_none());
}

#[test]
fn a_module_beside_its_folder_is_found() {
    let files = paths(&["src/a.rs", "src/a/b.rs", "src/ab.rs", "src/c/mod.rs"]);
    let found: Vec<_> = files.iter().filter_map(|file| beside_its_folder(file, &files)).collect();
    assert_eq!(found, ["stands beside its folder, move it to src/a/mod.rs"]);
}

#[test]
fn a_file_belongs_to_the_nearest_root() {
    let files =
        paths(&["q/src/lib.rs", "q/src/a/b.rs", "q/faces/src/lib.rs", "q/faces/src/ui/mod.rs", "fuzz/x.rs"]);
    assert_eq!(crate_of("q/src/a/b.rs", &files), Some(("q/src", "a/b.rs")));
    assert_eq!(crate_of("q/faces/src/ui/mod.rs", &files), Some(("q/faces/src", "ui/mod.rs")));
    assert_eq!(crate_of("fuzz/x.rs", &files), None);
}
