//! Envoy's response flags: their bits, their names, and what each tells about a call.
//!
//! Sources: envoy/data/accesslog/v3/accesslog.proto `ResponseFlags` (field numbers) and Envoy's access
//! log documentation, `%RESPONSE_FLAGS%` (short names and meanings). Bit `n - 1` stands for field `n`.
//! DO and UDO have no field in the message; they take bits 32 and 33 and arrive by name only.

/// What kind of fault a proxy's flags tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultClass {
    AuthzDenied,
    RateLimited,
    RateLimitInfra,
    NoRoute,
    Config,
    CircuitBroken,
    OverloadShed,
    LoadShed,
    UpstreamUnavailable,
    UpstreamConnect,
    Timeout,
    ServerError,
    ResetUpstream,
    ResetLocal,
    RetriesExhausted,
    ClientError,
    ClientAbort,
    HealthCheck,
    FaultInjection,
    FromCache,
}

impl FaultClass {
    pub const fn name(self) -> &'static str {
        match self {
            FaultClass::AuthzDenied => "authz_denied",
            FaultClass::RateLimited => "rate_limited",
            FaultClass::RateLimitInfra => "rate_limit_infra",
            FaultClass::NoRoute => "no_route",
            FaultClass::Config => "config",
            FaultClass::CircuitBroken => "circuit_broken",
            FaultClass::OverloadShed => "overload_shed",
            FaultClass::LoadShed => "load_shed",
            FaultClass::UpstreamUnavailable => "upstream_unavailable",
            FaultClass::UpstreamConnect => "upstream_connect",
            FaultClass::Timeout => "timeout",
            FaultClass::ServerError => "server_error",
            FaultClass::ResetUpstream => "reset_upstream",
            FaultClass::ResetLocal => "reset_local",
            FaultClass::RetriesExhausted => "retries_exhausted",
            FaultClass::ClientError => "client_error",
            FaultClass::ClientAbort => "client_abort",
            FaultClass::HealthCheck => "health_check",
            FaultClass::FaultInjection => "fault_injection",
            FaultClass::FromCache => "from_cache",
        }
    }
}

/// Whether a flag by itself makes the call an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call failed, whatever status was sent.
    Error,
    /// The caller broke a rule or a quota: a client error, whatever status was sent.
    ClientError,
    /// The caller went away.
    Aborted,
    /// The status decides.
    ByStatus,
}

/// One flag.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    pub bit: u32,
    pub short: &'static str,
    pub class: FaultClass,
    pub verdict: Verdict,
}

const fn flag(bit: u32, short: &'static str, class: FaultClass, verdict: Verdict) -> Flag {
    Flag { bit, short, class, verdict }
}

/// All flags in order of precedence: of several, the first one here names the fault class. What refused
/// the call comes before what happened to it, and a cause before its consequence (URX rides with one).
pub const FLAGS: [Flag; 30] = {
    use FaultClass as C;
    use Verdict as V;
    [
        flag(12, "UAEX", C::AuthzDenied, V::ClientError),
        flag(11, "RL", C::RateLimited, V::ClientError),
        flag(13, "RLSE", C::RateLimitInfra, V::Error),
        flag(8, "NR", C::NoRoute, V::Error),
        flag(24, "NC", C::NoRoute, V::Error),
        flag(21, "NFCF", C::Config, V::Error),
        flag(7, "UO", C::CircuitBroken, V::Error),
        flag(25, "OM", C::OverloadShed, V::Error),
        flag(32, "DO", C::LoadShed, V::Error),
        flag(33, "UDO", C::LoadShed, V::Error),
        flag(1, "UH", C::UpstreamUnavailable, V::Error),
        flag(26, "DF", C::UpstreamUnavailable, V::Error),
        flag(5, "UF", C::UpstreamConnect, V::Error),
        flag(2, "UT", C::Timeout, V::Error),
        flag(16, "SI", C::Timeout, V::ByStatus),
        flag(19, "UMSDR", C::Timeout, V::Error),
        flag(22, "DT", C::Timeout, V::ByStatus),
        flag(23, "UPE", C::ServerError, V::Error),
        flag(4, "UR", C::ResetUpstream, V::Error),
        flag(6, "UC", C::ResetUpstream, V::Error),
        flag(3, "LR", C::ResetLocal, V::Error),
        flag(15, "URX", C::RetriesExhausted, V::Error),
        flag(17, "IH", C::ClientError, V::ClientError),
        flag(18, "DPE", C::ClientError, V::ClientError),
        flag(14, "DC", C::ClientAbort, V::Aborted),
        flag(27, "DR", C::ClientAbort, V::Aborted),
        flag(0, "LH", C::HealthCheck, V::ByStatus),
        flag(10, "FI", C::FaultInjection, V::ByStatus),
        flag(9, "DI", C::FaultInjection, V::ByStatus),
        flag(20, "RFCF", C::FromCache, V::ByStatus),
    ]
};

