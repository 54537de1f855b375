//! What one tenant may use of the collector: bytes a second, and a share of the bytes in flight.
//!
//! Without it one noisy tenant fills the budget and everybody is refused. A quota says 429 to that tenant alone,
//! which is not the 503 of an overloaded process: its sender learns that waiting is up to its own rate.
//!
//! The rate is a bucket that fills with time, up to [`BURST`] of it, and that an export may overdraw: what a body
//! will cost is not known when it is let in, so it is charged when it has been read, and the tenant waits until
//! the debt is paid. Over any time the rate holds, but for the burst and one export.
//!
//! Limits: bytes as sent, which is what a link carries; [`TENANTS_MAX`] tenants at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::refusal::Refusal;
use crate::intake::Budget;

/// How much a tenant that was silent may send at once, in time at its rate; Tempo's defaults have the same ratio
/// (30 MB/s, 60 MB).
const BURST: Duration = Duration::from_secs(2);

/// Tenants whose use is kept in mind, some 200 bytes each. Those at rest are forgotten when it is reached; more
/// that are all busy are more senders than connections.
const TENANTS_MAX: usize = 10_000;

/// How long a tenant waits that finds [`TENANTS_MAX`] others busy.
const CROWDED_DELAY: Duration = Duration::from_secs(5);

/// What each tenant may use; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TenantLimits {
    /// Bytes as sent, in the mean.
    pub bytes_per_second: Option<u64>,
    /// Bytes of exports that are in memory at once.
    pub in_flight_bytes: Option<usize>,
}

/// What the tenants use.
#[derive(Debug)]
pub struct Quotas {
    /// What a tenant's share is a share of.
    whole: Budget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limits: TenantLimits,
    tenants: HashMap<Arc<str>, Usage>,
}

#[derive(Debug)]
struct Usage {
    budget: Budget,
    /// Bytes that may be sent now; below zero is debt.
    bytes: f64,
    at: Instant,
}

impl Quotas {
    pub fn new(whole: Budget, limits: TenantLimits) -> Quotas {
        Quotas { whole, state: Mutex::new(State { limits, tenants: HashMap::new() }) }
    }

    /// Changes the limits of all tenants. Debts stay.
    pub fn set_limits(&self, limits: TenantLimits) {
        let mut state = self.lock();
        state.limits = limits;
        let most = limits.in_flight_bytes.unwrap_or(usize::MAX);
        for usage in state.tenants.values() {
            usage.budget.set_limit(most);
        }
    }

    /// The budget that an export of `tenant` which comes at `now` takes its bytes from.
    ///
    /// # Errors
    /// [`Refusal::OverQuota`] while the tenant has sent more than its rate allows.
    pub fn admit(&self, tenant: &Arc<str>, now: Instant) -> Result<Budget, Refusal> {
        let mut state = self.lock();
        if state.limits == TenantLimits::default() {
            return Ok(self.whole.clone());
        }
        let limits = state.limits;
        let usage = state.usage(tenant, &self.whole, now).ok_or(Refusal::OverQuota(CROWDED_DELAY))?;
        match limits.bytes_per_second {
            Some(rate) if usage.bytes < 0.0 => {
                Err(Refusal::OverQuota(Duration::from_secs_f64(-usage.bytes / rate as f64)))
            }
            _ => Ok(usage.budget.clone()),
        }
    }

