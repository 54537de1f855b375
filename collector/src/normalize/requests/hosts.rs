//! Names from hosts, authorities and SPIFFE identities.
//!
//! Only names that Kubernetes itself would resolve are split into service and namespace; guessing at others
//! (`a.b` may be service and namespace or a public host) would make two nodes of one or one of two.

use crate::address::is_ip;

/// A service's name and its namespace; the namespace is empty when the host does not tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub service: &'a str,
    pub namespace: &'a str,
}

/// Splits `<service>.<namespace>.svc[.<domain>]`; any other host is a service's name as a whole.
/// A pod's own host behind a headless service (`db-0.db.ns.svc...`) counts as the service.
pub(super) fn service_of(host: &str) -> Named<'_> {
    kubernetes_service(host).unwrap_or(Named { service: host, namespace: "" })
}

/// What stands between the namespace of a service and the domain of its cluster.
const SERVICES: &[u8] = b".svc.";

fn kubernetes_service(host: &str) -> Option<Named<'_>> {
    // A search for text prepares itself for a long haystack, at several times the cost of looking at the dots of a host.
    let mut dots = memchr::memchr_iter(b'.', host.as_bytes());
    let domain = dots.find(|at| host.as_bytes()[*at..].starts_with(SERVICES));
    let name = match domain {
        Some(at) => &host[..at],
        None => host.strip_suffix(".svc")?,
    };
    let (pod_and_service, namespace) = name.rsplit_once('.')?;
    let service = pod_and_service.rsplit('.').next().unwrap_or(pod_and_service);
    (!service.is_empty() && !namespace.is_empty()).then_some(Named { service, namespace })
}

/// Like [`service_of`], for a host that was asked for by an application in `namespace`, which is empty
/// outside Kubernetes: a bare name, or one with the caller's own namespace, means a service there (the
/// search path of a pod's `resolv.conf` begins with it).
pub(super) fn service_asked_for<'a>(host: &'a str, namespace: &'a str) -> Named<'a> {
    if namespace.is_empty() || is_ip(host) {
        return service_of(host);
    }
    match host.split_once('.') {
        None => Named { service: host, namespace },
        Some((service, rest)) if rest == namespace => Named { service, namespace },
        Some(_) => service_of(host),
    }
}

/// Whether Kubernetes' own domain is in the host.
pub(super) fn is_kubernetes(host: &str) -> bool {
    kubernetes_service(host).is_some()
}

/// The host of an authority (`host`, `host:port`, `[v6]:port`, a bare v6 address).
pub(super) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
}

/// Namespace and service account of `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, or of Linkerd's
/// `<service account>.<namespace>.serviceaccount.identity.<control plane>.<trust domain>`.
/// Sources: Istio `pkg/spiffe/spiffe.go`; Linkerd, "Identity".
pub(super) fn spiffe(principal: &str) -> Option<(&str, &str)> {
    if principal.is_empty() {
        return None;
    }
    if let Some((name, _)) = principal.split_once(".serviceaccount.identity.") {
        let (account, namespace) = name.split_once('.')?;
        return (!account.is_empty() && !namespace.is_empty()).then_some((namespace, account));
    }
    let path = principal.strip_prefix("spiffe://")?.split_once("/ns/")?.1;
    let (namespace, account) = path.split_once("/sa/")?;
    (!namespace.is_empty() && !account.is_empty()).then_some((namespace, account))
}

/// The workload of a pod by the names that Kubernetes' controllers give: a Deployment's pod is
/// `<name>-<template hash>-<5 letters>`, a StatefulSet's is `<name>-<number>`; any other name is whole.
pub(super) fn workload_of_pod(pod: &str) -> &str {
    // The letters of apimachinery's `SafeEncodeString`: no vowels, none that look alike.
    let generated = |part: &str| part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte));
    let Some((rest, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return rest;
    }
    match rest.rsplit_once('-') {
        Some((name, hash)) if last.len() == 5 && generated(last) && hash.len() >= 6 && generated(hash) => {
            name
        }
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_hosts_are_split_and_others_kept() {
        let cases = [
            ("reviews.default.svc.cluster.local", "reviews", "default"),
            ("reviews.default.svc", "reviews", "default"),
            ("reviews.default.svc.corp.example", "reviews", "default"),
            ("db-0.db.prod.svc.cluster.local", "db", "prod"),
            ("api.payments.example", "api.payments.example", ""),
            ("reviews.default", "reviews.default", ""),
            ("a.svc", "a.svc", ""),
            ("10.0.0.1", "10.0.0.1", ""),
        ];
        for (host, service, namespace) in cases {
            assert_eq!(service_of(host), Named { service, namespace }, "{host}");
        }
    }

    #[test]
    fn short_hosts_mean_the_callers_namespace() {
        let cases = [
            ("reviews", "default", "reviews", "default"),
            ("reviews.default", "default", "reviews", "default"),
            ("reviews.other", "default", "reviews.other", ""),
            ("reviews", "", "reviews", ""),
            ("127.0.0.1", "default", "127.0.0.1", ""),
            ("::1", "default", "::1", ""),
        ];
        for (host, own, service, namespace) in cases {
            assert_eq!(service_asked_for(host, own), Named { service, namespace }, "{host} in {own}");
        }
    }

    #[test]
    fn authorities_lose_their_port() {
        let cases = [
            ("reviews:9080", "reviews"),
            ("reviews", "reviews"),
            ("[::1]:80", "::1"),
            ("::1", "::1"),
            ("", ""),
            ("127.0.0.1:10000", "127.0.0.1"),
        ];
        for (authority, want) in cases {
            assert_eq!(host_of(authority), want, "{authority}");
        }
    }

    #[test]
    fn spiffe_identities_name_namespace_and_account() {
        assert_eq!(spiffe("spiffe://cluster.local/ns/default/sa/reviews"), Some(("default", "reviews")));
        let linkerd = "traffic.booksapp.serviceaccount.identity.linkerd.cluster.local";
        assert_eq!(spiffe(linkerd), Some(("booksapp", "traffic")));
        for other in ["spiffe://cluster.local/x", "cluster.local/ns/a/sa/b", "spiffe://c/ns//sa/b", ""] {
            assert_eq!(spiffe(other), None, "{other}");
        }
    }

    #[test]
    fn pods_lose_only_what_controllers_add() {
        let cases = [
            ("productpage-v1-6b746f74dc-9rlmh", "productpage-v1"),
            ("db-0", "db"),
            ("productpage-v1", "productpage-v1"),
            ("my-service-name", "my-service-name"),
            ("single", "single"),
        ];
        for (pod, want) in cases {
            assert_eq!(workload_of_pod(pod), want, "{pod}");
        }
    }
}
