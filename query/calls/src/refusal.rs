//! What refused a call where no response flag tells it: filters of a proxy by its response code details, limiters and
//! breakers in applications by the type of their errors.
//!
//! Only what is known is taken, so that cells, which tell refusals apart, stay few: a message with an id in it would make
//! a cell of each.

/// What response code details of refusals without a flag begin with. Source: Envoy's documentation, "Response code
/// details", and the filters that write them: RBAC, JWT authentication, CSRF, admission control, adaptive concurrency.
pub const PROXY: [&str; 5] = [
    "rbac_access_denied",
    "jwt_authn_access_denied",
    "csrf_origin_mismatch",
    "denied_by_admission_control",
    "reached_concurrency_limit",
];

/// The policy that refused is named in brackets, the reason in braces; names of policies are few, reasons are not.
const REASON: char = '{';

/// Longest text that is kept: names of namespace, policy and rule of Istio, 63 characters each, and what is around them.
const PROXY_BYTES_MAX: usize = 256;

/// What of the response code details of a proxy tells of a refusal.
pub fn of_proxy(details: &str) -> Option<&str> {
    let is_known = PROXY.iter().any(|known| details.starts_with(known));
    let told = details.split(REASON).next().unwrap_or(details);
    let end = (0..=told.len().min(PROXY_BYTES_MAX)).rev().find(|end| told.is_char_boundary(*end));
    is_known.then(|| &told[..end.unwrap_or(0)])
}

/// Types of errors by which limiters, breakers and time limits of applications end calls. Sources: resilience4j, Sentinel
/// (`BlockException` and what extends it), Dubbo (`RpcException` has one type for all reasons and is none of them), Failsafe,
/// Polly, pybreaker, circuitbreaker of Python; the semantic conventions for `error.type` (`timeout`). Not among them are types
/// that tell the reason in their message alone: HystrixRuntimeException, and the errors of Go (gobreaker).
pub const APPLICATION: [&str; 22] = [
    "io.github.resilience4j.circuitbreaker.CallNotPermittedException",
    "io.github.resilience4j.ratelimiter.RequestNotPermitted",
    "io.github.resilience4j.bulkhead.BulkheadFullException",
    "com.alibaba.csp.sentinel.slots.block.flow.FlowException",
    "com.alibaba.csp.sentinel.slots.block.flow.param.ParamFlowException",
    "com.alibaba.csp.sentinel.slots.block.degrade.DegradeException",
    "com.alibaba.csp.sentinel.slots.block.authority.AuthorityException",
    "com.alibaba.csp.sentinel.slots.system.SystemBlockException",
    "com.alibaba.csp.sentinel.slots.block.SentinelRpcException",
    "org.apache.dubbo.remoting.TimeoutException",
    "java.util.concurrent.TimeoutException",
    "timeout",
    "dev.failsafe.CircuitBreakerOpenException",
    "dev.failsafe.RateLimitExceededException",
    "dev.failsafe.BulkheadFullException",
    "Polly.CircuitBreaker.BrokenCircuitException",
    "Polly.CircuitBreaker.IsolatedCircuitException",
    "Polly.RateLimiting.RateLimiterRejectedException",
    "Polly.Timeout.TimeoutRejectedException",
    "Polly.Bulkhead.BulkheadRejectedException",
    "pybreaker.CircuitBreakerError",
    "circuitbreaker.CircuitBreakerError",
];

/// The type of an error or of an exception, if limiters or breakers refuse by it.
pub fn of_application(error_type: &str) -> Option<&'static str> {
    APPLICATION.into_iter().find(|known| *known == error_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refuses_without_a_flag_is_known_by_its_details() {
        for (details, want) in [
            (
                "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]",
                Some("rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]"),
            ),
            ("jwt_authn_access_denied{Jwt_is_expired}", Some("jwt_authn_access_denied")),
            ("via_upstream", None),
            ("", None),
        ] {
            assert_eq!(of_proxy(details), want);
        }
        let long = format!("rbac_access_denied[{}]", "é".repeat(PROXY_BYTES_MAX));
        let kept = of_proxy(&long).map(str::len);
        assert_eq!(kept, Some(PROXY_BYTES_MAX - 1), "19 bytes and whole letters of two");
    }

    #[test]
    fn only_known_types_of_errors_are_refusals() {
        let open = "io.github.resilience4j.circuitbreaker.CallNotPermittedException";
        assert_eq!(of_application(open), Some(open));
        assert_eq!(of_application("java.lang.NullPointerException"), None);
    }
}
