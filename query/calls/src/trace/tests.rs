//! Spans in, calls out: the rules of `docs/calls.md` that are about traces, by name.

use crate::fixture::{
    CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, SPAN, Span, check as check_rows, edges, kind, nodes,
    picture,
};

const A: (&str, &str) = ("default", "a");
const B: (&str, &str) = ("default", "b");
const C: (&str, &str) = ("default", "c");
const GATEWAY: (&str, &str) = ("istio-system", "gateway");

fn span(id: u64, parent: u64, kind: i32, service: (&'static str, &'static str)) -> Span {
    Span { id, parent, kind, service, ..SPAN }
}

fn check(spans: &[Span], want_edges: &[&str], want_nodes: &[&str]) {
    check_rows(&[], spans, want_edges, want_nodes);
}

mod pairing {
    use super::*;

    #[test]
    fn a_client_and_a_server_span_are_one_call() {
        check(
            &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, B)],
            &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
            &["default/a 1/0", "default/b 1/0"],
        );
    }

    #[test]
    fn the_caller_is_the_nearest_ancestor_of_another_service() {
        check(
            &[
                span(1, 0, INTERNAL, A),
                span(2, 1, CLIENT, A),
                span(3, 2, INTERNAL, A),
                span(4, 3, SERVER, B),
                span(5, 4, INTERNAL, B),
                span(6, 5, INTERNAL, B),
                span(7, 6, CLIENT, B),
                span(8, 7, SERVER, C),
            ],
            &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0"],
        );
    }

    #[test]
    fn a_call_without_a_client_span_still_is_one() {
        // nginx records SERVER spans only; what it calls has it as its parent.
        check(
            &[span(1, 0, SERVER, A), span(2, 1, SERVER, B)],
            &["client@default/a -> default/a 1/0", "default/a -> default/b 1/0"],
            &["default/a 1/0", "default/b 1/0"],
        );
    }

    #[test]
    fn a_service_that_calls_itself_has_a_loop() {
        check(
            &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, A)],
            &["client@default/a -> default/a 1/0", "default/a -> default/a 1/0"],
            &["default/a 2/0"],
        );
    }

    #[test]
    fn the_same_span_stored_twice_is_one() {
        let spans = [span(1, 0, CLIENT, A), span(2, 1, SERVER, B)];
        check(&[spans[1], spans[0], spans[1], spans[0]], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    /// Zipkin: both halves have the id 2 and the parent 1; the query belongs to the half of its own service.
    #[test]
    fn two_halves_may_share_an_id() {
        let query = Span { db_system: "mysql", server_address: "db.example", ..span(3, 2, CLIENT, B) };
        check(
            &[span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(2, 1, SERVER, B), query],
            &[
                "client@default/a -> default/a 1/0",
                "default/a -> default/b 1/0",
                "default/b -> db.example 1/0",
            ],
            &["db.example 1/0", "default/a 1/0", "default/b 1/0"],
        );
    }

    /// Both halves are of one service: a child belongs to the received one.
    #[test]
    fn a_child_of_a_shared_id_of_one_service_belongs_to_the_received_half() {
        check(
            &[span(1, 0, CLIENT, A), span(1, 0, SERVER, A), span(2, 1, CLIENT, A), span(3, 2, SERVER, B)],
            &["default/a -> default/a 1/0", "default/a -> default/b 1/0"],
            &["default/a 1/0", "default/b 1/0"],
        );
        let lookup = Span { name: "dns.lookup", peer_address: "10.0.0.1", ..span(2, 1, CLIENT, A) };
        check(
            &[span(1, 0, CLIENT, A), span(1, 0, SERVER, A), lookup],
            &["default/a -> default/a 1/0"],
            &["default/a 1/0"],
        );
    }

    #[test]
    fn equal_span_ids_in_two_traces_are_two_spans() {
        let other = Span { trace: 2, ..span(2, 1, SERVER, B) };
        let picture = picture(&[], &[span(1, 0, CLIENT, A), other]);
        assert_eq!(edges(&picture), ["default/a -> unknown@default/a 1/0"]);
        assert_eq!(nodes(&picture), ["default/b 1/0", "unknown@default/a 1/0"]);
    }

    #[test]
    fn a_missing_parent_is_told_and_draws_no_edge() {
        let picture = picture(&[], &[span(2, 1, SERVER, B)]);
        assert_eq!((edges(&picture).len(), nodes(&picture)), (0, vec!["default/b 1/0".to_owned()]));
        assert_eq!(
            picture.warnings,
            ["1 of 1 received calls have a parent span that is not stored; they are on no edge"]
        );
    }

    #[test]
    fn parents_in_a_circle_end() {
        let circle = [span(1, 2, SERVER, A), span(2, 1, SERVER, A), span(3, 3, SERVER, B)];
        let picture = picture(&[], &circle);
        assert_eq!(nodes(&picture), ["default/a 1/0", "default/b 1/0"]);
    }

    /// The call has one time, the start of its made side: before the range, it is counted in the range before.
    #[test]
    fn a_call_counts_when_it_was_made() {
        let parent = Span { second: 999, ..span(1, 0, CLIENT, A) };
        let child = Span { second: 1_000, ..span(2, 1, SERVER, B) };
        check(&[child, parent], &[], &[]);
        // Where no span of the caller stands for the call, the callee's does.
        check(
            &[child, Span { kind: INTERNAL, ..parent }],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn a_call_has_the_weight_of_its_made_side() {
        let made = Span { weight: 8.0, ..span(1, 0, CLIENT, A) };
        let received = Span { weight: 2.0, ..span(2, 1, SERVER, B) };
        check(&[made, received], &["default/a -> default/b 8/0"], &["default/b 8/0"]);
        check(&[Span { parent: 0, ..received }], &["client@default/b -> default/b 2/0"], &["default/b 2/0"]);
    }

    #[test]
    fn an_error_of_either_side_is_one_of_the_edge() {
        let failed = Span { outcome: "error", ..span(2, 1, SERVER, B) };
        check(&[span(1, 0, CLIENT, A), failed], &["default/a -> default/b 1/1"], &["default/b 1/1"]);
        let gave_up = Span { outcome: "error", ..span(1, 0, CLIENT, A) };
        let picture = picture(&[], &[gave_up, span(2, 1, SERVER, B)]);
        assert_eq!((edges(&picture), nodes(&picture)), {
            (vec!["default/a -> default/b 1/1".to_owned()], vec!["default/b 1/0".to_owned()])
        });
    }
}

mod received {
    use super::*;

    #[test]
    fn frameworks_inside_one_another_received_once() {
        check(
            &[
                span(1, 0, CLIENT, A),
                span(2, 1, SERVER, B),
                span(3, 2, INTERNAL, B),
                span(4, 3, SERVER, B),
                span(5, 4, SERVER, B),
            ],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn a_service_with_only_internal_spans_received_its_call() {
        check(
            &[
                span(1, 0, CLIENT, A),
                span(2, 1, INTERNAL, B),
                span(3, 1, INTERNAL, B),
                span(4, 3, CLIENT, B),
                span(5, 4, SERVER, C),
            ],
            &["default/a -> default/b 1/0", "default/b -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0"],
        );
    }

    /// Gateways record CLIENT spans only; pairing CLIENT with SERVER breaks A -> gateway -> B apart.
    #[test]
    fn a_gateway_with_client_spans_only_is_on_the_path() {
        let gateway =
            Span { is_proxy: true, tags: &[("node_id", "router~1~g~d")], ..span(3, 2, CLIENT, GATEWAY) };
        let spans = [span(2, 0, CLIENT, A), gateway, span(4, 3, SERVER, B)];
        check(
            &spans,
            &["default/a -> istio-system/gateway 1/0", "istio-system/gateway -> default/b 1/0"],
            &["default/b 1/0", "istio-system/gateway 1/0"],
        );
        assert_eq!(kind(&picture(&[], &spans), "istio-system/gateway"), Some("gateway"));
        let root = Span { parent: 0, ..gateway };
        check(
            &[root, span(4, 3, SERVER, B)],
            &[
                "client@istio-system/gateway -> istio-system/gateway 1/0",
                "istio-system/gateway -> default/b 1/0",
            ],
            &["default/b 1/0", "istio-system/gateway 1/0"],
        );
    }

    #[test]
    fn a_fan_out_of_client_spans_was_received_once() {
        let edge = ("", "edge");
        check(
            &[
                span(1, 0, CLIENT, A),
                span(2, 1, CLIENT, edge),
                span(3, 1, CLIENT, edge),
                span(4, 2, SERVER, B),
                span(5, 3, SERVER, C),
            ],
            &["default/a -> edge 1/0", "edge -> default/b 1/0", "edge -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0", "edge 1/0"],
        );
    }
}

mod proxies {
    use super::*;

    fn proxy(id: u64, parent: u64, kind: i32, service: (&'static str, &'static str)) -> Span {
        Span { is_proxy: true, ..span(id, parent, kind, service) }
    }

    #[test]
    fn sidecars_are_looked_through_where_applications_report() {
        check(
            &[
                span(1, 0, INTERNAL, A),
                span(2, 1, CLIENT, A),
                proxy(3, 2, CLIENT, A),
                proxy(4, 3, SERVER, B),
                Span { outcome: "error", ..span(5, 4, SERVER, B) },
            ],
            &["default/a -> default/b 1/1"],
            &["default/b 1/1"],
        );
    }

    #[test]
    fn sidecars_stand_in_where_no_application_reports() {
        check(
            &[proxy(1, 0, CLIENT, A), proxy(2, 1, SERVER, B)],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    /// The application has spans, but none for what it received: call by call, the proxy's stand in.
    #[test]
    fn a_proxy_covers_for_an_application_that_only_tells_of_its_queries() {
        let query =
            Span { db_system: "mysql", server_address: "db.example", ..span(2, 1, CLIENT, ("", "b")) };
        let tags = &[("istio.canonical_service", "b"), ("istio.namespace", "default")];
        let inbound = Span { tags, ..proxy(1, 0, SERVER, ("", "b.default")) };
        check(
            &[inbound, query],
            &["client@default/b -> default/b 1/0", "default/b -> db.example 1/0"],
            &["db.example 1/0", "default/b 1/0"],
        );
    }

    #[test]
    fn a_proxy_belongs_to_the_service_in_its_tags() {
        let tagged = Span {
            tags: &[("istio.canonical_service", "b")],
            ..proxy(3, 2, SERVER, ("default", "b.default"))
        };
        check(&[span(2, 0, CLIENT, A), tagged], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn an_outbound_server_span_of_a_proxy_is_a_call_made() {
        let outer = Span {
            tags: &[("upstream_cluster", "outbound|80||dead.default.svc.cluster.local;")],
            outcome: "error",
            ..proxy(1, 0, SERVER, A)
        };
        check(&[outer], &["default/a -> default/dead 1/1"], &["default/dead 1/1"]);
    }

    #[test]
    fn a_waypoint_is_transparent() {
        let tags = &[
            ("node_id", "waypoint~10.0.0.8~wp.default~default.svc.cluster.local"),
            ("upstream_cluster", "inbound-vip|80|http|b.default.svc.cluster.local"),
            ("istio.canonical_service", "wp"),
            ("istio.namespace", "default"),
        ];
        let waypoint = Span { tags, ..proxy(2, 1, SERVER, ("", "wp.default")) };
        let want = (&["default/a -> default/b 1/0"], &["default/b 1/0"]);
        check(&[span(1, 0, CLIENT, A), waypoint], want.0, want.1);
        check(&[span(1, 0, CLIENT, A), waypoint, span(3, 2, SERVER, B)], want.0, want.1);
    }

    #[test]
    fn a_plain_envoy_names_its_upstreams_by_cluster() {
        let envoy = ("", "proxy");
        let egress = |id, cluster| Span { tags: cluster, ..proxy(id, 2, CLIENT, envoy) };
        check(
            &[
                span(1, 0, CLIENT, ("", "load")),
                proxy(2, 1, SERVER, envoy),
                egress(3, &[("upstream_cluster", "web")]),
                egress(4, &[("upstream_cluster", "images")]),
                egress(5, &[("upstream_cluster", "images")]),
                span(6, 3, SERVER, ("", "web")),
            ],
            &["load -> proxy 1/0", "proxy -> images 2/0", "proxy -> web 1/0"],
            &["images 2/0", "proxy 1/0", "web 1/0"],
        );
    }
}

mod layers {
    use super::*;

    fn host(id: u64, parent: u64, server_address: &'static str) -> Span {
        Span { server_address, ..span(id, parent, CLIENT, A) }
    }

    #[test]
    fn an_operation_its_request_and_its_look_up_are_one_call() {
        let lookup = Span { name: "dns.lookup", peer_address: "10.0.0.53", ..span(3, 2, CLIENT, A) };
        let connect = Span { name: "tcp.connect", server_address: "loki", ..span(4, 2, CLIENT, A) };
        check(
            &[span(1, 0, CLIENT, A), host(2, 1, "loki"), lookup, connect],
            &["default/a -> loki 1/0"],
            &["loki 1/0"],
        );
    }

    #[test]
    fn an_answered_request_keeps_its_answer_whatever_is_inside() {
        let lookup = Span { name: "dns.lookup", ..host(3, 1, "b.example") };
        let connect = Span { peer_address: "10.0.0.9", ..span(4, 1, CLIENT, A) };
        check(
            &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), lookup, connect],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn a_far_end_of_another_name_inside_is_a_call_of_its_own() {
        check(
            &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), host(3, 1, "loki")],
            &["default/a -> default/b 1/0", "default/a -> loki 1/0"],
            &["default/b 1/0", "loki 1/0"],
        );
    }

    #[test]
    fn layers_answered_by_different_services_are_calls_each() {
        check(
            &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), span(3, 1, CLIENT, A), span(4, 3, SERVER, C)],
            &["default/a -> default/b 1/0", "default/a -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0"],
        );
    }

    #[test]
    fn an_operation_whose_requests_are_calls_is_none_itself() {
        check(
            &[host(1, 0, "facade"), host(2, 1, "x.example"), host(3, 1, "y.example")],
            &["default/a -> x.example 1/0", "default/a -> y.example 1/0"],
            &["x.example 1/0", "y.example 1/0"],
        );
        check(
            &[host(1, 0, "facade"), host(2, 1, "x.example")],
            &["default/a -> x.example 1/0"],
            &["x.example 1/0"],
        );
    }

    #[test]
    fn a_database_over_http_is_a_call_to_the_database() {
        let operation = Span { db_system: "elasticsearch", ..host(1, 0, "search") };
        check(&[operation, host(2, 1, "es-0.example")], &["default/a -> search 1/0"], &["search 1/0"]);
        assert_eq!(kind(&picture(&[], &[operation, host(2, 1, "es-0.example")]), "search"), Some("database"));
    }

    /// 20 ms in all, of which the request took 10: the edge's latency is the whole.
    #[test]
    fn a_call_of_layers_takes_as_long_as_the_outermost() {
        let operation = Span { millis: 20, ..span(1, 0, CLIENT, A) };
        let picture = picture(&[], &[operation, span(2, 1, CLIENT, A), span(3, 2, SERVER, B)]);
        assert_eq!(edges(&picture), ["default/a -> default/b 1/0"]);
        assert_eq!(picture.edge_cells[0].measure.max_ms(), Some(20.0));
        assert_eq!(picture.node_cells[0].measure.max_ms(), Some(10.0));
    }
}

mod attempts {
    use super::*;

    fn failed(span: Span, at: i64) -> Span {
        Span { outcome: "error", at, ..span }
    }

    #[test]
    fn one_made_span_answered_by_several_services_is_a_call_to_each() {
        check(
            &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), span(3, 1, SERVER, C)],
            &["default/a -> default/b 1/0", "default/a -> default/c 1/0"],
            &["default/b 1/0", "default/c 1/0"],
        );
    }

    #[test]
    fn answers_after_failures_are_tries_of_one_call() {
        check(
            &[
                Span { millis: 100, ..span(1, 0, CLIENT, A) },
                failed(span(2, 1, SERVER, B), 0),
                failed(span(3, 1, SERVER, B), 20),
                Span { at: 40, ..span(4, 1, SERVER, B) },
            ],
            &["default/a -> default/b 1/0 +2"],
            &["default/b 3/2"],
        );
    }

    #[test]
    fn answers_side_by_side_are_calls_each() {
        check(
            &[span(1, 0, CLIENT, A), span(2, 1, SERVER, B), Span { at: 20, ..span(3, 1, SERVER, B) }],
            &["default/a -> default/b 2/0"],
            &["default/b 2/0"],
        );
        // The first failed only after the second had begun.
        check(
            &[
                span(1, 0, CLIENT, A),
                failed(span(2, 1, SERVER, B), 0),
                Span { at: 5, ..span(3, 1, SERVER, B) },
            ],
            &["default/a -> default/b 2/1"],
            &["default/b 2/1"],
        );
    }

    #[test]
    fn a_try_that_was_given_up_may_overlap_the_next() {
        for given_up in [
            Span { http_status: 499, outcome: "client_error", ..span(2, 1, SERVER, B) },
            Span { grpc_status: 1, outcome: "aborted", ..span(2, 1, SERVER, B) },
            Span { grpc_status: 4, outcome: "error", ..span(2, 1, SERVER, B) },
        ] {
            let next = Span { at: 5, ..span(3, 1, SERVER, B) };
            let picture = picture(&[], &[span(1, 0, CLIENT, A), given_up, next]);
            assert_eq!(edges(&picture), ["default/a -> default/b 1/0 +1"], "{given_up:?}");
        }
    }

    #[test]
    fn requests_inside_one_operation_are_tries_if_each_failed() {
        check(
            &[
                Span { millis: 50, ..span(1, 0, CLIENT, A) },
                failed(span(2, 1, CLIENT, A), 0),
                Span { at: 20, ..span(3, 1, CLIENT, A) },
                failed(span(4, 2, SERVER, B), 0),
                Span { at: 20, ..span(5, 3, SERVER, B) },
            ],
            &["default/a -> default/b 1/0 +1"],
            &["default/b 2/1"],
        );
    }

    #[test]
    fn requests_side_by_side_are_tries_only_by_their_resend_count() {
        let first = failed(span(2, 1, CLIENT, A), 0);
        let second = Span { at: 20, tags: &[("http.request.resend_count", "1")], ..span(3, 1, CLIENT, A) };
        let answers = [failed(span(4, 2, SERVER, B), 0), Span { at: 20, ..span(5, 3, SERVER, B) }];
        let all = |second| [span(1, 0, INTERNAL, A), first, second, answers[0], answers[1]];
        let resent = picture(&[], &all(second));
        assert_eq!(edges(&resent), ["default/a -> default/b 1/0 +1"]);
        // From the first try's start, 0 ms, to the last one's end, 30 ms.
        assert_eq!(resent.edge_cells[0].measure.max_ms(), Some(30.0));
        let again = picture(&[], &all(Span { tags: &[], ..second }));
        assert_eq!(edges(&again), ["default/a -> default/b 2/1"]);
    }
}

mod messages {
    use super::*;

    #[test]
    fn messages_go_through_their_queue() {
        let spans = [
            Span { queue: "orders", ..span(1, 0, PRODUCER, A) },
            Span { queue: "orders", ..span(2, 1, CONSUMER, B) },
        ];
        check(
            &spans,
            &["default/a -> orders 1/0", "orders -> default/b 1/0"],
            &["default/b 1/0", "orders 1/0"],
        );
        let picture = picture(&[], &spans);
        assert_eq!(kind(&picture, "orders"), Some("messaging"));
        assert!(picture.warnings.is_empty(), "{:?}", picture.warnings);
    }

    #[test]
    fn a_brokers_address_stands_for_a_queue_without_a_name() {
        let broker = |span| Span { messaging_system: "rabbitmq", server_address: "mq-1", ..span };
        check(
            &[broker(span(1, 0, PRODUCER, A)), broker(span(2, 1, CONSUMER, B))],
            &["default/a -> mq-1 1/0", "mq-1 -> default/b 1/0"],
            &["default/b 1/0", "mq-1 1/0"],
        );
    }

    #[test]
    fn with_neither_the_message_goes_straight_to_its_consumer() {
        check(
            &[span(1, 0, PRODUCER, A), span(2, 1, CONSUMER, B)],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    /// Zipkin tells of the broker as a service, on both sides.
    #[test]
    fn a_brokers_name_that_is_no_address_makes_no_second_call() {
        let kafka = |span| Span { peer_service: "kafka", ..span };
        check(
            &[kafka(span(1, 0, PRODUCER, A)), kafka(span(2, 1, CONSUMER, B))],
            &["default/a -> default/b 1/0"],
            &["default/b 1/0"],
        );
    }

    #[test]
    fn a_queue_called_like_a_service_is_another_node() {
        let spans = [
            Span { queue: "b", ..span(1, 0, PRODUCER, A) },
            Span { queue: "b", ..span(2, 1, CONSUMER, ("", "b")) },
        ];
        check(
            &spans,
            &["default/a -> messaging:b 1/0", "messaging:b -> b 1/0"],
            &["b 1/0", "messaging:b 1/0"],
        );
    }

    #[test]
    fn what_a_queue_delivers_is_the_queues_whatever_the_receivers_kind() {
        let sent = Span { queue: "orders", ..span(1, 0, PRODUCER, A) };
        let want = ["default/a -> orders 1/0", "orders -> default/b 1/0"];
        let received = ["default/b 1/0", "orders 1/0"];
        check(&[sent, span(2, 1, SERVER, B)], &want, &received);
        check(&[sent, span(2, 1, CONSUMER, B)], &want, &received);
        let by_client = Span { kind: CLIENT, messaging_system: "nats", operation: "send", ..sent };
        check(&[by_client, span(2, 1, SERVER, B)], &want, &received);
    }

    #[test]
    fn a_request_that_a_consumer_received_from_its_queue_went_to_the_queue() {
        let posted = Span { url: "https://sqs.example/1", ..span(1, 0, CLIENT, A) };
        let taken = Span { queue: "jobs", ..span(2, 1, CONSUMER, B) };
        check(
            &[posted, taken],
            &["default/a -> jobs 1/0", "jobs -> default/b 1/0"],
            &["default/b 1/0", "jobs 1/0"],
        );
        check(&[posted, Span { queue: "", ..taken }], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn each_link_of_a_batch_is_an_edge_and_the_node_received_once() {
        let sent = |trace, service| Span { trace, ..span(1, 0, PRODUCER, service) };
        let taken = Span { trace: 9, links: &[(1, 1), (2, 1), (3, 1)], ..span(7, 0, CONSUMER, C) };
        check(
            &[sent(1, A), sent(2, A), sent(3, B), taken],
            &["default/a -> default/c 2/0", "default/b -> default/c 1/0"],
            &["default/c 1/0"],
        );
        // With a queue's name links add no edge.
        check(
            &[sent(1, A), Span { queue: "orders", ..taken }],
            &["orders -> default/c 1/0"],
            &["default/c 1/0"],
        );
    }

    #[test]
    fn a_linked_producers_queue_delivers() {
        let producer = Span { trace: 9, queue: "orders", ..span(1, 0, PRODUCER, A) };
        let consumer = Span { trace: 2, links: &[(9, 1)], ..span(7, 0, CONSUMER, B) };
        check(
            &[producer, consumer],
            &["default/a -> orders 1/0", "orders -> default/b 1/0"],
            &["default/b 1/0", "orders 1/0"],
        );
    }

    #[test]
    fn a_link_to_the_parent_is_no_second_message() {
        let consumer = Span { links: &[(1, 1)], ..span(2, 1, CONSUMER, B) };
        check(&[span(1, 0, PRODUCER, A), consumer], &["default/a -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn several_process_spans_in_one_receive_count_and_the_receive_does_not() {
        let message = |id, parent, operation| Span { queue: "q", operation, ..span(id, parent, CONSUMER, B) };
        check(
            &[message(1, 0, "receive"), message(2, 1, "process"), message(3, 1, "process")],
            &["q -> default/b 2/0"],
            &["default/b 2/0"],
        );
        check(&[message(1, 0, "receive")], &["q -> default/b 1/0"], &["default/b 1/0"]);
        // A proxy in front of the receive span changes nothing.
        let proxy = Span { is_proxy: true, ..span(9, 0, SERVER, B) };
        let failed = Span { outcome: "error", ..message(2, 1, "process") };
        check(&[proxy, message(1, 9, "receive"), failed], &["q -> default/b 1/1"], &["default/b 1/1"]);
        let polled = Span { kind: CLIENT, ..message(1, 0, "receive") };
        check(&[polled], &["q -> default/b 1/0"], &["default/b 1/0"]);
    }

    #[test]
    fn settling_a_message_is_no_call() {
        let settled = Span { queue: "q", operation: "settle", ..span(1, 0, CLIENT, A) };
        check(&[settled, Span { kind: CONSUMER, id: 2, ..settled }], &[], &[]);
    }

    #[test]
    fn creating_and_sending_are_one_message() {
        let message = |id, parent, operation| Span { queue: "q", operation, ..span(id, parent, PRODUCER, A) };
        check(&[message(1, 0, "create"), message(2, 1, "send")], &["default/a -> q 1/0"], &["q 1/0"]);
        let send = Span { links: &[(1, 1), (1, 2)], ..message(3, 0, "send") };
        let batch = [message(1, 0, "create"), message(2, 0, "create"), send];
        check(&batch, &["default/a -> q 2/0"], &["q 2/0"]);
    }

    #[test]
    fn deliveries_of_one_message_are_no_retries() {
        let failed = Span { queue: "q", outcome: "error", ..span(2, 1, CONSUMER, B) };
        let again = Span { outcome: "ok", id: 3, at: 50, ..failed };
        check(
            &[Span { queue: "q", ..span(1, 0, PRODUCER, A) }, failed, again],
            &["default/a -> q 1/0", "q -> default/b 2/1"],
            &["default/b 2/1", "q 1/0"],
        );
    }

    /// A handler that takes a message from a queue received two things: the request, and the message.
    #[test]
    fn a_message_taken_inside_a_request_is_the_queues() {
        check(
            &[span(1, 0, SERVER, B), Span { queue: "q", ..span(2, 1, CONSUMER, B) }],
            &["client@default/b -> default/b 1/0", "q -> default/b 1/0"],
            &["default/b 2/0"],
        );
    }
}

mod far_ends {
    use super::*;

    #[test]
    fn a_database_is_named_by_its_address() {
        let mysql = Span { db_system: "mysql", db_namespace: "ratings", ..span(2, 1, CLIENT, A) };
        let spans = [
            span(1, 0, INTERNAL, A),
            Span { server_address: "mysql.default.svc.cluster.local", ..mysql },
            Span { id: 3, ..mysql },
            Span { id: 4, db_namespace: "", ..mysql },
        ];
        check(
            &spans,
            &[
                "default/a -> default/mysql 1/0",
                "default/a -> mysql@default/a 1/0",
                "default/a -> ratings 1/0",
            ],
            &["default/mysql 1/0", "mysql@default/a 1/0", "ratings 1/0"],
        );
        for id in ["default/mysql", "ratings", "mysql@default/a"] {
            assert_eq!(kind(&picture(&[], &spans), id), Some("database"), "{id}");
        }
    }

    #[test]
    fn two_stores_on_one_host_are_two_nodes() {
        let store = |id, db_system, server_port| Span {
            db_system,
            server_port,
            server_address: "10.0.0.5",
            ..span(id, 0, CLIENT, A)
        };
        check(
            &[store(1, "redis", 6379), store(2, "postgresql", 5432), store(3, "redis", 0)],
            &["default/a -> 10.0.0.5:5432 1/0", "default/a -> 10.0.0.5:6379 2/0"],
            &["10.0.0.5:5432 1/0", "10.0.0.5:6379 2/0"],
        );
    }

    #[test]
    fn pods_behind_a_headless_service_are_the_service() {
        let find =
            |id, server_address| Span { db_system: "mongodb", server_address, ..span(id, 0, CLIENT, A) };
        let pods = [
            find(1, "mongo-0.mongo.prod.svc.cluster.local"),
            find(2, "mongo-1.mongo.prod.svc.cluster.local"),
        ];
        check(&pods, &["default/a -> prod/mongo 2/0"], &["prod/mongo 2/0"]);
    }

    #[test]
    fn a_url_names_its_host() {
        let get = |id, url| Span { url, ..span(id, 0, CLIENT, A) };
        check(
            &[get(1, "https://api.pay.example/v1/charge"), get(2, "https://maps.geo.example/tile/1")],
            &["default/a -> api.pay.example 1/0", "default/a -> maps.geo.example 1/0"],
            &["api.pay.example 1/0", "maps.geo.example 1/0"],
        );
    }

    #[test]
    fn a_far_end_that_reports_itself_is_that_service() {
        let query = Span { db_system: "redis", server_address: "cache", ..span(1, 0, CLIENT, A) };
        let spans = [query, Span { trace: 2, ..span(1, 0, SERVER, ("", "cache")) }];
        let picture = picture(&[], &spans);
        assert_eq!(edges(&picture), ["client@cache -> cache 1/0", "default/a -> cache 1/0"]);
        assert_eq!(kind(&picture, "cache"), Some("service"));
    }

    /// Of two calls to a host one was answered, by b: so the other went to b as well.
    #[test]
    fn what_a_caller_calls_its_callee_is_an_alias_of_it() {
        let call = |trace| Span { trace, server_address: "b-svc.example", ..span(1, 0, CLIENT, A) };
        check(
            &[call(1), span(2, 1, SERVER, B), call(2)],
            &["default/a -> default/b 2/0"],
            &["default/b 1/0"],
        );
        // Two services answer to it: nobody knows whom the third call reached.
        let spans =
            [call(1), span(2, 1, SERVER, B), call(2), Span { trace: 2, ..span(2, 1, SERVER, C) }, call(3)];
        assert_eq!(
            edges(&picture(&[], &spans)),
            ["default/a -> b-svc.example 1/0", "default/a -> default/b 1/0", "default/a -> default/c 1/0",]
        );
    }
}

mod bounds {
    use std::time::{Duration, Instant};

    use super::*;

    /// Linear walks over 200,000 spans take well under a second even unoptimised; a quadratic one takes hours.
    const ENOUGH: Duration = Duration::from_secs(20);

    fn timed(spans: &[Span]) -> crate::Picture {
        let began = Instant::now();
        let picture = picture(&[], spans);
        assert!(began.elapsed() < ENOUGH, "took {:?}", began.elapsed());
        picture
    }

    #[test]
    fn a_trace_may_be_as_deep_as_it_likes() {
        let deep = |kind| (1..=50_000).map(move |id| span(id, id - 1, kind, A)).collect::<Vec<_>>();
        assert_eq!(nodes(&timed(&deep(SERVER))), ["default/a 1/0"]);
        assert_eq!(edges(&timed(&deep(CLIENT))), ["default/a -> unknown@default/a 1/0"]);
        assert!(nodes(&timed(&deep(INTERNAL))).is_empty());
        // A calls B, which calls A, and so on; the last one made no call.
        let alternating: Vec<Span> = (1..50_000)
            .map(|id| {
                span(
                    id,
                    id - 1,
                    if id % 2 == 0 { CLIENT } else { SERVER },
                    if id / 2 % 2 == 0 { A } else { B },
                )
            })
            .collect();
        assert_eq!(nodes(&timed(&alternating)).len(), 2);
    }

    #[test]
    fn a_trace_may_be_as_wide_as_it_likes() {
        let wide = |kind, service| (2..=100_000).map(move |id| span(id, 1, kind, service));
        let answers: Vec<Span> = wide(SERVER, B).chain([span(1, 0, CLIENT, A)]).collect();
        assert_eq!(nodes(&timed(&answers)), ["default/b 99999/0"]);
        let requests: Vec<Span> = wide(CLIENT, A).chain([span(1, 0, CLIENT, A)]).collect();
        assert_eq!(edges(&timed(&requests)), ["default/a -> unknown@default/a 99999/0"]);
    }

    #[test]
    fn all_spans_may_have_one_id_or_be_in_one_circle() {
        let same: Vec<Span> = (0..100_000).map(|at| Span { at, ..span(1, 1, SERVER, A) }).collect();
        timed(&same);
        let circle: Vec<Span> = (1..=100_000).map(|id| span(id, id % 100_000 + 1, SERVER, A)).collect();
        assert_eq!(nodes(&timed(&circle)), ["default/a 1/0"]);
        let selves: Vec<Span> = (1..=100_000).map(|id| span(id, id, SERVER, A)).collect();
        assert_eq!(nodes(&timed(&selves)), ["default/a 100000/0"]);
    }
}
