//! Rollouts of a small service, by arithmetic on the page.

use super::*;
use crate::Fold;
use crate::fixture::{self, CALL, Request, SERVED, SPAN, Span};

const STEP: Duration = Duration::from_secs(10);

/// Half an hour from second 36,000 on: 180 steps.
fn range() -> Range {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    Range::new(at(36_000), at(37_800), Some(STEP)).expect("not empty")
}

/// Calls of a to an instance of b, so many a step in steps `from..to`, as both proxies saw them.
fn served(
    instance: &'static str,
    version: &'static str,
    steps: std::ops::Range<i64>,
    each: i64,
) -> Vec<Request> {
    let mut rows = Vec::new();
    for step in steps {
        for call in 0..each {
            let id = &*Box::leak(format!("{instance} {step} {call}").into_boxed_str());
            let at = Request { second: 36_000 + step * 10, at: call, request_id: id, ..CALL };
            rows.push(at);
            rows.push(Request { instance, version, ..Request { observer: "server", ..at } });
        }
    }
    rows
}

/// Calls of a to b that end with this flag, all in one step.
fn refused(flags: &'static str, step: i64, count: i64) -> Vec<Request> {
    let call = |at| Request { second: 36_000 + step * 10, at, flags, outcome: "error", code: 503, ..CALL };
    (0..count).map(call).collect()
}

fn answer(rows: &[Request]) -> Rollouts {
    answer_in(rows, &[], range())
}

fn answer_in(rows: &[Request], spans: &[Span], range: Range) -> Rollouts {
    let (rows, spans) = (fixture::requests(rows), fixture::spans(spans));
    let folded = |question| {
        let mut fold = Fold::new(question);
        fold.add_requests(&rows);
        fold.add_spans(&spans);
        fold
    };
    let picture = folded(question(range, Source::Auto)).finish().expect("a few cells");
    let parts = folded(losses_question(range, Source::Auto)).finish_parts().expect("a few cells");
    rollouts(&picture, &parts, "b")
}

/// Each instance, the step of its first call and that of its last, and whether it came and went.
fn lives(rollouts: &Rollouts) -> Vec<String> {
    let step = |time: UnixNanos| (time.0 - range().from().0) / STEP.as_nanos() as i64;
    let told = |told: Option<bool>| told.map_or("?", |told| if told { "yes" } else { "no" });
    let mut lives: Vec<String> = rollouts
        .instances
        .iter()
        .map(|life| {
            let (first, last) = (step(life.first_seen), step(life.last_seen));
            format!("{} {first}..{last} came {} went {}", life.instance, told(life.came), told(life.went))
        })
        .collect();
    lives.sort();
    lives
}

/// Two pods are replaced one after the other, and nothing is lost.
fn restart() -> Vec<Request> {
    [
        served("b-1", "v1", 0..90, 5),
        served("b-2", "v1", 0..93, 5),
        served("b-3", "v1", 89..180, 5),
        served("b-4", "v1", 94..180, 5),
    ]
    .concat()
}

#[test]
fn a_rolling_restart_that_costs_nothing() {
    let found = answer(&restart());
    let want = [
        "b-1 0..90 came no went yes",
        "b-2 0..93 came no went yes",
        "b-3 89..180 came yes went no",
        "b-4 94..180 came yes went no",
    ];
    assert_eq!(lives(&found), want);
    assert_eq!(found.rollouts.len(), 1, "{:?}", found.rollouts);
    let rollout = &found.rollouts[0];
    assert_eq!((rollout.kind, rollout.came_count, rollout.went_count), (RolloutKind::Restart, 2, 2));
    // From three steps before the first came in step 89, to three after the last came in step 94.
    let second = |time: UnixNanos| time.seconds();
    assert_eq!((second(rollout.from), second(rollout.to)), (36_000 + 860, 36_000 + 980));
    let Cost { verdict, calls, lost, usual, beyond, .. } = rollout.cost;
    // Steps 86 to 97 have ten calls each but 89, 90 to 92 (as ten), 93 (five): 86-88 30, 89 15, 90-92 30, 93 5, 94-97 40.
    assert_eq!((verdict, calls, lost, usual, beyond), (CostVerdict::None, 120.0, 0.0, Some(0.0), Some(0.0)));
    let before = rollout.before.as_ref().expect("calls before");
    assert_eq!((before.requests, before.rate), (600.0, 1.0), "ten minutes of ten calls in ten seconds");
}

