//! Which way imports point: down the list of modules, and never from one protocol or face to another.

use crate::modules::{Fork, Lists, forks, list, module_of};

/// Directories whose modules are one protocol, feature or face each.
const SIBLINGS_APART: [&str; 5] = ["receivers", "decode", "normalize", "functions", "faces"];

/// What several receivers need and is no receiver itself: how records that nobody acknowledges are taken, and what is
/// posted over HTTP.
const FOR_ALL_SIBLINGS: [&str; 2] = ["unacknowledged", "posted"];

/// What several faces need, has a folder, and is no face itself: gRPC, and whole spans as OTLP's messages.
const FOR_ALL_FACES: [&str; 2] = ["grpc", "otlp"];

pub fn upward_imports(module: &[String], code: &str, lists: &Lists) -> Vec<String> {
    let forks = forks(module, code, lists).into_iter();
    let upward = forks.filter(|fork| {
        let position = |name: &str| lists[fork.parent].iter().position(|child| child.name == name);
        position(&fork.other) < position(fork.own)
    });
    let list = |fork: &Fork<'_>| {
        if fork.parent.is_empty() { "the crate".to_owned() } else { fork.parent.join("::") }
    };
    upward
        .map(|fork| {
            format!("imports {}, which is above {} in the list of {}", fork.other, fork.own, list(&fork))
        })
        .collect()
}

/// `above` is the directory that the crate's root stands in, for a crate that is as a whole a list of siblings: its
/// folders are, and its files what they share.
pub fn sibling_imports(above: &str, module: &[String], code: &str, lists: &Lists) -> Vec<String> {
    let forks = forks(module, code, lists).into_iter();
    let root = above.strip_suffix("/src").and_then(|path| path.rsplit('/').next());
    let apart = forks.filter(|fork| match (fork.parent.last(), root) {
        (Some(parent), _) => {
            SIBLINGS_APART.contains(&parent.as_str()) && !FOR_ALL_SIBLINGS.contains(&fork.other.as_str())
        }
        (None, Some(root)) => {
            let is_folder =
                |name: &str| lists.get(&vec![name.to_owned()]).is_some_and(|list| !list.is_empty());
            SIBLINGS_APART.contains(&root)
                && is_folder(&fork.other)
                && !FOR_ALL_FACES.contains(&fork.other.as_str())
        }
        (None, None) => false,
    });
    apart.map(|fork| format!("imports {}, a sibling of {}", fork.other, fork.own)).collect()
}

#[test]
fn an_upward_import_is_found_in_every_list() {
    let lists =
        Lists::from([(Vec::new(), list("api engine")), (vec!["engine".to_owned()], list("guard plan"))]);
    let check = |file: &str, code: &str, want: &[&str]| {
        assert_eq!(upward_imports(&module_of(file), code, &lists), want, "{file}: {code}");
    };
    check(
        "engine/mod.rs",
        "use crate::api::Router;",
        &["imports api, which is above engine in the list of the crate"],
    );
    check(
        "engine/plan.rs",
        "use super::guard::Guard;",
        &["imports guard, which is above plan in the list of engine"],
    );
    check("engine/guard.rs", "use super::plan::Plan;", &[]);
    check("api.rs", "use crate::engine::guard::Guard;", &[]);
    check("engine/plan.rs", "#[cfg(test)]\nmod tests { use crate::api::Router; }", &[]);
}

#[test]
fn a_sibling_import_is_found() {
    let lists = Lists::from([
        (Vec::new(), list("receivers native ui tenant grpc")),
        (vec!["receivers".to_owned()], list("otlp syslog unacknowledged")),
        (vec!["ui".to_owned()], list("page")),
        (vec!["tenant".to_owned()], list("")),
        (vec!["grpc".to_owned()], list("status")),
    ]);
    let check = |above: &str, file: &str, code: &str, want: &[&str]| {
        assert_eq!(sibling_imports(above, &module_of(file), code, &lists), want, "{file}: {code}");
    };
    let syslog = ["imports syslog, a sibling of otlp"];
    check("collector/src", "receivers/otlp.rs", "use super::syslog::Frame;", &syslog);
    check("collector/src", "receivers/otlp/http.rs", "use crate::receivers::syslog;", &syslog);
    check("collector/src", "receivers/syslog.rs", "use super::unacknowledged::Intake;", &[]);
    check("collector/src", "receivers/otlp.rs", "use super::Route;", &[]);
    check("query/faces/src", "native/mod.rs", "use crate::ui::page;", &["imports ui, a sibling of native"]);
    check("query/faces/src", "native/mod.rs", "use crate::tenant::Tenant;", &[]);
    check("query/faces/src", "native/mod.rs", "use crate::grpc::status;", &[]);
    check("query/src", "native/mod.rs", "use crate::ui::page;", &[]);
}
