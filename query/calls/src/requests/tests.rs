//! Rows of proxies in, calls out: the rules of `docs/calls.md` that are about access logs, by name.

use crate::cells::{By, Grain};
use crate::choice::Source;
use crate::fixture::{
    CALL, CLIENT, FROM_SECOND, Request, SERVED, SPAN, Span, check as check_rows, edges, kind, nodes, picture,
    picture_of,
};

const GATEWAY: Request = Request {
    observer: "gateway",
    source: ("istio-system", "ingress"),
    destination: ("default", "b"),
    downstream: "192.0.2.7:5000",
    ..CALL
};

fn check(rows: &[Request], want_edges: &[&str], want_nodes: &[&str]) {
    check_rows(rows, &[], want_edges, want_nodes);
}

mod joining {
    use super::*;

    /// a's proxy calls b's: both know the connection and the request.
    const MADE: Request = Request {
        source_address: "10.0.0.1",
        upstream_local: "10.0.0.1:4000",
        upstream_host: "10.0.0.2:80",
        authority: "b",
        request_id: "r1",
        ..CALL
    };
    const RECEIVED: Request = Request {
        destination_address: "10.0.0.2",
        downstream: "10.0.0.1:4000",
        downstream_local: "10.0.0.2:80",
        authority: "b",
        request_id: "r1",
        ..SERVED
    };

