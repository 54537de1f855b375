//! Who has sent what lately, for people who ask why a service is missing.
//!
//! A sender is an address or a file that is followed, a tenant and a kind of telemetry. What one writes is shown to people and never becomes a
//! label of metrics, whose number must not be up to senders. Limits: the [`SENDERS_MAX`] that were heard of last; of
//! an endless stream its begin and its end are heard, not each message; of syslog each payload of lines, because its
//! connections last for days.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use meshlake_schema::UnixNanos;

/// As many as one page shows; some 300 bytes each. Behind a balancer all senders are one.
const SENDERS_MAX: usize = 256;

/// Of what a sender calls itself, bytes; the longest that SDKs send are half as long.
const AGENT_BYTES_MAX: usize = 128;

/// What tells senders apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderKey {
    /// An IP address, or the path of a file.
    pub peer: Arc<str>,
    /// Empty where the sender names none that can be read.
    pub tenant: Arc<str>,
    /// The name of a signal.
    pub signal: &'static str,
    /// How it comes in, as the ledger says it.
    pub source: &'static str,
}

/// What is known of a sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The `User-Agent` that came last; empty for none.
    pub agent: String,
    /// Exports, streams that were opened, and payloads of lines.
    pub exports: u64,
    /// Those that were refused as a whole.
    pub refused: u64,
    /// When it was last heard.
    pub last: UnixNanos,
}

/// The senders that were heard of last.
#[derive(Debug, Default)]
pub struct Senders(Mutex<HashMap<SenderKey, Heard>>);

impl Senders {
    /// Takes down that `key` sends something.
    pub fn hear(&self, key: SenderKey, agent: &str, now: UnixNanos) {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= SENDERS_MAX && !senders.contains_key(&key) {
            let unheard = senders.iter().min_by_key(|(_, heard)| heard.last).map(|(key, _)| key.clone());
            unheard.map(|unheard| senders.remove(&unheard));
        }
        let heard = senders.entry(key).or_default();
        let agent = &agent[..agent.floor_char_boundary(AGENT_BYTES_MAX)];
        if heard.agent != agent {
            agent.clone_into(&mut heard.agent);
        }
        heard.exports += 1;
        heard.last = now;
    }

    /// Takes down that what `key` sent was refused.
    pub fn refuse(&self, key: &SenderKey) {
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been forgotten meanwhile.
        if let Some(heard) = senders.get_mut(key) {
            heard.refused += 1;
        }
    }

    /// Those heard of last first.
    pub fn read(&self) -> Vec<(SenderKey, Heard)> {
        let senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut senders: Vec<_> = senders.iter().map(|(key, heard)| (key.clone(), heard.clone())).collect();
        senders.sort_by(|(a_key, a), (b_key, b)| b.last.cmp(&a.last).then_with(|| a_key.cmp(b_key)));
        senders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(host: u32) -> SenderKey {
        SenderKey {
            peer: format!("10.0.0.{host}").into(),
            tenant: "default".into(),
            signal: "traces",
            source: "otlp_http",
        }
    }

    #[test]
    fn a_sender_is_known_by_what_it_did_last() {
        let senders = Senders::default();
        senders.hear(key(1), "first/1", UnixNanos(5));
        senders.hear(key(2), "", UnixNanos(6));
        senders.hear(key(1), "second/2", UnixNanos(7));
        senders.refuse(&key(1));
        senders.refuse(&key(3));
        let want = [
            (key(1), Heard { agent: "second/2".to_owned(), exports: 2, refused: 1, last: UnixNanos(7) }),
            (key(2), Heard { agent: String::new(), exports: 1, refused: 0, last: UnixNanos(6) }),
        ];
        assert_eq!(senders.read(), want);
    }

    #[test]
    fn of_too_many_senders_the_longest_unheard_is_forgotten() {
        let senders = Senders::default();
        for host in 0..SENDERS_MAX as u32 {
            senders.hear(key(host), "", UnixNanos(i64::from(host)));
        }
        assert_eq!(senders.read().len(), SENDERS_MAX);
        senders.hear(key(0), "", UnixNanos(1_000));
        assert_eq!(senders.read().len(), SENDERS_MAX, "it was known");
        senders.hear(key(9_999), "", UnixNanos(1_001));
        let left: Vec<_> = senders.read().into_iter().map(|(key, _)| key).collect();
        assert_eq!(left.len(), SENDERS_MAX);
        assert!(left.contains(&key(0)) && left.contains(&key(9_999)) && !left.contains(&key(1)));
    }

    /// "é" is two bytes: the one at byte 127 would be cut in half.
    #[test]
    fn a_long_name_is_cut_between_characters() {
        let senders = Senders::default();
        let named = |length: usize| format!("{}é", "x".repeat(length));
        for (host, length, want) in [(1, 126, 128), (2, 127, 127), (3, 128, 128)] {
            senders.hear(key(host), &named(length), UnixNanos(0));
            let read = senders.read();
            let (_, heard) = read.iter().find(|(sender, _)| *sender == key(host)).expect("heard");
            assert_eq!(heard.agent.len(), want, "{length}");
        }
    }
}
