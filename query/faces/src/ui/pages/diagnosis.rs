//! Says what is wrong when there is nothing to show, and what became of everything received.
//!
//! An empty page is where newcomers give up, and the four causes look alike from outside: nothing arrives,
//! everything is refused, the data lies elsewhere in time, a clock is wrong. The ledger and the newest row
//! tell them apart.

use std::time::Duration;

use meshlake_query::ledger::Account;
use meshlake_schema::UnixNanos;

use maud::{Markup, html};

use crate::ui::asked::Asked;
use crate::ui::text::Text;
use crate::ui::words::Words;

/// Senders' clocks may differ by this much before it is called skew; NTP keeps hosts well below.
const CLOCK_SKEW_TOLD: Duration = Duration::from_secs(60);

/// When calls were last heard of, and what the clock says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub now: UnixNanos,
    /// Start of the newest span or request that is stored, whatever its time.
    pub newest: Option<UnixNanos>,
}

/// Why the page is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    NothingReceived,
    /// Records came, but of signals that tell of no calls.
    OnlyOtherSignals(Vec<String>),
    /// (reason, records), most first.
    AllRejected(Vec<(String, u64)>),
    /// The newest call is this much older than now.
    Earlier(Duration),
    /// The newest call is this much ahead of now.
    ClockAhead(Duration),
    /// Rows are there and recent, and none of them is a call.
    NoCalls,
    /// The question could not be answered.
    Failed(String),
}

impl Diagnosis {
    /// Why nothing is shown, given what was received and heard.
    pub fn of_empty(ledger: &[Account], heard: Heard) -> Diagnosis {
        if let Some(newest) = heard.newest {
            let ahead = Duration::from_nanos(newest.0.saturating_sub(heard.now.0).max(0).unsigned_abs());
            let behind = Duration::from_nanos(heard.now.0.saturating_sub(newest.0).max(0).unsigned_abs());
            return match (ahead, behind) {
                (ahead, _) if ahead > CLOCK_SKEW_TOLD => Diagnosis::ClockAhead(ahead),
                (_, behind) if behind > CLOCK_SKEW_TOLD => Diagnosis::Earlier(behind),
                _ => Diagnosis::NoCalls,
            };
        }
        let calls = ledger.iter().filter(|line| line.signal == "traces" || line.signal == "requests");
        let mut rejected: Vec<(String, u64)> = Vec::new();
        let mut received = 0;
        for line in calls {
            received += line.received;
            for (reason, records) in &line.rejected {
                match rejected.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, sum)) => *sum += records,
                    None => rejected.push((reason.clone(), *records)),
                }
            }
        }
        rejected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut others: Vec<String> = ledger.iter().map(|line| line.signal.clone()).collect();
        others.sort();
        others.dedup();
        match (received, rejected.is_empty(), others.is_empty()) {
            (_, false, _) => Diagnosis::AllRejected(rejected),
            (0, true, false) => Diagnosis::OnlyOtherSignals(others),
            _ => Diagnosis::NothingReceived,
        }
    }

    /// (headline, what to do).
    fn words(&self, words: &Words) -> (String, String) {
        match self {
            Diagnosis::NothingReceived => {
                (words.nothing_received.to_owned(), words.nothing_received_advice.to_owned())
            }
            Diagnosis::OnlyOtherSignals(signals) => (
                format!("{}: {}", words.only_other_signals, signals.join(", ")),
                words.only_other_signals_advice.to_owned(),
            ),
            Diagnosis::AllRejected(reasons) => {
                let reasons: Vec<String> =
                    reasons.iter().map(|(reason, records)| format!("{reason} ({records})")).collect();
                (
                    words.all_rejected.to_owned(),
                    format!("{} {}", words.all_rejected_advice, reasons.join(", ")),
                )
            }
            Diagnosis::Earlier(behind) => (
                words.newest_call_is_old.replace("{}", &span(*behind, words)),
                words.newest_call_is_old_advice.to_owned(),
            ),
            Diagnosis::ClockAhead(ahead) => (
                words.clock_is_ahead.replace("{}", &span(*ahead, words)),
                words.clock_is_ahead_advice.to_owned(),
            ),
            Diagnosis::NoCalls => (words.no_calls.to_owned(), words.no_calls_advice.to_owned()),
            Diagnosis::Failed(message) => (words.not_answered.to_owned(), message.clone()),
        }
    }
}

/// The diagnosis.
pub fn shown(diagnosis: &Diagnosis, asked: &Asked) -> Markup {
    let (headline, advice) = diagnosis.words(asked.words());
    html! {
        section class="note lead" role="status" { h2 { (Text(&headline)) } p { (Text(&advice)) } }
    }
}

/// A span of time in its largest unit.
fn span(time: Duration, words: &Words) -> String {
    let seconds = time.as_secs();
    let (value, unit) = match seconds {
        0..=119 => (seconds, words.seconds),
        120..=7_199 => (seconds / 60, words.minutes),
        7_200..=172_799 => (seconds / 3_600, words.hours),
        _ => (seconds / 86_400, words.days),
    };
    format!("{value} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

    fn line(signal: &str, received: u64, rejected: &[(&str, u64)]) -> Account {
        Account {
            signal: signal.to_owned(),
            received,
            rejected: rejected.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect(),
            ..Account::default()
        }
    }

    fn check(ledger: &[Account], newest: Option<UnixNanos>, want: &Diagnosis) {
        assert_eq!(Diagnosis::of_empty(ledger, Heard { now: NOW, newest }), *want);
    }

    #[test]
    fn the_cause_of_an_empty_page_is_named() {
        check(&[], None, &Diagnosis::NothingReceived);
        check(
            &[line("metrics", 5, &[]), line("logs", 1, &[])],
            None,
            &Diagnosis::OnlyOtherSignals(vec!["logs".to_owned(), "metrics".to_owned()]),
        );
        check(
            &[line("traces", 5, &[("bad_id", 2), ("too_old", 3)]), line("requests", 9, &[("too_old", 9)])],
            None,
            &Diagnosis::AllRejected(vec![("too_old".to_owned(), 12), ("bad_id".to_owned(), 2)]),
        );
    }

    #[test]
    fn the_newest_row_tells_where_the_data_lies() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        check(&[], Some(NOW.minus(minutes(20))), &Diagnosis::Earlier(minutes(20)));
        check(&[], Some(NOW.plus(minutes(30))), &Diagnosis::ClockAhead(minutes(30)));
        check(&[], Some(NOW.minus(minutes(1))), &Diagnosis::NoCalls);
        check(&[], Some(NOW.plus(minutes(1))), &Diagnosis::NoCalls);
    }
}
