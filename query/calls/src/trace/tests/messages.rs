//! Messages, their queues and their links.

use super::*;

#[test]
fn messages_go_through_their_queue() {
    let spans = [
        Span { queue: "orders", ..span(1, 0, PRODUCER, A) },
        Span { queue: "orders", ..span(2, 1, CONSUMER, B) },
    ];
    check(&spans, &["default/a -> orders 1/0", "orders -> default/b 1/0"], &["default/b 1/0", "orders 1/0"]);
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
    check(&spans, &["default/a -> messaging:b 1/0", "messaging:b -> b 1/0"], &["b 1/0", "messaging:b 1/0"]);
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
    check(&[sent(1, A), Span { queue: "orders", ..taken }], &["orders -> default/c 1/0"], &["default/c 1/0"]);
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

/// The batch is taken in by a span of a trace of its own; each message is worked on in the trace of its producer.
#[test]
fn a_receive_whose_messages_are_processed_elsewhere_counts_as_none() {
    for queue in ["", "q"] {
        let sent = |trace| Span { trace, queue, ..span(1, 0, PRODUCER, A) };
        let processed = |trace| Span { trace, queue, operation: "process", ..span(2, 1, CONSUMER, B) };
        let links = &[(1, 1), (2, 1)];
        let taken = Span { trace: 9, queue, operation: "receive", links, ..span(7, 0, CONSUMER, B) };
        let all = picture(&[], &[sent(1), sent(2), processed(1), processed(2), taken]);
        assert!(nodes(&all).contains(&"default/b 2/0".to_owned()), "{:?}", nodes(&all));
        let alone = picture(&[], &[sent(1), sent(2), taken]);
        assert!(nodes(&alone).contains(&"default/b 1/0".to_owned()), "{:?}", nodes(&alone));
    }
}

/// Two messages were taken in, both by links of the receive span: two calls of a, each once.
#[test]
fn links_of_a_receive_are_edges_once() {
    let sent = |trace| Span { trace, ..span(1, 0, PRODUCER, A) };
    let message = |id, parent, operation| Span { trace: 9, operation, ..span(id, parent, CONSUMER, B) };
    let receive = Span { links: &[(1, 1), (2, 1)], ..message(7, 0, "receive") };
    check(
        &[sent(1), sent(2), receive, message(8, 7, "process"), message(9, 7, "process")],
        &["default/a -> default/b 2/0"],
        &["default/b 2/0"],
    );
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

/// Three polls, two of which found nothing, and the message in a trace of its own: it was received once. Who only polls
/// received what it polled.
#[test]
fn polls_that_nothing_is_known_of_count_where_nothing_else_does() {
    let poll =
        |trace, service| Span { trace, queue: "orders", operation: "receive", ..span(1, 0, CLIENT, service) };
    let work = Span { trace: 9, queue: "orders", operation: "process", ..span(1, 0, CONSUMER, A) };
    check(
        &[poll(1, A), poll(2, A), poll(3, A), work, poll(4, B)],
        &["orders -> default/a 1/0", "orders -> default/b 1/0"],
        &["default/a 1/0", "default/b 1/0"],
    );
}

/// An SDK that polls a queue by HTTP: the request is how the message was received, and what is done with it is not.
#[test]
fn the_request_that_polls_a_queue_is_no_call() {
    let poll = Span { queue: "orders", operation: "receive", millis: 50, ..span(1, 0, CLIENT, A) };
    let http = Span { url: "https://sqs.example/", method: "POST", ..span(2, 1, CLIENT, A) };
    let process = Span { queue: "orders", operation: "process", at: 60, ..span(3, 1, CONSUMER, A) };
    let work = Span { url: "https://pay.example/", method: "POST", at: 61, ..span(4, 3, CLIENT, A) };
    check(&[poll, http], &["orders -> default/a 1/0"], &["default/a 1/0"]);
    check(
        &[poll, http, process, work],
        &["default/a -> pay.example 1/0", "orders -> default/a 1/0"],
        &["default/a 1/0", "pay.example 1/0"],
    );
}

/// RabbitMQ's default exchange: the producer knows the broker, the consumer its queue.
#[test]
fn a_receivers_queue_outranks_the_senders_broker() {
    let sent = Span { queue: "<default>", server_address: "mq-1", ..span(1, 0, PRODUCER, A) };
    let taken = Span { queue: "orders", server_address: "mq-1", ..span(2, 1, CONSUMER, B) };
    check(
        &[sent, taken],
        &["default/a -> orders 1/0", "orders -> default/b 1/0"],
        &["default/b 1/0", "orders 1/0"],
    );
}

/// An SDK's operation that names its host, and inside of it the message, which knows its broker.
#[test]
fn an_operation_around_a_message_does_not_name_it() {
    let operation = Span { server_address: "sdk.example", millis: 20, ..span(1, 0, CLIENT, A) };
    let message = Span { messaging_system: "rabbitmq", server_address: "mq-1", ..span(2, 1, PRODUCER, A) };
    check(&[operation, message], &["default/a -> mq-1 1/0"], &["mq-1 1/0"]);
}

/// Queues that a broker made up for one client are as many as clients.
#[test]
fn a_reply_queue_without_a_name_of_its_own_is_no_node() {
    let sent = |trace, queue| Span { trace, queue, ..span(1, 0, PRODUCER, A) };
    let taken = |trace, queue| Span { trace, queue, ..span(2, 1, CONSUMER, B) };
    let spans =
        [sent(1, "amq.gen-1a"), taken(1, "amq.gen-1a"), sent(2, "(temporary)"), taken(2, "(temporary)")];
    check(&spans, &["default/a -> default/b 2/0"], &["default/b 2/0"]);
}

/// Creating a message succeeds whatever becomes of it: sending it took 80 ms and failed.
#[test]
fn a_message_that_was_created_is_what_became_of_sending_it() {
    let created = |id| Span { millis: 1, operation: "create", ..span(id, 0, PRODUCER, A) };
    let send = Span {
        links: &[(1, 1), (1, 2)],
        operation: "send",
        queue: "q",
        outcome: "error",
        millis: 80,
        ..span(3, 0, CLIENT, A)
    };
    let taken = Span { links: &[(1, 1)], trace: 2, queue: "q", ..span(9, 0, CONSUMER, B) };
    let picture = picture(&[], &[created(1), created(2), send, taken]);
    assert_eq!(edges(&picture), ["default/a -> q 2/2", "q -> default/b 1/0"]);
    assert_eq!(picture.edge_cells[0].measure.max_ms(), Some(80.0));
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

/// An SDK that hands the context of its own HTTP request to the receiver.
#[test]
fn a_message_whose_request_the_receiver_knows_is_one() {
    let sent = Span { queue: "orders", ..span(1, 0, PRODUCER, A) };
    let posted = Span { url: "https://sns.example/", method: "POST", ..span(2, 1, CLIENT, A) };
    let taken = |id, service| Span { queue: "orders", at: 20, ..span(id, 2, CONSUMER, service) };
    check(
        &[sent, posted, taken(3, B), taken(4, C)],
        &["default/a -> orders 1/0", "orders -> default/b 1/0", "orders -> default/c 1/0"],
        &["default/b 1/0", "default/c 1/0", "orders 1/0"],
    );
}

/// A lock that is renewed, a subscription: the broker is told something, and no message moves.
#[test]
fn managing_a_queue_is_no_message() {
    let client = |id, name, operation| Span {
        queue: "orders",
        messaging_system: "servicebus",
        name,
        operation,
        ..span(id, 0, CLIENT, A)
    };
    check(&[client(1, "ServiceBus.renewMessageLock", ""), client(2, "orders", "subscribe")], &[], &[]);
    let sent = client(3, "ServiceBus.send", "");
    check(&[sent], &["default/a -> orders 1/0"], &["orders 1/0"]);
}

/// Request and reply over NATS: the inbox that is made up for the reply is no queue.
#[test]
fn a_reply_to_an_inbox_goes_to_who_asked() {
    let asked = |id, parent, kind, service| Span { queue: "rates", ..span(id, parent, kind, service) };
    let replied =
        |id, parent, kind, service| Span { queue: "_INBOX.x1.2", ..span(id, parent, kind, service) };
    check(
        &[
            asked(1, 0, PRODUCER, A),
            asked(2, 1, CONSUMER, B),
            replied(3, 2, PRODUCER, B),
            replied(4, 3, CONSUMER, A),
        ],
        &["default/a -> rates 1/0", "default/b -> default/a 1/0", "rates -> default/b 1/0"],
        &["default/a 1/0", "default/b 1/0", "rates 1/0"],
    );
}

/// One of the two knows the queue, the other its broker, and only a link leads from one to the other.
#[test]
fn a_queues_name_outranks_its_broker_over_links_too() {
    let sent = Span { messaging_system: "rabbitmq", server_address: "mq-1", ..span(1, 0, PRODUCER, A) };
    let taken = Span { trace: 2, links: &[(1, 1)], ..span(2, 0, CONSUMER, B) };
    let named = |span| Span { queue: "orders", ..span };
    let by_broker = Span { messaging_system: "rabbitmq", server_address: "mq-1", ..taken };
    let want = ["default/a -> orders 1/0", "orders -> default/b 1/0"];
    check(&[sent, named(taken)], &want, &["default/b 1/0", "orders 1/0"]);
    check(&[named(sent), by_broker], &want, &["default/b 1/0", "orders 1/0"]);
    check(
        &[sent, by_broker],
        &["default/a -> mq-1 1/0", "mq-1 -> default/b 1/0"],
        &["default/b 1/0", "mq-1 1/0"],
    );
    // A fan-out exchange has two queues, neither of which is where the message went.
    let other = Span { trace: 3, queue: "mails", service: C, ..taken };
    check(
        &[sent, named(taken), other],
        &["default/a -> mq-1 1/0", "mails -> default/c 1/0", "orders -> default/b 1/0"],
        &["default/b 1/0", "default/c 1/0", "mq-1 1/0"],
    );
}
