//! What flags of proxies, codes and types of errors mean: under which policy a call was ended, in a sentence.
//!
//! Source of the flags: Envoy's access log documentation, `%RESPONSE_FLAGS%`; of details, its documentation of response
//! code details; of types, see [`crate::refusal`].

/// What a mesh was told to do with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    Timeout,
    Retry,
    RateLimit,
    CircuitBreaker,
    OutlierEjection,
    FaultInjection,
    Authorization,
    Routing,
    Overload,
    /// No policy: a connection that failed.
    Connection,
    /// No policy: the caller went away or sent what cannot be read.
    Caller,
    /// Health checks and caches, which answer instead of the upstream.
    Answered,
}

impl Policy {
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Timeout => "timeout",
            Policy::Retry => "retry",
            Policy::RateLimit => "rate_limit",
            Policy::CircuitBreaker => "circuit_breaker",
            Policy::OutlierEjection => "outlier_ejection",
            Policy::FaultInjection => "fault_injection",
            Policy::Authorization => "authorization",
            Policy::Routing => "routing",
            Policy::Overload => "overload",
            Policy::Connection => "connection",
            Policy::Caller => "caller",
            Policy::Answered => "answered",
        }
    }
}

/// A reason, its policy, and what it means.
pub type Reason = (&'static str, Policy, &'static str);

/// Every flag of a proxy.
pub const FLAGS: [Reason; 30] = [
    ("UAEX", Policy::Authorization, "The external authorization service said no."),
    ("RL", Policy::RateLimit, "There were more calls than the rate limit lets pass."),
    ("RLSE", Policy::RateLimit, "The rate limit service could not be asked, and nobody may pass without."),
    ("NR", Policy::Routing, "No route matched the call."),
    ("NC", Policy::Routing, "The route leads to an upstream cluster that is not configured."),
    ("NFCF", Policy::Routing, "The configuration of a filter had not arrived in time."),
    (
        "UO",
        Policy::CircuitBreaker,
        "The circuit breaker was open: too many connections, or calls waiting or in progress.",
    ),
    ("OM", Policy::Overload, "The proxy itself was short of memory or other means and turned the call away."),
    ("DO", Policy::Overload, "The control plane had a share of the calls to this cluster dropped."),
    ("UDO", Policy::Overload, "The upstream cluster's own policy dropped a share of the calls."),
    (
        "UH",
        Policy::OutlierEjection,
        "No upstream host was healthy: all were ejected as outliers, failed health checks, or none was there.",
    ),
    ("DF", Policy::Connection, "The upstream's name could not be resolved."),
    ("UF", Policy::Connection, "The connection to the upstream could not be made, or was refused."),
    ("UT", Policy::Timeout, "The upstream had not answered within the time-out of the route or the try."),
    ("SI", Policy::Timeout, "Nothing was sent on the stream for longer than the idle time-out."),
    ("UMSDR", Policy::Timeout, "The call lasted longer than a stream to the upstream may."),
    ("DT", Policy::Timeout, "The call or connection lasted longer than one from a caller may."),
    ("UPE", Policy::Connection, "The upstream answered in what is not the protocol."),
    ("UR", Policy::Connection, "The upstream reset the stream."),
    ("UC", Policy::Connection, "The upstream closed the connection before it had answered."),
    ("LR", Policy::Connection, "The proxy reset the stream itself."),
    ("URX", Policy::Retry, "All tries that the retry policy allows had failed, or all connection attempts."),
    ("IH", Policy::Caller, "A header that steers the proxy had a value that it does not take."),
    ("DPE", Policy::Caller, "The caller sent what is not the protocol."),
    ("DC", Policy::Caller, "The caller closed the connection before it was answered."),
    ("DR", Policy::Caller, "The caller reset the stream."),
    ("LH", Policy::Answered, "The service failed the proxy's own health check."),
    ("FI", Policy::FaultInjection, "The call was ended with an error on purpose, to test."),
    ("DI", Policy::FaultInjection, "The call was held back on purpose, to test."),
    ("RFCF", Policy::Answered, "The answer came from the proxy's cache."),
];

/// What begins so in the details of a proxy's answer.
const DETAILS: [Reason; 5] = [
    ("rbac_access_denied", Policy::Authorization, "A rule of role-based access control denied the call."),
    ("jwt_authn_access_denied", Policy::Authorization, "The caller's token was missing or not valid."),
    ("csrf_origin_mismatch", Policy::Authorization, "The call came from a page of another origin."),
    (
        "denied_by_admission_control",
        Policy::Overload,
        "So many calls had failed that a share of them was not tried.",
    ),
    (
        "reached_concurrency_limit",
        Policy::Overload,
        "More calls were in progress than the limit that was learnt from latencies.",
    ),
];