#[test]
fn what_is_lost_in_a_rollout_is_its_cost_by_flag() {
    let mut rows = restart();
    rows.extend(refused("UF,URX", 93, 12));
    rows.extend(refused("UO", 20, 2));
    let cost = answer(&rows).rollouts.remove(0).cost;
    assert_eq!((cost.verdict, cost.calls, cost.lost), (CostVerdict::Some, 132.0, 12.0));
    let by: Vec<_> =
        cost.by.iter().map(|loss| (loss.reason.response_flags.as_deref(), loss.during)).collect();
    assert_eq!(by, [(Some("UF,URX"), 12.0)], "what was lost 11 minutes before is no baseline");
    assert_eq!(cost.beyond, Some(12.0));
}

/// 6 of 606 calls before the rollout, 1 of 121 in it: no more than usual.
#[test]
fn what_is_lost_all_the_time_is_no_cost() {
    let mut rows = restart();
    for step in [30, 40, 50, 60, 70, 80, 93, 100, 110] {
        rows.extend(refused("UO", step, 1));
    }
    let cost = answer(&rows).rollouts.remove(0).cost;
    assert_eq!((cost.verdict, cost.lost), (CostVerdict::None, 1.0));
    assert_eq!(cost.usual, Some(6.0 / 606.0 * 121.0));
}

#[test]
fn kinds_of_rollouts() {
    let old = || served("b-1", "v1", 0..90, 5);
    let kind = |rows: Vec<Request>| answer(&rows).rollouts.first().map(|rollout| rollout.kind);
    assert_eq!(kind([old(), served("b-2", "v2", 90..180, 5)].concat()), Some(RolloutKind::NewVersion));
    let stays = || served("b-0", "v1", 0..180, 5);
    assert_eq!(kind([stays(), served("b-2", "v1", 90..180, 5)].concat()), Some(RolloutKind::ScaleUp));
    assert_eq!(kind([stays(), old()].concat()), Some(RolloutKind::ScaleDown));
    assert_eq!(kind(stays()), None);
}

/// Calls of one release of the proxy.
fn proxied(release: &'static str, rows: Vec<Request>) -> Vec<Request> {
    rows.into_iter().map(|row| Request { proxy_version: release, ..row }).collect()
}

/// Two pods of one version are replaced, by pods with another sidecar.
#[test]
fn an_upgrade_of_sidecars_is_a_rollout_of_its_own_kind() {
    let rows = |old, new| {
        let pods = |instance, steps| served(instance, "v1", steps, 5);
        let went = proxied(old, [pods("b-1", 0..90), pods("b-2", 0..93)].concat());
        let came = proxied(new, [pods("b-3", 89..180), pods("b-4", 94..180)].concat());
        [went, came].concat()
    };
    let found = answer(&rows("1.27.1", "1.28.0"));
    let [rollout] = found.rollouts.as_slice() else { panic!("one rollout: {:?}", found.rollouts) };
    assert_eq!((rollout.kind, rollout.kind.name()), (RolloutKind::NewProxyVersion, "new_proxy_version"));
    let releases =
        |lives: &[Life]| lives.iter().map(|life| life.proxy_version.clone()).collect::<Vec<Option<String>>>();
    assert_eq!(releases(&rollout.went), [Some("1.27.1".to_owned()), Some("1.27.1".to_owned())]);
    assert_eq!(releases(&rollout.came), [Some("1.28.0".to_owned()), Some("1.28.0".to_owned())]);
    for (old, new) in [("1.27.1", "1.27.1"), ("", "1.28.0"), ("1.27.1", ""), ("", "")] {
        assert_eq!(answer(&rows(old, new)).rollouts[0].kind, RolloutKind::Restart, "{old:?} {new:?}");
    }
}

