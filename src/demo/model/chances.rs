//! How likely each thing that goes wrong is, and how long things take when nothing does.
//!
//! Chosen so that a minute of the default rate (3,000 visits) shows every scenario several times, and so
//! that a person can tell the scenarios apart on a graph; they are modelled on no particular system.
//! Probabilities are ratios 0..=1, times nanoseconds.

use crate::demo::mesh::{DETAILS, ORDERS, PRODUCTPAGE, RATINGS, REVIEWS, SHIPPING};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// The page's own rate limit refuses this share of the gateway's calls (RL, 429).
pub const RATE_LIMITED: f64 = 0.01;
/// This share of the outside callers gives up early (DC).
pub const GIVES_UP: f64 = 0.01;
/// They give up after between this and [`GIVES_UP_LAST`] of the time the answer would have taken.
pub const GIVES_UP_FIRST: f64 = 0.2;
pub const GIVES_UP_LAST: f64 = 0.7;
/// This share of the calls to `details` hangs for [`HANG`], which the route's time-out cuts (UT, 504).
pub const DETAILS_HANGS: f64 = 0.01;
pub const HANG: u64 = 2_500 * MILLISECOND;
/// Failures of the services themselves (500).
pub const DETAILS_FAILS: f64 = 0.003;
pub const PAGE_FAILS: f64 = 0.002;
/// The database refuses a statement; the external service answers 503.
pub const DATABASE_FAILS: f64 = 0.004;
pub const EXTERNAL_FAILS: f64 = 0.02;
/// A product that does not exist is asked for in this share of the look-ups (404).
pub const UNKNOWN_PRODUCT: f64 = 0.15;
/// The share of traffic that the canary, reviews v3, gets; v1 and v2 share the rest evenly.
pub const CANARY: f64 = 0.1;

/// The service whose callers hold on to one pod, and the share of its calls that goes there without a choice; that pod is
/// overloaded, and takes so many times as long.
pub const FAVOURS: &str = RATINGS;
pub const FAVOURED: f64 = 0.5;
pub const OVERLOAD_FACTOR: u64 = 4;

/// How often outside callers do what: the page, the list of products, one product, and else an order.
pub const VISITS_PAGE: f64 = 0.72;
pub const VISITS_LIST: f64 = 0.08;
pub const VISITS_PRODUCT: f64 = 0.08;

/// What an application adds between its own code and its proxy: at least, and less than.
pub const TO_OWN_PROXY: (u64, u64) = (20 * MICROSECOND, 90 * MICROSECOND);
/// What the network and a proxy's filters add on the way to another pod.
pub const TO_OTHER_POD: (u64, u64) = (120 * MICROSECOND, 500 * MICROSECOND);
/// What a proxy needs to refuse a call.
pub const REFUSAL: (u64, u64) = (30 * MICROSECOND, 150 * MICROSECOND);
/// Envoy's wait before a retry: a random part of 25 ms (the default base interval).
pub const RETRY_BACK_OFF: (u64, u64) = (MILLISECOND, 25 * MILLISECOND);
/// How long a message waits in the queue.
pub const QUEUE_WAIT: (u64, u64) = (4 * MILLISECOND, 60 * MILLISECOND);

/// A log-normal distribution of times.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub median: u64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

pub const STATEMENT: Times = Times { median: 1_500 * MICROSECOND, sigma: 0.6 };
pub const CHARGE: Times = Times { median: 85 * MILLISECOND, sigma: 0.4 };
pub const PUBLISH: Times = Times { median: 2 * MILLISECOND, sigma: 0.3 };
/// How long an application needs to answer 503 when it is overloaded.
pub const OVERLOADED: Times = Times { median: 2 * MILLISECOND, sigma: 0.3 };

/// A service's own work, without the calls it makes.
pub fn work_of(service: &str, version: &str) -> Times {
    let (median, sigma) = match (service, version) {
        (PRODUCTPAGE, _) => (9 * MILLISECOND, 0.35),
        (DETAILS, _) => (4 * MILLISECOND, 0.4),
        (REVIEWS, "v1") => (12 * MILLISECOND, 0.45),
        (REVIEWS, "v2") => (14 * MILLISECOND, 0.45),
        (REVIEWS, _) => (450 * MILLISECOND, 0.5),
        (RATINGS, _) => (3 * MILLISECOND, 0.5),
        (ORDERS, _) => (6 * MILLISECOND, 0.4),
        (SHIPPING, _) => (20 * MILLISECOND, 0.6),
        _ => (5 * MILLISECOND, 0.4),
    };
    Times { median, sigma }
}

/// What the mesh is told to do with calls to a service.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The route's time-out.
    pub timeout: Option<u64>,
    /// How often a call may be tried in all.
    pub attempts_max: u32,
    /// How likely a pod answers 503 to the first attempt, and to a later one.
    pub unavailable: (f64, f64),
    /// How likely the circuit breaker is open.
    pub overflow: f64,
}

pub fn policy_towards(service: &str) -> Policy {
    let plain = Policy { timeout: None, attempts_max: 1, unavailable: (0.0, 0.0), overflow: 0.0 };
    match service {
        DETAILS => Policy { timeout: Some(1_000 * MILLISECOND), ..plain },
        REVIEWS => Policy { timeout: Some(2_500 * MILLISECOND), ..plain },
        RATINGS => Policy { attempts_max: 3, unavailable: (0.05, 0.4), overflow: 0.02, ..plain },
        _ => plain,
    }
}
