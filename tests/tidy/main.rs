//! House rules that the compiler does not check: which crate may use which, imports that point only down the
//! lists of modules, protocols and faces that do not know one another, a `//!` on every file, how long files and
//! functions are, one style of modules.
//!
//! Each rule is a function from text to complaints, so each is tested with a text that breaks it. The rules and
//! their reasons are in `docs/architecture.md`.

mod crates;
mod imports;
mod modules;
mod size;
mod layout;
mod code;

use std::collections::BTreeMap;
use std::path::Path;

use modules::Lists;

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let complaints: Vec<String> = untidy_crates(root).into_iter().chain(untidy_files(root)).collect();
    assert!(complaints.is_empty(), "the tree is not tidy:\n{}", complaints.join("\n"));
}

/// A rule for a crate that is not there yet holds from the day its directory is.
fn untidy_crates(root: &Path) -> Vec<String> {
    let workspace = layout::read(&root.join("Cargo.toml"));
    let mut complaints = Vec::new();
    for rule in crates::RULES.iter().filter(|rule| root.join(rule.directory).join("Cargo.toml").exists()) {
        let file = format!("{}/Cargo.toml", rule.directory);
        let found = rule.complaints(&layout::read(&root.join(&file)), &workspace);
        complaints.extend(found.iter().map(|complaint| format!("{file}: {complaint}")));
    }
    complaints
}

fn untidy_files(root: &Path) -> Vec<String> {
    let files = layout::rust_files(root);
    let texts: BTreeMap<&str, String> =
        files.iter().map(|file| (file.as_str(), layout::read(&root.join(file)))).collect();
    let mut crates: BTreeMap<&str, Lists> = BTreeMap::new();
    for (file, text) in &texts {
        let Some((above, inside)) = layout::crate_of(file, &files) else { continue };
        let children = modules::children(&code::without_tests(&code::code_of(text)));
        crates.entry(above).or_default().entry(modules::module_of(inside)).or_default().extend(children);
    }
    let mut complaints = Vec::new();
    for (file, text) in &texts {
        let mut found: Vec<String> = layout::missing_doc(text).into_iter().collect();
        found.extend(layout::beside_its_folder(file, &files));
        found.extend(size::too_long(text));
        found.extend(size::long_functions(text));
        if let Some((above, inside)) = layout::crate_of(file, &files) {
            let (module, lists) = (modules::module_of(inside), &crates[above]);
            if !modules::is_test(&module, lists) {
                let code = code::code_of(text);
                found.extend(imports::upward_imports(&module, &code, lists));
                found.extend(imports::sibling_imports(above, &module, &code, lists));
            }
        }
        complaints.extend(found.iter().map(|complaint| format!("{file}: {complaint}")));
    }
    complaints
}
