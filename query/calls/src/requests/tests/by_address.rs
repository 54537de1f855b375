//! Ends that only an address names, as those who have it tell.

use crate::fixture::{CALL, CLIENT, FROM_SECOND, Request, SERVED, SPAN, Span, check};

/// What nginx tells of a call: an address is all it knows.
const BY_NGINX: Request =
    Request { source: ("", "nginx"), destination: ("", "10.0.0.2"), upstream_host: "10.0.0.2:80", ..CALL };

/// What b's proxy tells of another call, of z's, in the same minute.
const BY_B: Request = Request {
    source: ("default", "z"),
    request_id: "other",
    downstream: "10.0.0.9:5000",
    downstream_local: "10.0.0.2:80",
    second: FROM_SECOND + 1,
    ..SERVED
};

#[test]
fn an_endpoint_is_whose_proxy_took_a_call_there() {
    check(
        &[BY_NGINX, BY_B],
        &[],
        &["default/z -> default/b 1/0", "nginx -> default/b 1/0"],
        &["default/b 1/0"],
    );
    let unknown = Request { downstream_local: "10.0.0.7:80", ..BY_B };
    check(
        &[BY_NGINX, unknown],
        &[],
        &["default/z -> default/b 1/0", "nginx -> 10.0.0.2 1/0"],
        &["10.0.0.2 1/0", "default/b 1/0"],
    );
}

/// Many programs of one machine have its address: what listens at another port is another.
#[test]
fn another_port_of_an_address_is_not_taken_for_it() {
    let elsewhere = Request { upstream_host: "10.0.0.2:5432", ..BY_NGINX };
    check(
        &[elsewhere, BY_B],
        &[],
        &["default/z -> default/b 1/0", "nginx -> 10.0.0.2 1/0"],
        &["10.0.0.2 1/0", "default/b 1/0"],
    );
}

/// b's sidecar called c; the address in its node's id is the pod's, whatever port is asked for.
#[test]
fn a_pod_is_known_by_the_id_of_its_sidecar() {
    let sidecar = Request {
        source: ("default", "b"),
        destination: ("default", "c"),
        proxy: "sidecar~10.0.0.2~b-1.default~default.svc.cluster.local",
        ..CALL
    };
    let edges = ["default/b -> default/c 1/0", "nginx -> default/b 1/0"];
    check(&[BY_NGINX, sidecar], &[], &edges, &["default/b 1/0", "default/c 1/0"]);
    let waypoint = Request { proxy: "waypoint~10.0.0.2~w-1.default~default.svc.cluster.local", ..sidecar };
    let edges = ["default/b -> default/c 1/0", "nginx -> 10.0.0.2 1/0"];
    check(&[BY_NGINX, waypoint], &[], &edges, &["10.0.0.2 1/0", "default/c 1/0"]);
}

/// b's proxy knows of its caller an address without a certificate, which is that of c's pod.
#[test]
fn a_caller_is_known_by_the_address_of_its_pod() {
    let from_c = Request { source: ("", ""), downstream: "10.0.0.3:41000", ..BY_B };
    let of_c = Request {
        source: ("default", "c"),
        destination: ("default", "d"),
        proxy: "sidecar~10.0.0.3~c-1.default~default.svc.cluster.local",
        ..CALL
    };
    let nodes = ["default/b 1/0", "default/d 1/0"];
    check(&[from_c, of_c], &[], &["default/c -> default/b 1/0", "default/c -> default/d 1/0"], &nodes);
    let own = Request {
        downstream: "10.0.0.2:41000",
        proxy: "sidecar~10.0.0.2~b-1.default~default.svc.x",
        ..from_c
    };
    check(&[own], &[], &["client@default/b -> default/b 1/0"], &["default/b 1/0"]);
}

/// What a's proxy and b's tell of the same call on the edge that addresses name is one call.
#[test]
fn rows_of_both_ends_that_only_addresses_join_are_one_call() {
    let of_c = Request {
        source: ("default", "c"),
        proxy: "sidecar~10.0.0.3~c-1.default~default.svc.cluster.local",
        destination: ("", "10.0.0.2"),
        upstream_host: "10.0.0.2:80",
        ..CALL
    };
    let from_c = Request {
        source: ("", ""),
        request_id: "",
        downstream: "10.0.0.3:41000",
        second: FROM_SECOND,
        ..BY_B
    };
    check(&[of_c, from_c], &[], &["default/c -> default/b 1/0"], &["default/b 1/0"]);
}

/// b has an SDK and no proxy; a resource detector told its pod's address. In another minute the address is another's.
#[test]
fn an_address_is_whose_spans_tell_of_it() {
    let resource = r#"{"k8s.pod.ip":"10.0.0.2"}"#;
    let of_b = Span { kind: CLIENT, service: ("shop", "b"), server_address: "d", resource, ..SPAN };
    let seen = |rows: &[Request], spans: &[Span], to: &str| {
        let edges = [format!("nginx -> {to} 1/0"), "shop/b -> d 1/0".to_owned()];
        let mut nodes = [format!("{to} 1/0"), "d 1/0".to_owned()];
        nodes.sort();
        check(rows, spans, &edges.each_ref().map(String::as_str), &nodes.each_ref().map(String::as_str));
    };
    let elsewhere = Request { upstream_host: "10.0.0.2:8080", ..BY_NGINX };
    seen(&[BY_NGINX], &[of_b], "shop/b");
    seen(&[elsewhere], &[of_b], "shop/b");
    let of_a_machine = Span { resource: r#"{"host.ip":["10.0.0.2"]}"#, ..of_b };
    seen(&[BY_NGINX], &[of_a_machine], "10.0.0.2");
}

#[test]
fn an_address_that_two_tell_of_in_a_minute_is_nobodys() {
    let of_c = Request { destination: ("default", "c"), request_id: "third", ..BY_B };
    check(
        &[BY_NGINX, BY_B, of_c],
        &[],
        &["default/z -> default/b 1/0", "default/z -> default/c 1/0", "nginx -> 10.0.0.2 1/0"],
        &["10.0.0.2 1/0", "default/b 1/0", "default/c 1/0"],
    );
}

/// An SDK without a proxy calls an address; b's proxy tells of another call there.
#[test]
fn a_span_that_names_an_address_is_a_call_to_its_owner() {
    let made =
        Span { kind: CLIENT, service: ("shop", "job"), server_address: "10.0.0.2", server_port: 80, ..SPAN };
    check(&[BY_B], &[made], &["default/z -> default/b 1/0", "shop/job -> default/b 1/0"], &["default/b 1/0"]);
}