/// What applications refuse by, by a part of the type of the error.
const TYPES: [Reason; 18] = [
    (
        "circuitbreaker.CallNotPermittedException",
        Policy::CircuitBreaker,
        "A circuit breaker of resilience4j in the application was open.",
    ),
    (
        "ratelimiter.RequestNotPermitted",
        Policy::RateLimit,
        "A rate limiter of resilience4j in the application let no more pass.",
    ),
    (
        "bulkhead.BulkheadFullException",
        Policy::CircuitBreaker,
        "A bulkhead of resilience4j in the application was full: too many calls in progress.",
    ),
    (
        "block.flow.param.ParamFlowException",
        Policy::RateLimit,
        "A flow rule of Sentinel for one value of a parameter let no more pass.",
    ),
    (
        "block.flow.FlowException",
        Policy::RateLimit,
        "A flow rule of Sentinel in the application let no more pass.",
    ),
    (
        "block.degrade.DegradeException",
        Policy::CircuitBreaker,
        "A circuit breaker of Sentinel in the application was open.",
    ),
    (
        "block.authority.AuthorityException",
        Policy::Authorization,
        "An authority rule of Sentinel in the application refused the caller.",
    ),
    (
        "slots.system.SystemBlockException",
        Policy::Overload,
        "A system rule of Sentinel: load, CPU or calls in progress were above the limit.",
    ),
    (
        "block.SentinelRpcException",
        Policy::RateLimit,
        "A rule of Sentinel refused a remote call; which one is not told.",
    ),
    ("dubbo.remoting.TimeoutException", Policy::Timeout, "Dubbo had no answer within its time-out."),
    (
        "failsafe.CircuitBreakerOpenException",
        Policy::CircuitBreaker,
        "A circuit breaker of Failsafe in the application was open.",
    ),
    (
        "failsafe.RateLimitExceededException",
        Policy::RateLimit,
        "A rate limiter of Failsafe in the application let no more pass.",
    ),
    (
        "failsafe.BulkheadFullException",
        Policy::CircuitBreaker,
        "A bulkhead of Failsafe in the application was full.",
    ),
    (
        "Polly.CircuitBreaker.BrokenCircuitException",
        Policy::CircuitBreaker,
        "A circuit breaker of Polly in the application was open.",
    ),
    (
        "Polly.RateLimiting.RateLimiterRejectedException",
        Policy::RateLimit,
        "A rate limiter of Polly in the application let no more pass.",
    ),
    (
        "Polly.CircuitBreaker.IsolatedCircuitException",
        Policy::CircuitBreaker,
        "A circuit breaker of Polly in the application was held open by hand.",
    ),
    (
        "Polly.Bulkhead.BulkheadRejectedException",
        Policy::CircuitBreaker,
        "A bulkhead of Polly in the application was full: too many calls in progress.",
    ),
    (
        "breaker.CircuitBreakerError",
        Policy::CircuitBreaker,
        "A circuit breaker of the application, in Python, was open.",
    ),
];

/// Types of errors of any other time limit.
const TIMED_OUT: Reason =
    ("timeout", Policy::Timeout, "The application stopped waiting at a time limit of its own.");

/// What codes say without any flag.
const HTTP_429: Reason = ("http_429", Policy::RateLimit, "The application answered 429, too many requests.");
const GRPC_8: Reason =
    ("grpc_8", Policy::RateLimit, "The application answered RESOURCE_EXHAUSTED: a quota or limit.");
const GRPC_4: Reason = ("grpc_4", Policy::Timeout, "The deadline of the call had passed.");
/// Tries after the first.
pub const RETRIED: Reason = ("retried", Policy::Retry, "Tries after the first.");

/// What a flag means, by its short name.
pub fn of_flag(short: &str) -> Option<Reason> {
    FLAGS.into_iter().find(|(flag, ..)| *flag == short)
}

/// What a refusal that no flag tells of means; its text is what it is called.
pub fn of_refusal(refusal: &str) -> Option<(Policy, &'static str)> {
    let by_details = DETAILS.iter().find(|(known, ..)| refusal.starts_with(known));
    let by_type = || TYPES.iter().find(|(known, ..)| refusal.ends_with(known));
    let timed_out = || (refusal.to_ascii_lowercase().contains("timeout")).then_some(&TIMED_OUT);
    by_details.or_else(by_type).or_else(timed_out).map(|(_, policy, meaning)| (*policy, *meaning))
}

/// What codes of a call say that has neither flag nor refusal.
pub fn of_codes(http: Option<i64>, grpc: Option<i64>) -> Option<Reason> {
    match (http, grpc) {
        (_, Some(4)) => Some(GRPC_4),
        (_, Some(8)) => Some(GRPC_8),
        (Some(429), _) => Some(HTTP_429),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::response_flags;

    use super::*;
    use crate::refusal;

    #[test]
    fn every_flag_has_a_meaning_and_no_other_has() {
        let known: Vec<&str> = response_flags::FLAGS.iter().map(|flag| flag.short).collect();
        let told: Vec<&str> = FLAGS.iter().map(|(flag, ..)| *flag).collect();
        assert_eq!(told, known);
        assert!(of_flag("XX").is_none());
    }

    #[test]
    fn every_refusal_that_is_kept_has_a_meaning() {
        for kept in refusal::APPLICATION.into_iter().chain(refusal::PROXY) {
            assert!(of_refusal(kept).is_some(), "{kept}");
        }
        let denied = of_refusal("rbac_access_denied_matched_policy[none]").map(|(policy, _)| policy);
        assert_eq!(denied, Some(Policy::Authorization));
        let timed_out = of_refusal("java.util.concurrent.TimeoutException").map(|(policy, _)| policy);
        assert_eq!(timed_out, Some(Policy::Timeout));
    }

    #[test]
    fn codes_tell_of_limits_and_deadlines() {
        let reason = |http, grpc| of_codes(http, grpc).map(|(name, ..)| name);
        assert_eq!(reason(Some(429), None), Some("http_429"));
        assert_eq!(reason(Some(200), Some(8)), Some("grpc_8"));
        assert_eq!(reason(Some(200), Some(4)), Some("grpc_4"));
        assert_eq!((reason(Some(503), Some(14)), reason(None, None)), (None, None));
    }
}
