//! What a user may set about the collector.
//!
//! Only what two users need differently is here; every other bound is a constant beside its code.

use std::time::Duration;

use meshlake_listen::check_address;
use meshlake_store::wal::exports::AGE_MAX_SECONDS;
use serde::{Deserialize, Serialize};

use crate::admit::cors::is_origin;
use crate::admit::quota::TenantLimits;
use crate::receivers::SyslogAppConfig;
use crate::receivers::tail::{self, TailConfig};

/// The largest budget that can be counted; see `intake::Budget`.
const IN_FLIGHT_BYTES_LIMIT: u64 = u32::MAX as u64;

/// Column offsets are 32 bits; see `intake::GROUP_BYTES_MAX`.
const EXPORT_BYTES_LIMIT: u64 = 64 << 20;

/// A day: at a hundred exports a second more are not remembered anyway; see `intake::recent`.
const RETRY_WINDOW_SECONDS_LIMIT: u64 = 86_400;
const _: () = assert!(RETRY_WINDOW_SECONDS_LIMIT <= AGE_MAX_SECONDS as u64, "a restart remembers as long");

/// A century; more is a typing error.
const RETENTION_DAYS_LIMIT: u32 = 36_500;

/// The keys that [`Collector::set_limits`](crate::Collector::set_limits) takes while the collector runs.
pub const LIVE_KEYS: [&str; 5] = [
    "in_flight_bytes_max",
    "export_bytes_max",
    "tenant_bytes_per_second_max",
    "tenant_in_flight_bytes_max",
    "connections_max",
];

/// The section `[collector]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectorConfig {
    /// Where OTLP/gRPC and Envoy's access log service listen; `host:port`, port 0 takes a free one, no host every
    /// address of the machine.
    /// Default 127.0.0.1:4317, OTLP's own port; loopback because there is no authentication.
    pub otlp_grpc: String,
    /// Where OTLP/HTTP listens. Default 127.0.0.1:4318, OTLP's own port.
    pub otlp_http: String,
    /// Origins of web pages, as `https://shop.example`, whose browsers may send over OTLP/HTTP; `*` is every page, without
    /// its credentials. Default none: what a browser sends for a page that nobody named is refused.
    pub cors_origins: Vec<String>,
    /// Bytes of exports that may be in memory at once: as sent, plus inflated, plus what rows take beyond that. Above it
    /// senders are told to come back. Default 192 MiB: as much as the store buffers by default, where it becomes rows, and
    /// enough for the largest export however it is packed.
    pub in_flight_bytes_max: u64,
    /// Bytes of one export, as sent and after inflating. Default 64 MiB, as OTLP 1.11 recommends, which is
    /// also the most.
    pub export_bytes_max: u64,
    /// Bytes a second that each tenant may send, in the mean; twice as many at once after a silence. Above it the
    /// tenant alone is told to come back. Default 0, which is no limit: most have one tenant.
    pub tenant_bytes_per_second_max: u64,
    /// Bytes of `in_flight_bytes_max` that each tenant may have in memory at once. Default 0, which is no limit of
    /// its own; with one, a tenant cannot keep the others out.
    pub tenant_in_flight_bytes_max: u64,
    /// Connections over both ports. Default 1024: one per sidecar of a large namespace.
    pub connections_max: u32,
    /// Records older than this many days are refused. Default 30, the store's retention.
    pub retention_days: u32,
    /// An OTLP export that comes again, the same to the last byte, within this many seconds is acknowledged
    /// and not stored again. Default 600: senders give up after a few minutes. 0 stores repeats, for senders
    /// that repeat themselves in earnest: log records with times in whole seconds may be alike. Those without times
    /// are always stored.
    pub retry_window_seconds: u64,
    /// Whether OTLP log records whose body is a line of an access log become rows of `requests`, whoever sends them: a
    /// Collector that reads files, Fluent Bit. Default false, as applications may print such lines about calls that their
    /// proxies log as well; what Envoy's own OTLP logger sends becomes requests always.
    pub otlp_access_logs: bool,
    /// Where syslog is taken, over TCP and UDP; 127.0.0.1:5514 is usual. Default empty: nowhere.
    pub syslog: String,
    /// What the lines of programs are that log by syslog. Default none: each line is recognised by itself.
    pub syslog_apps: Vec<SyslogAppConfig>,
    /// Files of access logs that are followed. Default none.
    pub tail: Vec<TailConfig>,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        CollectorConfig {
            otlp_grpc: "127.0.0.1:4317".to_owned(),
            otlp_http: "127.0.0.1:4318".to_owned(),
            cors_origins: Vec::new(),
            in_flight_bytes_max: 192 << 20,
            export_bytes_max: EXPORT_BYTES_LIMIT,
            tenant_bytes_per_second_max: 0,
            tenant_in_flight_bytes_max: 0,
            connections_max: 1024,
            retention_days: 30,
            retry_window_seconds: 600,
            otlp_access_logs: false,
            syslog: String::new(),
            syslog_apps: Vec::new(),
            tail: Vec::new(),
        }
    }
}