/// A new version with new sidecars is told by what its users ask of it.
#[test]
fn a_new_version_comes_before_a_new_sidecar() {
    let old = proxied("1.27.1", served("b-1", "v1", 0..90, 5));
    let new = proxied("1.28.0", served("b-2", "v2", 90..180, 5));
    assert_eq!(answer(&[old, new].concat()).rollouts[0].kind, RolloutKind::NewVersion);
}

/// A pod of a StatefulSet keeps its name. Calls that tell no release, as those that were counted by an earlier version, are
/// of the release told before them, or first.
#[test]
fn an_instance_that_keeps_its_name_is_told_by_the_release_of_its_proxy() {
    let of = |release, steps| proxied(release, served("b-0", "v1", steps, 5));
    let changed =
        [of("", 0..20), of("1.27.1", 20..60), of("", 60..90), of("1.28.0", 90..170), of("", 170..180)];
    let found = answer(&changed.concat());
    assert_eq!(lives(&found), ["b-0 0..90 came no went yes", "b-0 90..180 came yes went no"]);
    assert_eq!(found.rollouts.len(), 1);
    assert_eq!(found.rollouts[0].kind, RolloutKind::NewProxyVersion);
    let same = [of("", 0..90), of("1.27.1", 90..100), of("", 100..180)];
    assert_eq!(answer(&same.concat()).rollouts, []);
}

/// One call every two minutes to each of three instances: no silence of a few minutes tells anything.
#[test]
fn few_calls_are_not_enough_to_tell() {
    let rare = |instance, shift: i64| -> Vec<Request> {
        (0..15).flat_map(|call| served(instance, "v1", call * 12 + shift..call * 12 + shift + 1, 1)).collect()
    };
    let found = answer(&[rare("b-1", 1), rare("b-2", 5), rare("b-3", 9)].concat());
    assert_eq!(found.rollouts, []);
    assert_eq!(lives(&found)[0], "b-1 1..170 came ? went ?");
}

/// Nobody calls the service any more: that its instances are silent says nothing of them.
#[test]
fn a_service_that_nobody_calls_lost_no_instance() {
    let found = answer(&[served("b-1", "v1", 0..60, 5), served("b-2", "v1", 0..60, 5)].concat());
    assert_eq!(found.rollouts, []);
    assert_eq!(lives(&found), ["b-1 0..60 came no went ?", "b-2 0..60 came no went ?"]);
    // Callers that are refused want it still.
    let mut rows = served("b-1", "v1", 0..60, 5);
    (60..180).for_each(|step| rows.extend(refused("UH", step, 5)));
    let found = answer(&rows);
    assert_eq!(lives(&found), ["b-1 0..60 came no went yes"]);
    assert_eq!(found.rollouts[0].cost.verdict, CostVerdict::Some);
    assert_eq!(found.rollouts[0].cost.lost, 15.0, "three steps after the last call, five refused in each");
}

/// An instance whose clock is 50 s behind seems to end early, and one that is ahead to begin late.
#[test]
fn clocks_that_are_apart_start_no_rollout() {
    let found = answer(&[served("b-1", "v1", 0..175, 50), served("b-2", "v1", 5..180, 50)].concat());
    assert_eq!(found.rollouts, []);
    assert_eq!(lives(&found), ["b-1 0..175 came no went ?", "b-2 5..180 came ? went no"]);
}

/// Ten minutes of rows, then twenty of spans, as if the proxy's log had been turned off: one pod by two names.
#[test]
fn another_name_of_an_instance_is_no_new_instance() {
    let rows = served("b-1", "v1", 0..60, 5);
    let spans: Vec<Span> = (60..180)
        .map(|step: i64| {
            let id = step.unsigned_abs();
            let (second, service) = (36_000 + step * 10, ("default", "b"));
            Span { trace: id.into(), id, second, service, instance: "6f1c", version: "v1", ..SPAN }
        })
        .collect();
    let found = answer_in(&rows, &spans, range());
    assert_eq!(found.rollouts, []);
    assert_eq!(lives(&found), ["b-1 0..60 came no went ?"]);
    let said = "120 of 420 received calls are told by other evidence, whose names of instances are not compared; \
                `source` takes one";
    assert_eq!(found.warnings, [said]);
}

