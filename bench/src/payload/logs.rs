//! Requests of log records: lines of web services, half of them within a trace.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};

use super::attributes::{integer, text};
use super::{resources, resources_of};
use crate::random::Random;

const LEVELS: [(SeverityNumber, &str); 6] = [
    (SeverityNumber::Debug, "DEBUG"),
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Info, "INFO"),
    (SeverityNumber::Warn, "WARN"),
    (SeverityNumber::Error, "ERROR"),
];

/// A request of this many log records of the second after `start`.
pub fn request(random: &mut Random, records: usize, start: u64) -> ExportLogsServiceRequest {
    let resources = resources_of(records);
    let first = random.below(resources::PODS as u64) as usize;
    let resource_logs = (0..resources).map(|n| {
        // Evenly, the remainder one each to the first.
        let count = records / resources + usize::from(n < records % resources);
        let pod = (first + n) % resources::PODS;
        let log_records = (0..count).map(|_| record(random, start, resources::service_of(pod))).collect();
        ResourceLogs {
            resource: Some(resources::resource(pod)),
            scope_logs: vec![ScopeLogs {
                scope: Some(resources::scope()),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn record(random: &mut Random, start: u64, service: &str) -> LogRecord {
    let (severity, level) = *random.one_of(&LEVELS);
    let time = start + random.below(1_000_000_000);
    let traced = random.below(2) == 0;
    let line = format!(
        "{service}: handled request {:08x} for user-{} in {} us, queue depth {}, retry {}",
        random.bits() as u32,
        random.below(100_000),
        random.log_uniform(100, 900_000),
        random.below(64),
        random.below(3),
    );
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + random.below(5_000_000),
        severity_number: severity.into(),
        severity_text: level.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(line)) }),
        attributes: vec![
            text("code.function.name", format!("com.shop.{service}.Handler.handle")),
            integer("code.line.number", random.below(900)),
            text("thread.name", format!("http-nio-8443-exec-{}", random.below(200))),
            text("tenant.id", format!("tenant-{:03}", random.below(200))),
        ],
        trace_id: if traced { random.id(16) } else { Vec::new() },
        span_id: if traced { random.id(8) } else { Vec::new() },
        ..LogRecord::default()
    }
}