impl CollectorConfig {
    /// Every value that cannot work, each as one line that names its key; empty when all can.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let syslog = (!self.syslog.is_empty()).then_some(("syslog", &self.syslog));
        let addresses = [("otlp_grpc", &self.otlp_grpc), ("otlp_http", &self.otlp_http)];
        for (key, address) in addresses.into_iter().chain(syslog) {
            if let Err(error) = check_address(address) {
                problems
                    .push(format!("collector.{key}: {address:?} is not an address to listen on: {error}"));
            }
        }
        for origin in self.cors_origins.iter().filter(|origin| !is_origin(origin)) {
            problems.push(format!(
                "collector.cors_origins: {origin:?} is not an origin as browsers send it, like https://shop.example \
                 or http://localhost:8080, and not *"
            ));
        }
        let numbers = [
            ("in_flight_bytes_max", self.in_flight_bytes_max, self.export_bytes_max, IN_FLIGHT_BYTES_LIMIT),
            ("export_bytes_max", self.export_bytes_max, 1, EXPORT_BYTES_LIMIT),
            ("connections_max", self.connections_max.into(), 1, u32::MAX.into()),
            ("retention_days", self.retention_days.into(), 1, RETENTION_DAYS_LIMIT.into()),
            ("retry_window_seconds", self.retry_window_seconds, 0, RETRY_WINDOW_SECONDS_LIMIT),
        ];
        for (key, value, least, most) in numbers {
            if !(least..=most).contains(&value) {
                problems.push(format!("collector.{key}: {value} is not between {least} and {most}"));
            }
        }
        problems.extend(self.problems_of_lines());
        let share = self.tenant_in_flight_bytes_max;
        if share != 0 && share < self.export_bytes_max {
            let least = self.export_bytes_max;
            problems.push(format!(
                "collector.tenant_in_flight_bytes_max: {share} is neither 0 nor at least {least}"
            ));
        }
        problems
    }

    fn problems_of_lines(&self) -> impl Iterator<Item = String> {
        let tail = self.tail.iter().map(tail::problems).enumerate();
        let tail = tail
            .flat_map(|(at, told)| told.into_iter().map(move |told| format!("collector.tail[{at}].{told}")));
        let apps = self.syslog_apps.iter().map(SyslogAppConfig::problems).enumerate();
        tail.chain(apps.flat_map(|(at, told)| {
            told.into_iter().map(move |told| format!("collector.syslog_apps[{at}].{told}"))
        }))
    }

    /// What each tenant may use.
    pub(crate) fn tenant_limits(&self) -> TenantLimits {
        let share = (self.tenant_in_flight_bytes_max > 0).then_some(self.tenant_in_flight_bytes_max);
        TenantLimits {
            bytes_per_second: (self.tenant_bytes_per_second_max > 0)
                .then_some(self.tenant_bytes_per_second_max),
            in_flight_bytes: share.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        }
    }

    /// How long records are kept.
    pub fn retention(&self) -> Duration {
        const SECONDS_PER_DAY: u64 = 86_400;
        Duration::from_secs(u64::from(self.retention_days) * SECONDS_PER_DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work() {
        assert_eq!(CollectorConfig::default().problems(), Vec::<String>::new());
        assert_eq!(CollectorConfig::default().retention(), Duration::from_secs(2_592_000));
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let config = CollectorConfig {
            otlp_grpc: "nowhere".to_owned(),
            cors_origins: vec!["https://shop.example/".to_owned()],
            in_flight_bytes_max: 10,
            export_bytes_max: (64 << 20) + 1,
            tenant_in_flight_bytes_max: 64 << 20,
            connections_max: 0,
            retention_days: 36_501,
            retry_window_seconds: 86_401,
            ..CollectorConfig::default()
        };
        let keys: Vec<_> =
            config.problems().iter().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
        let want = [
            "otlp_grpc",
            "cors_origins",
            "in_flight_bytes_max",
            "export_bytes_max",
            "connections_max",
            "retention_days",
            "retry_window_seconds",
            "tenant_in_flight_bytes_max",
        ];
        assert_eq!(keys, want.map(|key| format!("collector.{key}")));
    }

    #[test]
    fn unknown_keys_are_an_error_and_missing_ones_the_default() {
        let read = |text| serde_json::from_str::<CollectorConfig>(text);
        assert_eq!(read("{}").ok(), Some(CollectorConfig::default()));
        assert!(read(r#"{"otlp_grcp": "127.0.0.1:4317"}"#).is_err());
    }
}