    #[test]
    fn two_observations_of_one_call_are_one_call() {
        check(&[CALL, SERVED], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    /// Plaintext: b's proxy knows its caller's address only, and calls itself otherwise than its callers do.
    #[test]
    fn names_do_not_matter_where_the_hop_is_known() {
        let called = Request { destination: ("default", "web"), ..MADE };
        let received = Request { source: ("", ""), destination: ("default", "nginx"), ..RECEIVED };
        check(&[called, received], &["default/a -> default/nginx 1/0"], &["default/nginx 1/0"]);
    }

    #[test]
    fn a_service_account_is_no_second_caller() {
        let received = Request {
            source: ("default", "backend"),
            principal: "spiffe://cluster.local/ns/default/sa/backend",
            ..RECEIVED
        };
        check(&[MADE, received], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    /// One call, three tries: the client's row knows the last connection only, the request tells of the others.
    #[test]
    fn a_retried_call_is_one_on_the_edge_and_three_at_the_node() {
        let made = Request { attempts: 3, millis: 100, upstream_local: "10.0.0.1:4002", ..MADE };
        let cut = |at, downstream| Request { outcome: "aborted", flags: "DC", at, downstream, ..RECEIVED };
        let last = Request { at: 60, downstream: "10.0.0.1:4002", ..RECEIVED };
        let rows = [made, cut(0, "10.0.0.1:4000"), cut(30, "10.0.0.1:4001"), last];
        let picture = picture(&rows, &[]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0 +2"]);
        let node = &picture.node_cells[0].measure;
        assert_eq!((node.requests(), node.errors(), node.aborted()), (3.0, 0.0, 2.0));
        let edge = &picture.edge_cells[0].measure;
        assert_eq!((edge.made(), edge.received(), edge.completeness()), (1.0, 3.0, Some(1.0)));
    }

    /// One request id through a whole trace: each hop keeps its own rows.
    #[test]
    fn hops_of_one_request_id_are_calls_each() {
        let next = Request {
            source: ("default", "b"),
            destination: ("default", "c"),
            source_address: "10.0.0.2",
            upstream_local: "10.0.0.2:7000",
            upstream_host: "10.0.0.3:80",
            authority: "c",
            at: 2,
            millis: 5,
            ..MADE
        };
        let at_c = Request {
            source: ("", ""),
            destination: ("default", "c"),
            destination_address: "10.0.0.3",
            // Another connection than the one in the client's row: a try before the last.
            downstream: "10.0.0.2:6999",
            downstream_local: "10.0.0.3:80",
            authority: "c",
            at: 3,
            millis: 2,
            ..RECEIVED
        };
        check(
            &[MADE, RECEIVED, next, at_c],
            &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0"],
        );
    }

    /// Two calls of one proxy with one request id, 2 s apart, and clocks that differ by half a second.
    #[test]
    fn clocks_may_differ() {
        let later = Request { second: FROM_SECOND + 2, upstream_local: "", ..MADE };
        let first = Request { upstream_local: "", ..MADE };
        let at_b = |second, at| Request { second, at, source: ("", ""), ..RECEIVED };
        let rows = [first, later, at_b(FROM_SECOND, 500), at_b(FROM_SECOND + 2, 500)];
        check(&rows, &["default/a -> default/b 2/0"], &["default/b 2/0"]);
    }

    #[test]
    fn without_an_id_both_ends_of_the_connection_join() {
        let plain = |row| Request { request_id: "", authority: "", ..row };
        let received = Request { source: ("", ""), destination: ("default", "nginx"), ..plain(RECEIVED) };
        check(&[plain(MADE), received], &["default/a -> default/nginx 1/0"], &["default/nginx 1/0"]);
    }

    /// The pod that had the port went away, another one has it now.
    #[test]
    fn a_source_port_alone_joins_nothing() {
        let connection = |row| Request { layer: "l4", code: 0, request_id: "", authority: "", ..row };
        let made =
            Request { destination: ("default", "pg"), upstream_host: "10.0.0.7:5432", ..connection(MADE) };
        let received = Request { source: ("", ""), second: FROM_SECOND + 50, ..connection(RECEIVED) };
        let want = ["client@default/b -> default/b 1/0", "default/a -> default/pg 1/0"];
        check(&[made, received], &want, &["default/b 1/0", "default/pg 1/0"]);
    }

    #[test]
    fn a_request_that_two_callers_share_names_neither() {
        let client = Request { request_id: "r1", ..CALL };
        let other = Request { source: ("default", "c"), ..client };
        let unknown = Request { source: ("", "10.9.9.9"), request_id: "r1", ..SERVED };
        let picture = picture(&[client, other, unknown], &[]);
        assert_eq!(
            edges(&picture),
            ["client@default/b -> default/b 1/0", "default/a -> default/b 1/0", "default/c -> default/b 1/0"]
        );
    }

    #[test]
    fn unknown_callers_of_two_services_are_two_nodes() {
        let unknown = Request { source: ("", ""), ..SERVED };
        let picture = picture(&[unknown, Request { destination: ("shop", "cart"), ..unknown }], &[]);
        assert_eq!(
            edges(&picture),
            ["client@default/b -> default/b 1/0", "client@shop/cart -> shop/cart 1/0"]
        );
    }

    #[test]
    fn a_passed_through_address_is_named_by_its_own_proxy() {
        let passed = Request { destination: ("", "10.0.0.2"), ..MADE };
        check(
            &[passed, Request { source: ("", ""), ..RECEIVED }],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn a_mirrored_request_is_a_call_of_its_own() {
        let shadow = Request {
            destination: ("default", "shadow"),
            destination_address: "10.0.0.4",
            downstream: "10.0.0.1:4009",
            downstream_local: "10.0.0.4:80",
            ..RECEIVED
        };
        check(
            &[MADE, RECEIVED, shadow],
            &["default/a -> default/b 1/0", "default/a -> default/shadow 1/0"],
            &["default/b 1/0", "default/shadow 1/0"],
        );
    }
}

mod leftovers {
    use super::*;

    /// Three rows of either side without ids: three calls, not six.
    #[test]
    fn what_nothing_joins_is_matched_in_order_of_time() {
        let made = |at| Request { at, ..CALL };
        let received = |at| Request { at, ..SERVED };
        check(
            &[made(0), made(100), made(200), received(5), received(105), received(205)],
            &["default/a -> default/b 3/0"],
            &["default/b 3/0"],
        );
    }

    /// 61 seconds apart they are two calls, 60 seconds one.
    #[test]
    fn matches_lie_at_most_a_minute_apart() {
        let late = |second| Request { second, ..SERVED };
        let made = Request { second: FROM_SECOND - 11, ..CALL };
        assert_eq!(edges(&picture(&[made, late(FROM_SECOND + 49)], &[])), Vec::<String>::new());
        let apart = picture(&[made, late(FROM_SECOND + 50)], &[]);
        assert_eq!(edges(&apart), ["default/a -> default/b 1/0"], "the made one lies before the range");
    }

    #[test]
    fn a_client_that_tried_three_times_matches_three() {
        check(
            &[Request { attempts: 3, ..CALL }, SERVED, SERVED, SERVED],
            &["default/a -> default/b 1/0 +2"],
            &["default/b 3/0"],
        );
    }

    #[test]
    fn observers_that_disagree_are_told_apart() {
        // The caller gave up on 2 of 3 calls; the callee answered all of them.
        let gave_up = Request { outcome: "error", flags: "UT", ..CALL };
        check(
            &[CALL, gave_up, gave_up, SERVED, SERVED, SERVED],
            &["default/a -> default/b 3/2"],
            &["default/b 3/0"],
        );
    }

    /// What b's callers call it was learnt from the call that was joined.
    #[test]
    fn an_alias_brings_the_rows_of_one_edge_together() {
        let joined = [
            Request {
                destination: ("default", "web"),
                request_id: "r1",
                upstream_local: "10.0.0.1:4000",
                ..CALL
            },
            Request { request_id: "r1", downstream: "10.0.0.1:4000", ..SERVED },
        ];
        let left = [Request { destination: ("default", "web"), ..CALL }, SERVED];
        let refused = Request { destination: ("default", "web"), flags: "UH", outcome: "error", ..CALL };
        check(
            &[joined[0], joined[1], left[0], left[1], refused],
            &["default/a -> default/b 3/1"],
            &["default/b 2/0"],
        );
    }
}

mod once {
    use super::*;

    #[test]
    fn a_row_that_came_by_two_ways_is_one() {
        let by_als = Request { stream_id: "s1", request_id: "r1", proxy: "p", ..SERVED };
        let by_file = Request { stream_id: "", ..by_als };
        check(&[by_als, by_als, by_file], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn rows_of_two_streams_or_proxies_are_two() {
        let row = Request { stream_id: "s1", request_id: "r1", proxy: "p", ..SERVED };
        let other_stream = Request { stream_id: "s2", ..row };
        let other_proxy = Request { proxy: "q", ..row };
        let picture = picture(&[row, other_stream, other_proxy], &[]);
        assert_eq!(nodes(&picture), ["default/b 3/0"]);
    }

    #[test]
    fn rows_without_any_id_are_never_merged() {
        assert_eq!(nodes(&picture(&[SERVED, SERVED], &[])), ["default/b 2/0"]);
    }

    #[test]
    fn rows_that_are_no_call_do_not_count() {
        check(&[Request { counted: false, ..CALL }], &[], &[]);
        check(&[Request { second: 999, ..CALL }, Request { second: 1_060, ..CALL }], &[], &[]);
    }
}

mod gateways {
    use super::*;

    #[test]
    fn a_gateway_receives_what_it_passes_on() {
        let picture =
            picture(&[GATEWAY, GATEWAY, Request { source: ("istio-system", "ingress"), ..SERVED }], &[]);
        assert_eq!(
            edges(&picture),
            [
                "client@istio-system/ingress -> istio-system/ingress 2/0",
                "istio-system/ingress -> default/b 2/0"
            ]
        );
        assert_eq!(nodes(&picture), ["default/b 1/0", "istio-system/ingress 2/0"]);
        assert_eq!(kind(&picture, "istio-system/ingress"), Some("gateway"));
        assert_eq!(kind(&picture, "client@istio-system/ingress"), Some("client"));
    }

    #[test]
    fn a_gateway_that_answers_itself_calls_nobody() {
        let lost = Request { destination: ("", ""), flags: "NR", outcome: "error", attempts: 0, ..GATEWAY };
        let redirected = Request { flags: "", outcome: "ok", ..lost };
        let picture = picture(&[lost, redirected], &[]);
        assert_eq!(edges(&picture), ["client@istio-system/ingress -> istio-system/ingress 2/1"]);
    }

    #[test]
    fn a_callers_proxy_names_the_caller_of_a_gateway() {
        let to_gateway = Request {
            destination: ("istio-system", "ingress"),
            upstream_local: "10.0.0.1:4000",
            request_id: "r1",
            ..CALL
        };
        let at_gateway = Request { downstream: "10.0.0.1:4000", request_id: "r1", ..GATEWAY };
        let picture = picture(&[at_gateway, to_gateway], &[]);
        assert_eq!(
            edges(&picture),
            ["default/a -> istio-system/ingress 1/0", "istio-system/ingress -> default/b 1/0"]
        );
    }

    #[test]
    fn an_aborted_call_is_no_error() {
        let aborted = Request { outcome: "aborted", flags: "DC", ..GATEWAY };
        let picture = picture(&[aborted, GATEWAY], &[]);
        let gateway = &picture.node_cells.last().expect("the gateway received calls").measure;
        assert_eq!((gateway.requests(), gateway.aborted(), gateway.errors()), (2.0, 1.0, 0.0));
    }
}

mod outcomes {
    use super::*;

    /// 5 calls, 2 refused by the caller's own proxy: the edge has 5; the callee, which has no proxy, 3.
    #[test]
    fn what_was_refused_on_the_way_counts_on_the_edge_only() {
        for flag in ["UH", "UF", "UO", "NR", "RL"] {
            let refused = Request { flags: flag, outcome: "error", attempts: 0, ..CALL };
            let picture = picture(&[CALL, CALL, CALL, refused, refused], &[]);
            assert_eq!(edges(&picture), ["default/a -> default/b 5/2"], "{flag}");
            assert_eq!(nodes(&picture), ["default/b 3/0"], "{flag}");
            assert_eq!(picture.edge_cells[0].refused, 2.0);
        }
    }

    /// Traffic to a dead upstream never arrives, so only the edge can show it; Tempo shows nothing at all.
    #[test]
    fn a_dead_upstream_is_on_the_graph() {
        let dead = Request {
            destination: ("default", "dead"),
            flags: "UF,URX",
            outcome: "error",
            attempts: 3,
            ..CALL
        };
        check(&[dead; 30], &["default/a -> default/dead 30/30 +60"], &[]);
    }

    #[test]
    fn a_rate_limit_at_the_callee_counts_at_the_callee() {
        let limited = Request { flags: "RL", outcome: "client_error", ..SERVED };
        let picture = picture(&[limited, SERVED], &[]);
        let node = &picture.node_cells[0].measure;
        assert_eq!((node.requests(), node.client_errors(), node.errors()), (2.0, 1.0, 0.0));
    }

    #[test]
    fn upgrades_count_and_have_no_latency_among_those_of_requests() {
        let upgraded = Request { code: 101, millis: 3_600_000, ..SERVED };
        let tunnel = Request { method: "CONNECT", millis: 3_600_000, ..SERVED };
        let picture = picture(&[SERVED, upgraded, tunnel], &[]);
        let node = &picture.node_cells[0].measure;
        assert_eq!((node.requests(), node.max_ms()), (3.0, Some(10.0)));
    }
}

mod far_ends {
    use super::*;

    #[test]
    fn a_callee_outside_of_the_mesh_is_external() {
        let external = Request { destination: ("", "api.example"), ..CALL };
        let picture = picture(&[external, Request { destination: ("", ""), ..external }], &[]);
        assert_eq!(edges(&picture), ["default/a -> api.example 1/0", "default/a -> unknown@default/a 1/0"]);
        assert_eq!(kind(&picture, "api.example"), Some("external"));
        assert_eq!(kind(&picture, "unknown@default/a"), Some("external"));
    }

    #[test]
    fn two_ports_of_an_outside_host_are_two_nodes() {
        let to = |authority| Request { destination: ("", "maps.example"), authority, ..CALL };
        check(
            &[to("maps.example:443"), to("maps.example"), to("maps.example:8443")],
            &["default/a -> maps.example 2/0", "default/a -> maps.example:8443 1/0"],
            &["maps.example 2/0", "maps.example:8443 1/0"],
        );
    }

    #[test]
    fn a_listener_inside_envoy_is_nobodys_name() {
        let inside = |destination_address| Request { destination: ("", ""), destination_address, ..CALL };
        check(
            &[inside("envoy://connect_originate/10.0.0.9:80"), inside("envoy://main_internal/")],
            &["default/a -> 10.0.0.9 1/0", "default/a -> unknown@default/a 1/0"],
            &["10.0.0.9 1/0", "unknown@default/a 1/0"],
        );
    }
}

mod groups {
    use super::*;

    #[test]
    fn operations_and_instances_are_told_apart_when_asked() {
        let rows = [
            Request { path: "/reviews/1", instance: "b-0", ..SERVED },
            Request { path: "/reviews/2?x=1", instance: "b-1", ..SERVED },
            Request { path: "/health", instance: "b-1", ..SERVED },
        ];
        let details = |grain| {
            let picture = picture_of(&rows, &[], Source::Auto, By::Service, grain);
            let cells = picture.node_cells.into_iter();
            cells.map(|cell| (cell.detail.unwrap_or_default(), cell.measure.requests())).collect::<Vec<_>>()
        };
        assert_eq!(
            details(Grain::Operation),
            [("GET /health".to_owned(), 1.0), ("GET /reviews/{id}".to_owned(), 2.0)]
        );
        assert_eq!(details(Grain::Instance), [("b-0".to_owned(), 1.0), ("b-1".to_owned(), 2.0)]);
    }

    #[test]
    fn versions_come_from_the_side_that_knows_them() {
        // The caller's proxy does not know which version answered, the callee's does.
        let picture = |client_version| {
            let client = Request { source_version: "v1", version: client_version, ..CALL };
            let server = Request { source_version: "v1", version: "v2", ..SERVED };
            picture_of(&[client, server], &[], Source::Auto, By::Version, Grain::Node)
        };
        for known_to_the_client in ["", "v2"] {
            let picture = picture(known_to_the_client);
            assert_eq!(edges(&picture), ["default/a:v1 -> default/b:v2 1/0"]);
            assert_eq!(nodes(&picture), ["default/b:v2 1/0"]);
        }
    }

    /// 15 calls, 5 of them refused before anybody could tell of a version: 15 calls with 5 errors, whoever asks.
    #[test]
    fn every_grouping_has_the_same_total() {
        let made = |request_id| Request { source_version: "v1", request_id, ..CALL };
        let received = |request_id| Request {
            version: "v1",
            workload: "b-v1",
            ..Request { source_version: "v1", request_id, ..SERVED }
        };
        let ids = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let refused = Request { flags: "UF", outcome: "error", ..made("") };
        let rows: Vec<Request> =
            ids.into_iter().flat_map(|id| [made(id), received(id)]).chain([refused; 5]).collect();
        for by in [By::Service, By::Workload, By::Version] {
            let picture = picture_of(&rows, &[], Source::Auto, by, Grain::Node);
            let sum = |of: fn(&crate::EdgeCell) -> f64| picture.edge_cells.iter().map(of).sum::<f64>();
            assert_eq!(sum(|edge| edge.measure.requests()), 15.0, "{by:?}");
            assert_eq!(sum(|edge| edge.measure.errors()), 5.0, "{by:?}");
            assert_eq!(sum(|edge| edge.refused), 5.0, "{by:?}");
            let received: f64 = picture.node_cells.iter().map(|cell| cell.measure.requests()).sum();
            assert_eq!(received, 10.0, "{by:?}");
        }
        for grain in [Grain::Operation, Grain::Instance] {
            let picture = picture_of(&rows, &[], Source::Auto, By::Service, grain);
            let received: f64 = picture.node_cells.iter().map(|cell| cell.measure.requests()).sum();
            assert_eq!(received, 10.0, "{grain:?}");
        }
    }
}

mod connections {
    use super::*;

    const CONNECTION: Request =
        Request { destination: ("default", "mysql"), layer: "l4", millis: 60_000, code: 0, ..CALL };

    /// A pooled connection carries many queries: the proxy sees one connection, the client three queries.
    #[test]
    fn queries_are_counted_and_not_connections() {
        let query = Span {
            kind: CLIENT,
            db_system: "mysql",
            server_address: "mysql",
            service: ("default", "a"),
            second: FROM_SECOND + 30,
            ..SPAN
        };
        let queries = [query, Span { id: 2, ..query }, Span { id: 3, ..query }];
        let with_spans = picture(&[CONNECTION], &queries);
        assert_eq!(edges(&with_spans), ["default/a -> default/mysql 3/0"]);
        // The connection tells of the bytes: 100 in, 1,000 out.
        assert_eq!(with_spans.edge_cells[0].measure.bytes_out(), 1_000.0);
        let without = picture(&[CONNECTION], &[]);
        assert_eq!(edges(&without), ["default/a -> default/mysql 1/0"]);
        assert_eq!(without.edge_cells[0].measure.quantile_ms(0.5), None);
        assert_eq!(without.edge_cells[0].measure.protocol().name(), "tcp");
    }

    /// ztunnel under a waypoint: a connection from a to b, and the requests in it.
    #[test]
    fn a_connection_under_requests_is_no_call() {
        let tunnel = |row| Request { layer: "l4", code: 0, millis: 5_000, ..row };
        let waypoint = Request { at: 100, ..SERVED };
        check(
            &[tunnel(CALL), tunnel(SERVED), waypoint, waypoint],
            &["default/a -> default/b 2/0"],
            &["default/b 2/0"],
        );
    }
}