    /// Charges `tenant` for a body that was read.
    pub fn charge(&self, tenant: &str, wire_bytes: usize) {
        let mut state = self.lock();
        // Without a rate nothing is ever paid off, and a rate that is set later would find a debt of hours.
        if state.limits.bytes_per_second.is_some()
            && let Some(usage) = state.tenants.get_mut(tenant)
        {
            usage.bytes -= wire_bytes as f64;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The usage of `tenant` at `now`; `None` when too many others are busy.
    fn usage(&mut self, tenant: &Arc<str>, whole: &Budget, now: Instant) -> Option<&mut Usage> {
        let burst = self.burst_bytes();
        if !self.tenants.contains_key(tenant) {
            if self.tenants.len() >= TENANTS_MAX {
                self.forget_those_at_rest(now);
            }
            if self.tenants.len() >= TENANTS_MAX {
                return None;
            }
            let budget = whole.share(self.limits.in_flight_bytes.unwrap_or(usize::MAX));
            self.tenants.insert(Arc::clone(tenant), Usage { budget, bytes: burst, at: now });
        }
        let rate = self.limits.bytes_per_second.unwrap_or(0) as f64;
        let usage = self.tenants.get_mut(tenant)?;
        usage.bytes = usage.bytes_at(now, rate).min(burst);
        usage.at = now;
        Some(usage)
    }

    fn forget_those_at_rest(&mut self, now: Instant) {
        let (burst, rate) = (self.burst_bytes(), self.limits.bytes_per_second.unwrap_or(0) as f64);
        self.tenants.retain(|_, usage| usage.budget.used_bytes() > 0 || usage.bytes_at(now, rate) < burst);
    }

    fn burst_bytes(&self) -> f64 {
        self.limits.bytes_per_second.unwrap_or(0) as f64 * BURST.as_secs_f64()
    }
}

impl Usage {
    fn bytes_at(&self, now: Instant, bytes_per_second: f64) -> f64 {
        self.bytes + now.saturating_duration_since(self.at).as_secs_f64() * bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(bytes_per_second: Option<u64>, in_flight_bytes: Option<usize>) -> TenantLimits {
        TenantLimits { bytes_per_second, in_flight_bytes }
    }

    fn tenant(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn without_limits_nothing_is_kept_in_mind() {
        let quotas = Quotas::new(Budget::new(100), TenantLimits::default());
        quotas.charge("a", 1 << 40);
        assert!(!quotas.admit(&tenant("a"), Instant::now()).expect("no limit").is_share());
        assert!(quotas.lock().tenants.is_empty());
    }

    /// 100 bytes a second: a burst of 200, an export of 250 is let in, its debt of 50 takes half a second.
    #[test]
    fn a_rate_holds_but_for_the_burst_and_one_export() {
        let quotas = Quotas::new(Budget::new(1000), limits(Some(100), None));
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        assert!(quotas.admit(&tenant("a"), start).is_ok());
        quotas.charge("a", 250);
        let refused = quotas.admit(&tenant("a"), after(0.25)).map(drop);
        assert_eq!(refused, Err(Refusal::OverQuota(Duration::from_millis(250))));
        assert!(quotas.admit(&tenant("b"), after(0.25)).is_ok(), "another tenant");
        assert!(quotas.admit(&tenant("a"), after(0.5)).is_ok(), "the debt is paid");
        assert!(quotas.admit(&tenant("a"), after(100.0)).is_ok());
        quotas.charge("a", 201);
        assert!(quotas.admit(&tenant("a"), after(100.0)).is_err(), "silence saves up no more than the burst");
    }

    #[test]
    fn what_was_sent_without_a_rate_is_no_debt_when_one_is_set() {
        let quotas = Quotas::new(Budget::new(100), limits(None, Some(60)));
        let start = Instant::now();
        assert!(quotas.admit(&tenant("a"), start).is_ok());
        quotas.charge("a", 1 << 40);
        quotas.set_limits(limits(Some(100), None));
        assert!(quotas.admit(&tenant("a"), start).is_ok());
    }

    #[test]
    fn a_share_of_the_bytes_in_flight_is_a_tenants_own() {
        let quotas = Quotas::new(Budget::new(100), limits(None, Some(60)));
        let budget = |name| quotas.admit(&tenant(name), Instant::now()).expect("no rate");
        let held = budget("a").take(60).expect("free");
        let over = budget("a").take(1).map(drop).map_err(Refusal::from);
        assert!(matches!(over, Err(Refusal::OverQuota(_))), "{over:?}");
        let over = budget("b").take(41).map(drop).map_err(Refusal::from);
        assert!(matches!(over, Err(Refusal::Overloaded(_))), "{over:?}");
        drop((held, budget("b").take(40).expect("free")));
        quotas.set_limits(limits(None, Some(10)));
        assert!(budget("a").take(11).is_err());
        assert!(budget("c").take(11).is_err());
    }

    #[test]
    fn one_more_busy_tenant_than_the_maximum_is_refused_until_some_rest() {
        let quotas = Quotas::new(Budget::new(100), limits(Some(100), None));
        let start = Instant::now();
        for n in 0..TENANTS_MAX {
            assert!(quotas.admit(&tenant(&n.to_string()), start).is_ok());
            quotas.charge(&n.to_string(), 100);
        }
        assert!(quotas.admit(&tenant("one more"), start).is_err());
        assert!(quotas.admit(&tenant("one more"), start + Duration::from_secs(1)).is_ok());
        assert_eq!(quotas.lock().tenants.len(), 1, "who sent 100 bytes is at rest after a second");
    }
}
