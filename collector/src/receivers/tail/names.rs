//! Who logs into a file, by the file's path.
//!
//! A configured expression names its groups after what they are; paths that Kubernetes makes are known without one:
//! ```text
//! /var/log/pods/<namespace>_<pod>_<uid>/<container>/0.log
//! /var/log/containers/<pod>_<namespace>_<container>-<id>.log
//! ```
//! What workload a pod is of is read from its name, which Kubernetes makes of the workload's: `web-5d4b9c7f6-x7z2q` is of
//! `web`. A container that is no sidecar of a mesh logs for itself, so a pod's workload is who logs, whatever the container.
//!
//! Source: Kubernetes, `pkg/kubelet/kuberuntime/helpers.go` (`BuildPodLogsDirectory`) and `legacy.go` (`logSymlink`);
//! `apimachinery/pkg/util/rand/rand.go` (the letters of generated names).

use regex::{Captures, Regex};

use crate::access_log::origin::LineOrigin;

/// The groups that an expression may have.
pub(crate) const GROUPS: [&str; 6] = ["service", "namespace", "workload", "version", "instance", "cluster"];

/// What Kubernetes generates parts of names of: no vowels, so that no words come out, and no 0, 1 and 3.
const GENERATED: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Takes names out of paths.
#[derive(Debug, Clone)]
pub(super) struct PathNames {
    expressions: Vec<Regex>,
}

impl PathNames {
    /// By `expression`; by the paths of Kubernetes when it is empty.
    ///
    /// # Errors
    /// It is no expression.
    pub(super) fn new(expression: &str) -> Result<PathNames, regex::Error> {
        let kubernetes = [
            r"/pods/(?<namespace>[^_/]+)_(?<instance>[^_/]+)_[^_/]+/[^/]+/[^/]+$",
            r"/containers/(?<instance>[^_/]+)_(?<namespace>[^_/]+)_[^/]+-[0-9a-f]{64}\.log$",
        ];
        let expressions = if expression.is_empty() { kubernetes.to_vec() } else { vec![expression] };
        Ok(PathNames { expressions: expressions.into_iter().map(Regex::new).collect::<Result<_, _>>()? })
    }

    /// Says of `origin` what `path` tells and nobody has said.
    pub(super) fn name(&self, path: &str, origin: &mut LineOrigin) {
        let Some(found) = self.expressions.iter().find_map(|expression| expression.captures(path)) else {
            return;
        };
        let LineOrigin { service, namespace, workload, version, instance, cluster, .. } = origin;
        let texts = [service, namespace, workload, version, instance, cluster];
        for (group, text) in GROUPS.into_iter().zip(texts) {
            fill(text, &found, group);
        }
        if origin.workload.is_empty() {
            origin.workload = workload_of(&origin.instance).to_owned();
        }
    }
}

fn fill(text: &mut String, found: &Captures<'_>, group: &str) {
    if let (true, Some(named)) = (text.is_empty(), found.name(group)) {
        named.as_str().clone_into(text);
    }
}

/// The workload whose pod is called `pod`; empty where the name was not made of one.
fn workload_of(pod: &str) -> &str {
    let Some((workload, last)) = pod.rsplit_once('-') else { return "" };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return workload;
    }
    if !is_generated(last, 5..=5) {
        return "";
    }
    // Pods of a deployment have the name of their replica set, which ends with a hash.
    match workload.rsplit_once('-') {
        Some((deployment, hash)) if is_generated(hash, 8..=10) => deployment,
        _ => workload,
    }
}

fn is_generated(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| GENERATED.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, path: &str, [service, namespace, workload, instance]: [&str; 4]) {
        let mut origin = LineOrigin::default();
        PathNames::new(expression).expect("an expression").name(path, &mut origin);
        let named = [&origin.service, &origin.namespace, &origin.workload, &origin.instance];
        assert_eq!(named, [service, namespace, workload, instance], "{path}");
    }

    #[test]
    fn paths_of_kubernetes_are_known() {
        let uid = "0c1ad7e6-5b4e-4f4e-8a1d-0d6a1c2b3d4e";
        let pod = "web-5d4b9c7f6-x7z2q";
        check("", &format!("/var/log/pods/shop_{pod}_{uid}/nginx/0.log"), ["", "shop", "web", pod]);
        check(
            "",
            &format!("/var/log/pods/shop_{pod}_{uid}/istio-proxy/1.log.20261123-070707.gz"),
            ["", "shop", "web", pod],
        );
        let id = "0123456789abcdef".repeat(4);
        check("", &format!("/var/log/containers/db-0_shop_db-{id}.log"), ["", "shop", "db", "db-0"]);
        check("", "/var/log/nginx/access.log", ["", "", "", ""]);
    }

    #[test]
    fn an_expression_names_its_groups() {
        check(r"/logs/(?<namespace>\w+)/(?<service>\w+)\.log", "/logs/shop/web.log", ["web", "shop", "", ""]);
        check(
            r"(?<instance>[\w-]+)\.log",
            "/logs/web-5d4b9c7f6-x7z2q.log",
            ["", "", "web", "web-5d4b9c7f6-x7z2q"],
        );
        check(r"/other/", "/logs/shop/web.log", ["", "", "", ""]);
        assert!(PathNames::new("(").is_err());
    }

    #[test]
    fn what_was_said_already_stays() {
        let mut origin = LineOrigin { service: "said".to_owned(), ..LineOrigin::default() };
        PathNames::new("(?<service>b)(?<workload>c)").expect("an expression").name("abc", &mut origin);
        assert_eq!((&*origin.service, &*origin.workload), ("said", "c"));
    }

    #[test]
    fn a_workload_is_read_from_the_names_of_its_pods() {
        let cases = [
            ("web-5d4b9c7f6-x7z2q", "web"),
            ("web-api-7c9d8b5f4c-2xk9p", "web-api"),
            ("node-exporter-x7z2q", "node-exporter"),
            ("kube-proxy-9b2xk", "kube-proxy"),
            ("db-0", "db"),
            ("db-12", "db"),
            ("web", ""),
            ("web-api", ""),
            ("web-front", ""),
            ("", ""),
        ];
        for (pod, want) in cases {
            assert_eq!(workload_of(pod), want, "{pod}");
        }
    }
}
