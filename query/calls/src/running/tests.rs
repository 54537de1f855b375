//! When what is counted is of no more use, and how much is held.

use meshlake_schema::budget::Allowance;

use super::*;
use crate::fixture::{self, CLIENT, FROM_SECOND, PRODUCER, SPAN, Span};

const MINUTE_OF_SPANS: i64 = FROM_SECOND / 60;

const SHOP: Span = Span { service: ("shop", "b"), ..SPAN };

/// Whose own spans tell nothing of the others.
const ANOTHER: Span = Span { trace: 99, service: ("other", "z"), ..SPAN };

fn running(room: Room) -> Running {
    Running::holding(By::Service, Grain::Node, MINUTE_OF_SPANS, 2, room).expect("times are near")
}

/// Counts what it can of all files but the last.
fn eager() -> Running {
    running(Room { open_spans: 0, ..Room::default() })
}

fn add(running: &mut Running, spans: &[Span]) -> Result<(), Halt> {
    running.begin_file();
    let batch = SpanBatch::read(fixture::spans(spans), By::Service, Grain::Node);
    running.add(&batch.expect("columns of spans"), false)
}

fn told(running: &mut Running) -> Result<Digest, Halt> {
    let budget = Allowance::new(1 << 30, None);
    running.told(&mut Lines::default(), Means { threads: 1, budget: &budget })
}

/// After these spans, whose traces are counted, one more file.
fn after(counted: &[Span], last: &[Span]) -> Result<(), Halt> {
    let mut running = eager();
    add(&mut running, counted).expect("there is room");
    add(&mut running, &[ANOTHER]).expect("there is room");
    told(&mut running).expect("there is room");
    add(&mut running, last)?;
    told(&mut running).map(drop)
}

/// A call that b answered at 1,000 s, the 40th second of its minute.
fn call() -> [Span; 2] {
    let made = Span { kind: CLIENT, server_address: "b", ..SPAN };
    [made, Span { id: 2, parent: 1, ..SHOP }]
}

#[test]
fn a_span_that_comes_to_a_trace_that_is_counted_is_told() {
    let at = |second| Span { id: 3, parent: 1, second, ..SHOP };
    let seconds = [899, 900, FROM_SECOND + 5, 1_079, 1_080];
    let torn = Err(Halt::Torn);
    // Of the minutes around it the calls of a minute are told, and of no others.
    let want = [Ok(()), torn.clone(), torn.clone(), torn, Ok(())];
    assert_eq!(seconds.map(|second| after(&call(), &[at(second)])), want);
    assert_eq!(after(&call(), &[Span { trace: 2, ..at(FROM_SECOND) }]), Ok(()), "of another trace");
}

/// `b` is the one in the only namespace that has one. Once two have, it is neither.
#[test]
fn a_name_that_means_something_else_is_told() {
    let other = Span { trace: 7, service: ("bank", "b"), ..SPAN };
    assert_eq!(after(&call(), &[other]), Err(Halt::Renamed));
    assert_eq!(after(&call(), &[Span { service: ("bank", "c"), ..other }]), Ok(()));
    let later = Span { second: FROM_SECOND + 60, ..other };
    assert_eq!(after(&call(), &[later]), Ok(()), "what it means is told by the minute");
}

#[test]
fn an_address_that_gets_an_owner_is_told() {
    let made = Span { kind: CLIENT, server_address: "10.0.0.7", ..SPAN };
    let owner = |resource| Span { trace: 7, resource, service: ("shop", "c"), ..SPAN };
    let own = owner(r#"{"k8s.pod.ip": "10.0.0.7"}"#);
    assert_eq!(after(&[made], &[own]), Err(Halt::Renamed));
    assert_eq!(after(&[made], &[owner(r#"{"k8s.pod.ip": "10.0.0.8"}"#)]), Ok(()), "nobody called that");
    assert_eq!(after(&[made], &[Span { second: FROM_SECOND + 60, ..own }]), Ok(()), "in another minute");
}

#[test]
fn traces_with_messages_are_never_counted_for_good() {
    let sent = Span { kind: PRODUCER, messaging_system: "kafka", ..SPAN };
    assert_eq!(after(&[sent], &[Span { id: 3, parent: 1, ..SHOP }]), Ok(()));
    let mut near = Running::new(By::Service, Grain::Node, MINUTE_OF_SPANS, 1).expect("times are near");
    assert_eq!(add(&mut near, &[SPAN]), Ok(()));
    assert_eq!(add(&mut near, &[sent]), Err(Halt::Distant), "those two minutes before were not added");
}

#[test]
fn there_is_an_end_to_what_is_held() {
    let spans =
        |count: u64| -> Vec<Span> { (1..=count).map(|id| Span { id, trace: id.into(), ..SPAN }).collect() };
    for (count, want) in [(2, Ok(())), (3, Ok(())), (4, Err(Halt::TooMuch))] {
        let mut running = running(Room { held_spans: 3, ..Room::default() });
        assert_eq!(add(&mut running, &spans(count)), want, "{count} spans");
        let mut eager = self::running(Room { open_spans: 0, counted_traces: 3, ..Room::default() });
        add(&mut eager, &spans(count)).expect("there is room");
        add(&mut eager, &[ANOTHER]).expect("there is room");
        assert_eq!(told(&mut eager).map(drop), want, "{count} traces");
    }
    let mut running = running(Room { open_spans: 0, counted_bytes: 0, ..Room::default() });
    add(&mut running, &[SPAN]).expect("there is room");
    assert_eq!(told(&mut running).map(drop), Ok(()), "of the last file nothing is counted for good");
    add(&mut running, &[ANOTHER]).expect("there is room");
    assert_eq!(told(&mut running).map(drop), Err(Halt::TooMuch));
}

#[test]
fn times_end_where_buckets_do() {
    let running = running(Room::default());
    let minutes = |time: UnixNanos| time.0 / MINUTE - MINUTE_OF_SPANS;
    let TimeRange { from, to } = running.times();
    assert_eq!((minutes(from), minutes(to), minutes(running.end())), (-2, MINUTES_MAX, MINUTES_MAX - 2));
    assert!(Running::new(By::Service, Grain::Node, i64::MAX / MINUTE, 1).is_none(), "no such time");
}