#[test]
fn an_unknown_service_and_no_calls_are_said() {
    let found = answer(&[]);
    assert_eq!((found.service, found.rollouts.len(), found.instances.len()), (None, 0, 0));
    assert_eq!(found.warnings, ["no node is called `b` in this range"]);
}

/// As many instances as may be shown and one more; 200 versions. A tenth of a second each, so that all fit in one step.
#[test]
fn a_thousand_instances_and_two_hundred_versions_are_bounded() {
    let name = |number: usize| &*Box::leak(format!("b-{number}").into_boxed_str());
    let version = |number: usize| &*Box::leak(format!("v{}", number % 200).into_boxed_str());
    let row = |number: usize| Request {
        second: 36_000 + (number as i64) % 1_800,
        instance: name(number),
        version: version(number),
        ..SERVED
    };
    let rows: Vec<Request> = (0..=LIVES_MAX).map(row).collect();
    let found = answer(&rows);
    assert_eq!((found.instances.len(), found.rollouts.len()), (LIVES_MAX, 0));
    assert_eq!(found.warnings, ["1 instances last seen earlier are not shown"]);
}

/// One more than are told apart: the last by name, as all are as busy. Nothing says that it came or went.
#[test]
fn instances_that_are_not_told_apart_are_said() {
    let name = |number: usize| &*Box::leak(format!("b-{number:04}").into_boxed_str());
    let row = |number: usize| Request {
        second: 36_000 + (number as i64) % 1_800,
        instance: name(number),
        ..SERVED
    };
    let rows: Vec<Request> = (0..=crate::cells::DETAILS_MAX).map(row).collect();
    let found = answer(&rows);
    assert_eq!((found.instances.len(), found.rollouts.len()), (LIVES_MAX, 0));
    let want = "1 of 2001 received calls are of instances that are not told apart";
    assert!(found.warnings.iter().any(|warning| warning == want), "{:?}", found.warnings);
}

/// A new pod every 200 seconds: 60 rollouts, of which the newest are shown.
#[test]
fn only_the_newest_rollouts_are_shown() {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    let range = Range::new(at(36_000), at(36_000 + 61 * 200), Some(STEP)).expect("not empty");
    let name = |number: i64| &*Box::leak(format!("b-{number}").into_boxed_str());
    let rows: Vec<Request> =
        (0..=60).flat_map(|pod| served(name(pod), "v1", pod * 20..pod * 20 + 20, 2)).collect();
    let found = answer_in(&rows, &[], range);
    assert_eq!(found.rollouts.len(), ROLLOUTS_MAX);
    assert!(found.rollouts[0].from > found.rollouts[1].from, "newest first");
    assert!(found.rollouts.iter().all(|rollout| rollout.kind == RolloutKind::Restart));
    assert_eq!(found.warnings, [format!("{} older rollouts are not shown", 60 - ROLLOUTS_MAX)]);
}

#[test]
fn steps_are_as_fine_as_the_range_allows() {
    let second = |second: i64| UnixNanos(second * 1_000_000_000);
    for (seconds, coarser, step, from) in [
        (3_600, 0, 10, 36_000),
        (3_601, 0, 60, 36_000),
        (3_600, 1, 60, 36_000),
        (6 * 3_600 + 1, 0, 600, 36_000),
        (61 * 3_600, 0, 3_600, 36_000),
        (3_600, COARSER_MAX, 3_600, 36_000),
        (3_600, 9, 3_600, 36_000),
    ] {
        let range = range_of(second(36_005), second(36_005 + seconds), coarser).expect("not too long");
        let told = (range.step().map(|step| step.as_secs()), range.from().seconds());
        assert_eq!(told, (Some(step), from), "{seconds} s, {coarser} coarser");
    }
    assert!(range_of(second(0), second(61 * 86_400), 0).is_err());
}