/// A set of response flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseFlags(pub u64);

impl ResponseFlags {
    /// Adds the flag of field `field` of the `ResponseFlags` message; fields without a known flag are kept as bits.
    pub fn set_field(&mut self, field: u32) {
        if (1..=64).contains(&field) {
            self.0 |= 1 << (field - 1);
        }
    }

    /// Reads a comma-separated list of short names; `-` and names that are not known add nothing.
    pub fn from_short_names(text: &str) -> Self {
        let names = text.split(',').map(str::trim);
        let bits = names.filter_map(|name| FLAGS.iter().find(|f| f.short == name)).map(|f| 1 << f.bit);
        ResponseFlags(bits.fold(0, |set, bit: u64| set | bit))
    }

    /// The flags that are set, most telling first.
    pub fn iter(self) -> impl Iterator<Item = &'static Flag> {
        // Most calls have none, and every call is asked several times.
        let flags = if self.0 == 0 { [].as_slice() } else { &FLAGS };
        flags.iter().filter(move |f| self.0 & (1 << f.bit) != 0)
    }

    /// The short names, comma separated, most telling first; `None` when no known flag is set.
    pub fn short_names(self) -> Option<String> {
        let names: Vec<_> = self.iter().map(|f| f.short).collect();
        (!names.is_empty()).then(|| names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn bits_and_names_are_unique() {
        assert_eq!(FLAGS.iter().map(|f| f.bit).collect::<HashSet<_>>().len(), FLAGS.len());
        assert_eq!(FLAGS.iter().map(|f| f.short).collect::<HashSet<_>>().len(), FLAGS.len());
    }

    #[test]
    fn fields_of_the_message_have_their_documented_names() {
        // Field numbers as in accesslog.proto: no_healthy_upstream = 2, rate_limited = 12, ...
        let fields = [
            (1, "LH"),
            (2, "UH"),
            (3, "UT"),
            (6, "UF"),
            (8, "UO"),
            (9, "NR"),
            (12, "RL"),
            (15, "DC"),
            (16, "URX"),
            (19, "DPE"),
            (25, "NC"),
            (28, "DR"),
        ];
        for (field, short) in fields {
            let mut flags = ResponseFlags::default();
            flags.set_field(field);
            assert_eq!(flags.short_names().as_deref(), Some(short), "field {field}");
            assert_eq!(ResponseFlags::from_short_names(short), flags);
        }
    }

    #[test]
    fn lists_keep_all_flags_and_lead_with_the_cause() {
        let flags = ResponseFlags::from_short_names("URX,UF");
        assert_eq!(flags.short_names().as_deref(), Some("UF,URX"));
        assert_eq!(ResponseFlags::from_short_names("-"), ResponseFlags::default());
        assert_eq!(ResponseFlags::default().short_names(), None);
        let mut out_of_range = ResponseFlags::default();
        out_of_range.set_field(0);
        out_of_range.set_field(65);
        assert_eq!(out_of_range, ResponseFlags::default());
    }
}
