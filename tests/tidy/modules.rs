//! Lists of modules, and which of them the paths in a file lead to.
//!
//! A path is resolved as the compiler does it, up to the modules of our own crate. Limits: `super` inside an
//! inline module that is no test is taken for the file's own parent; there is no use for one today.

use std::collections::BTreeMap;

use crate::code::{TEST_ATTRIBUTE, is_name_char, name_at_start, without_tests};

/// A module by its path below the crate's root, which is empty.
pub type ModulePath = Vec<String>;

/// The children of each module of one crate, in the order of its list.
pub type Lists = BTreeMap<ModulePath, Vec<Child>>;

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub name: String,
    pub is_test: bool,
    /// What the list's own file uses of it: a sibling that takes these from the parent takes them from here.
    brings: Vec<String>,
}

/// The modules that a file declares, in order.
pub fn children(code: &str) -> Vec<Child> {
    let mut children = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let declared =
            line.split_once("mod ").filter(|(before, _)| before.is_empty() || before.starts_with("pub"));
        if let Some(name) = declared.and_then(|(_, rest)| rest.strip_suffix(';')) {
            children.push(Child { name: name.to_owned(), is_test, brings: Vec::new() });
        }
        is_test = line == TEST_ATTRIBUTE || (is_test && line.starts_with("#["));
    }
    for (at, keyword) in code.match_indices("use ") {
        let mut used = Vec::new();
        read_path(code, at + keyword.len(), &[], &mut used);
        for path in used {
            let child = children.iter_mut().find(|child| path.first() == Some(&child.name));
            child.into_iter().for_each(|child| child.brings.extend(path.last().cloned()));
        }
    }
    children
}

/// The module that a file is, by its path below the directory of `lib.rs` or `main.rs`.
pub fn module_of(file: &str) -> ModulePath {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    let is_list = |name: &String| ["mod", "lib", "main"].contains(&name.as_str());
    module.pop_if(|name| is_list(name));
    module
}

/// Whether a module is compiled for tests alone, because it or one above it is declared so.
pub fn is_test(module: &[String], lists: &Lists) -> bool {
    (0..module.len()).any(|depth| {
        let list = lists.get(&module[..depth]);
        list.is_some_and(|list| list.iter().any(|child| child.is_test && child.name == module[depth]))
    })
}

/// Where a path leaves the way to its own module: the parent of both, the own side and the other one.
#[derive(Debug, PartialEq, Eq)]
pub struct Fork<'a> {
    pub parent: &'a [String],
    pub own: &'a str,
    pub other: String,
}

/// The forks of all paths of a file that lead to another module of the crate; test modules are not looked at.
pub fn forks<'a>(module: &'a [String], code: &str, lists: &Lists) -> Vec<Fork<'a>> {
    let mut forks = Vec::new();
    for path in paths(&without_tests(code)) {
        let target = resolve(module, path);
        let shared = module.iter().zip(&target).take_while(|(own, other)| own == other).count();
        let (Some(own), Some(other)) = (module.get(shared), target.get(shared)) else { continue };
        let parent = &module[..shared];
        let list = lists.get(parent).map(Vec::as_slice).unwrap_or_default();
        let leads_to = |child: &&Child| child.name == *other || child.brings.contains(other);
        let Some(other) = list.iter().find(leads_to).map(|child| child.name.clone()) else { continue };
        let fork = Fork { parent, own, other };
        if fork.other != *own && list.iter().any(|child| child.name == *own) && !forks.contains(&fork) {
            forks.push(fork);
        }
    }
    forks
}

fn resolve(module: &[String], path: Vec<String>) -> ModulePath {
    let mut target = module.to_vec();
    for (at, name) in path.into_iter().enumerate() {
        match name.as_str() {
            "crate" if at == 0 => target.clear(),
            "self" => {}
            "super" => drop(target.pop()),
            _ => target.push(name),
        }
    }
    target
}

/// All paths that start with `crate`, `super` or `self`; each name of a group in braces makes one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut end = 0;
    for (at, _) in code.match_indices("::") {
        let head = code[..at].trim_end();
        let start = head.rfind(|c| !is_name_char(c)).map_or(0, |before| before + 1);
        let is_root = ["crate", "super", "self"].contains(&&head[start..]);
        // What was read as part of a path, as the second `super` of `super::super::a`, starts none.
        if is_root && start >= end {
            end = read_path(code, start, &[], &mut found);
        }
    }
    found
}

