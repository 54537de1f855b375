//! Facts of requests written by hand, and what must be concluded from them.

use std::borrow::Cow;
use std::sync::Arc;

use super::*;
use crate::address::Address;
use crate::normalize::requests::facts::LogType;
use crate::normalize::requests::proxy::WorkloadFacts;

const REVIEWS: &str = "outbound|9080|v1|reviews.default.svc.cluster.local";

fn proxy(kind: &str, pod: &str, namespace: &str) -> ProxyIdentity {
    let id = format!("{kind}~10.0.0.1~{pod}-6b746f74dc-9rlmh.{namespace}~{namespace}.svc.cluster.local");
    ProxyIdentity::new(&id, &format!("{pod}.{namespace}"), WorkloadFacts::default())
}

fn sidecar() -> ProxyIdentity {
    proxy("sidecar", "productpage", "default")
}

fn http(cluster: &'static str) -> RequestFacts<'static> {
    RequestFacts { upstream_cluster: cluster.into(), response_code: Some(200), ..RequestFacts::default() }
}

fn address(host: &'static str) -> Address<'static> {
    Address { host: host.into(), port: Some(80) }
}

fn peer(
    service: &'static str,
    namespace: &'static str,
    version: &'static str,
) -> Arc<WorkloadFacts<'static>> {
    Arc::new(WorkloadFacts {
        workload: Cow::Owned(format!("{service}-{version}")),
        instance: Cow::Owned(format!("{service}-{version}-pod")),
        canonical_name: service.into(),
        canonical_revision: version.into(),
        namespace: namespace.into(),
        cluster: "c1".into(),
        ..WorkloadFacts::default()
    })
}

/// Observer, destination (service, namespace, version), and what named the far end.
fn destination(seen: &RequestFacts<'_>, proxy: &ProxyIdentity) -> (Observer, String, Option<IdentitySource>) {
    let verdict = judge(seen, proxy);
    let to = verdict.destination;
    (verdict.observer, format!("{}/{}/{}", to.service, to.namespace, to.version), verdict.identity_source)
}

#[test]
fn an_outbound_row_is_the_callers_and_names_the_callee_by_cluster() {
    let proxy = sidecar();
    let seen = http(REVIEWS);
    let want = (Observer::Client, "reviews/default/v1".to_owned(), Some(IdentitySource::ClusterName));
    assert_eq!(destination(&seen, &proxy), want);
    let source = judge(&seen, &proxy).source;
    assert_eq!((source.service, source.namespace, source.address), ("productpage", "default", "10.0.0.1"));
}

#[test]
fn metadata_names_who_answered_and_the_host_which_service_was_meant() {
    let upstream_peer = Some(peer("reviews-app", "default", "v3"));
    let seen = RequestFacts { upstream_peer, ..http("outbound|9080||reviews.default.svc.cluster.local") };
    let proxy = sidecar();
    let want = (Observer::Client, "reviews/default/v3".to_owned(), Some(IdentitySource::PeerMetadata));
    assert_eq!(destination(&seen, &proxy), want);
    let to = judge(&seen, &proxy).destination;
    assert_eq!((to.workload, to.instance, to.cluster), ("reviews-app-v3", "reviews-app-v3-pod", "c1"));
}

#[test]
fn an_inbound_row_is_the_callees() {
    let proxy = proxy("sidecar", "reviews", "default");
    let seen = RequestFacts {
        downstream_peer: Some(peer("productpage", "default", "v1")),
        caller_principal: "spiffe://cluster.local/ns/front/sa/bookinfo-productpage".into(),
        downstream_direct_remote: address("10.0.0.7"),
        ..http("inbound|9080||")
    };
    let verdict = judge(&seen, &proxy);
    assert_eq!(verdict.observer, Observer::Server);
    assert_eq!((verdict.destination.service, verdict.destination.namespace), ("reviews", "default"));
    assert_eq!((verdict.source.service, verdict.source.version), ("productpage", "v1"));
    assert_eq!(verdict.source.namespace, "front", "a certificate outranks a claim");
    assert_eq!(verdict.source.address, "10.0.0.7");
    assert_eq!(verdict.identity_source, Some(IdentitySource::PeerMetadata));
}

#[test]
fn a_caller_without_metadata_is_named_by_certificate_then_by_address() {
    let proxy = proxy("sidecar", "reviews", "default");
    let principal = "spiffe://cluster.local/ns/front/sa/web";
    let mut seen = RequestFacts {
        caller_principal: principal.into(),
        downstream_direct_remote: address("10.0.0.7"),
        ..http("inbound|9080||")
    };
    let verdict = judge(&seen, &proxy);
    assert_eq!((verdict.source.service, verdict.source.namespace), ("web", "front"));
    assert_eq!(
        (verdict.source.principal, verdict.identity_source),
        (principal, Some(IdentitySource::Certificate))
    );
    seen.caller_principal = Cow::default();
    let verdict = judge(&seen, &proxy);
    assert_eq!((verdict.source.service, verdict.source.address), ("", "10.0.0.7"));
    assert_eq!(verdict.identity_source, Some(IdentitySource::Address));
}

#[test]
fn the_server_name_tells_an_inbound_row_which_service_was_asked_for() {
    let proxy = proxy("sidecar", "reviews-app", "default");
    let server_name = "outbound_.9080_._.reviews.default.svc.cluster.local";
    let seen = RequestFacts { requested_server_name: server_name.into(), ..http("inbound|9080||") };
    assert_eq!(judge(&seen, &proxy).destination.service, "reviews");
    let old = http("inbound|9080|http|ratings.default.svc.cluster.local");
    assert_eq!(judge(&old, &proxy).destination.service, "ratings");
    assert_eq!(judge(&http("inbound|9080||"), &proxy).destination.service, "reviews-app");
}

#[test]
fn a_gateway_is_the_source_of_what_it_lets_in() {
    let proxy = proxy("router", "istio-ingressgateway", "istio-system");
    let seen = RequestFacts {
        downstream_direct_remote: address("203.0.113.9"),
        ..http("outbound|9080|v2|productpage.default.svc.cluster.local")
    };
    let want = (Observer::Gateway, "productpage/default/v2".to_owned(), Some(IdentitySource::ClusterName));
    assert_eq!(destination(&seen, &proxy), want);
    let source = judge(&seen, &proxy).source;
    assert_eq!((source.service, source.namespace), ("istio-ingressgateway", "istio-system"));
}

#[test]
fn hosts_that_strangers_send_to_a_gateway_name_nobody() {
    let gateway = proxy("router", "gw", "istio-system");
    let seen = RequestFacts { authority: "evil.example".into(), ..http("") };
    assert_eq!(judge(&seen, &gateway).destination, Peer::default());
}

#[test]
fn passthrough_names_the_external_host_by_authority_server_name_or_address() {
    let proxy = sidecar();
    let base = RequestFacts { upstream_host: address("93.184.216.34"), ..http("PassthroughCluster") };
    let by_authority = RequestFacts { authority: "api.payments.example:443".into(), ..base.clone() };
    let want = (Observer::Client, "api.payments.example//".to_owned(), Some(IdentitySource::Authority));
    assert_eq!(destination(&by_authority, &proxy), want);
    let by_name = RequestFacts { requested_server_name: "api.payments.example".into(), ..base.clone() };
    let want = (Observer::Client, "api.payments.example//".to_owned(), Some(IdentitySource::ServerName));
    assert_eq!(destination(&by_name, &proxy), want);
    let want = (Observer::Client, "93.184.216.34//".to_owned(), Some(IdentitySource::Address));
    assert_eq!(destination(&base, &proxy), want);
    assert_eq!(judge(&base, &proxy).destination.address, "93.184.216.34");
}

#[test]
fn what_the_mesh_does_not_allow_keeps_the_name_that_was_asked_for() {
    let seen = RequestFacts {
        authority: "forbidden.example".into(),
        response_code: Some(502),
        ..http("BlackHoleCluster")
    };
    let proxy = sidecar();
    let verdict = judge(&seen, &proxy);
    assert_eq!((verdict.observer, verdict.destination.service), (Observer::Client, "forbidden.example"));
    assert_eq!(verdict.outcome, Outcome::Error);
}

#[test]
fn refused_before_a_cluster_was_chosen_the_authority_names_the_callee() {
    let proxy = sidecar();
    let cases = [
        ("reviews:9080", "reviews/default/"),
        ("reviews.default:9080", "reviews/default/"),
        ("reviews.other.svc.cluster.local", "reviews/other/"),
        ("www.example.com", "www.example.com//"),
        ("127.0.0.1:10000", "//"),
    ];
    for (authority, want) in cases {
        let seen = RequestFacts {
            authority: authority.into(),
            flags: ResponseFlags::from_short_names("UH"),
            response_code: Some(503),
            ..http("")
        };
        let (observer, named, _) = destination(&seen, &proxy);
        assert_eq!((observer, named.as_str()), (Observer::Client, want), "{authority}");
    }
}

#[test]
fn without_a_cluster_addresses_tls_and_peers_tell_the_side() {
    let proxy = sidecar();
    let side = |seen: RequestFacts<'_>| judge(&seen, &proxy).observer;
    let none = || http("");
    assert_eq!(side(none()), Observer::Client);
    assert_eq!(side(RequestFacts { downstream_local: address("10.0.0.1"), ..none() }), Observer::Server);
    assert_eq!(
        side(RequestFacts { downstream_direct_remote: address("10.0.0.1"), ..none() }),
        Observer::Client
    );
    let server_name = "outbound_.80_._.a.b.svc.cluster.local";
    assert_eq!(side(RequestFacts { requested_server_name: server_name.into(), ..none() }), Observer::Server);
    assert_eq!(side(RequestFacts { caller_principal: "spiffe://x".into(), ..none() }), Observer::Server);
    assert_eq!(side(RequestFacts { downstream_peer: Some(peer("a", "b", "c")), ..none() }), Observer::Server);
    assert_eq!(side(RequestFacts { upstream_peer: Some(peer("a", "b", "c")), ..none() }), Observer::Client);
    let own = "sidecar~10.0.0.1~productpage.default~default.svc.cluster.local";
    let own = WorkloadFacts::from_node_id(own).map(Arc::new);
    assert_eq!(
        side(RequestFacts { downstream_peer: own, ..none() }),
        Observer::Client,
        "its own application"
    );
}

#[test]
fn a_waypoint_stands_for_the_callee() {
    let proxy = proxy("waypoint", "waypoint", "default");
    let seen = RequestFacts {
        downstream_peer: Some(peer("productpage", "default", "v1")),
        upstream_peer: Some(peer("reviews", "default", "v2")),
        ..http("inbound-vip|9080|http|reviews.default.svc.cluster.local;")
    };
    let verdict = judge(&seen, &proxy);
    assert_eq!(verdict.observer, Observer::Server);
    assert_eq!((verdict.source.service, verdict.destination.service), ("productpage", "reviews"));
    assert_eq!(verdict.destination.version, "v2", "not the port's name");
}

#[test]
fn plumbing_and_rows_that_end_no_call_do_not_count() {
    let counted = |seen: RequestFacts<'_>| judge(&seen, &sidecar()).counted;
    assert!(counted(http(REVIEWS)));
    assert!(!counted(http("connect_originate")));
    assert!(!counted(http("prometheus_stats")));
    for number in 0..=14 {
        let log_type = LogType { number, intermediate: false };
        let want = [0, 3, 6, 13].contains(&number);
        assert_eq!(counted(RequestFacts { log_type, ..http(REVIEWS) }), want, "{number}");
    }
    let log_type = LogType { number: 0, intermediate: true };
    assert!(!counted(RequestFacts { log_type, ..http(REVIEWS) }));
}

#[test]
fn a_missing_code_is_an_abort_at_the_end_of_an_http_call_only() {
    let outcome_of = |seen: RequestFacts<'_>| judge(&seen, &sidecar()).outcome;
    let silent = || RequestFacts { response_code: None, ..http(REVIEWS) };
    assert_eq!(outcome_of(silent()), Outcome::Aborted);
    assert_eq!(outcome_of(RequestFacts { layer: Layer::L4, ..silent() }), Outcome::Ok);
    let started = LogType { number: 4, intermediate: false };
    assert_eq!(outcome_of(RequestFacts { log_type: started, ..silent() }), Outcome::Ok);
}

#[test]
fn overload_drops_are_read_off_the_details() {
    for (details, flag) in [("drop_overload", "DO"), ("unconditional_drop_overload", "UDO")] {
        let seen =
            RequestFacts { response_code_details: details.into(), response_code: Some(503), ..http(REVIEWS) };
        let proxy = sidecar();
        let verdict = judge(&seen, &proxy);
        assert_eq!(verdict.flags.short_names().as_deref(), Some(flag));
        assert_eq!(verdict.fault_class, Some(FaultClass::LoadShed));
        assert_eq!(verdict.outcome, Outcome::Error);
    }
}

#[test]
fn a_plain_envoy_without_direction_is_a_party_of_its_own() {
    let proxy = ProxyIdentity::new("front-0", "front", WorkloadFacts::default());
    let want = (Observer::Gateway, "backend//".to_owned(), Some(IdentitySource::ClusterName));
    assert_eq!(destination(&http("backend"), &proxy), want);
    let seen = http("backend");
    assert_eq!(judge(&seen, &proxy).source.service, "front");
}