/// Reads one path from `at` on, behind `prefix`; gives its end.
fn read_path(code: &str, mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        at = skip_space(code, at);
        if code[at..].starts_with('{') && path.len() > prefix.len() {
            return read_group(code, at + 1, &path, found);
        }
        let name = name_at_start(&code[at..]);
        at += name.len();
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        let next = skip_space(code, at);
        if name.is_empty() || !code[next..].starts_with("::") {
            found.push(path);
            return at;
        }
        at = next + 2;
    }
}

fn read_group(code: &str, mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    loop {
        at = skip_space(code, read_path(code, at, prefix, found));
        // What may stand here is `as another_name`, or the star of a glob.
        let Some(end) = code[at..].find([',', '}']).map(|offset| at + offset) else { return code.len() };
        at = skip_space(code, end + 1);
        if code[end..].starts_with('}') {
            return end + 1;
        }
        if code[at..].starts_with('}') {
            return at + 1;
        }
    }
}

fn skip_space(code: &str, at: usize) -> usize {
    code.len() - code[at..].trim_start().len()
}

/// A list of these modules, for tests.
pub fn list(names: &str) -> Vec<Child> {
    names.split_whitespace().flat_map(|name| children(&format!("mod {name};"))).collect()
}

#[test]
fn a_list_is_read_in_order() {
    let code = "pub mod api;\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests;\npub(crate) mod engine;\nmod inline { }\n\
                use a::mod_b;\npub use engine::{guard::Guard, Plan as Other};\n";
    let children = children(code);
    let found: Vec<_> = children.iter().map(|c| (c.name.as_str(), c.is_test, c.brings.as_slice())).collect();
    let brings = ["Guard".to_owned(), "Plan".to_owned()];
    assert_eq!(found, [("api", false, &[][..]), ("tests", true, &[]), ("engine", false, &brings)]);
    let lists = Lists::from([(Vec::new(), children)]);
    assert!(is_test(&module_of("tests/deep/case.rs"), &lists));
    assert!(!is_test(&module_of("engine/tests.rs"), &lists), "only what its list says");
}

#[test]
fn a_file_is_a_module() {
    let check = |file: &str, want: &[&str]| assert_eq!(module_of(file), want, "{file}");
    check("lib.rs", &[]);
    check("a/mod.rs", &["a"]);
    check("a/b.rs", &["a", "b"]);
}

#[test]
fn paths_are_read_in_every_form() {
    let check = |code: &str, want: &[&str]| {
        let found: Vec<String> = paths(code).iter().map(|path| path.join("::")).collect();
        assert_eq!(found, want, "{code}");
    };
    check("use crate::a::B;", &["crate::a::B"]);
    check("let x = super::super::a::f::<u8>(1);", &["super::super::a::f"]);
    check(
        "use crate::{a::{B, C as D,}, e::*, f::{self}};",
        &["crate::a::B", "crate::a::C", "crate::e", "crate::f::self"],
    );
    check("if x == crate::LIMIT { y }", &["crate::LIMIT"]);
    check("pub(crate) use std::fs; pub(in crate::a) fn f() { my_crate::b() }", &["crate::a"]);
}

#[test]
fn a_fork_is_where_two_modules_part() {
    let inner = children("mod c;\nmod d;\npub use d::Known;\nuse c::Own;");
    let lists = Lists::from([(Vec::new(), list("a b")), (vec!["a".to_owned()], inner)]);
    let check = |module: &[&str], code: &str, want: &[(&[&str], &str, &str)]| {
        let module: Vec<String> = module.iter().map(|name| (*name).to_owned()).collect();
        let forks = forks(&module, code, &lists);
        let found: Vec<_> = forks.iter().map(|f| (f.parent.join("::"), f.own, f.other.as_str())).collect();
        let want: Vec<_> =
            want.iter().map(|(parent, own, other)| (parent.join("::"), *own, *other)).collect();
        assert_eq!(found, want, "{code}");
    };
    check(&["a", "c"], "use super::d::X; use super::d::Y;", &[(&["a"], "c", "d")]);
    check(&["a", "c"], "use crate::b::X;", &[(&[], "a", "b")]);
    check(&["a", "c"], "use super::super::b::X;", &[(&[], "a", "b")]);
    check(&["a", "c", "deep"], "use crate::a::{c::X, d::Y};", &[(&["a"], "c", "d")]);
    check(&["a"], "use self::c::X;", &[]);
    check(&["a", "c"], "use super::{Item, Own};", &[]);
    check(&["a", "c"], "use super::Known;", &[(&["a"], "c", "d")]);
    check(&["a", "c"], "#[cfg(test)]\nmod tests { use super::super::d::X; }", &[]);
}
