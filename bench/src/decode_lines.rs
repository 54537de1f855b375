//! What reading lines of access logs costs: the collector's own functions, in this process, without network, log or store.
//!
//! Lines are made up in the formats that most are in, no two alike, and read again and again, as many at once as make a
//! group of the collector.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use meshlake_collector::access_log::LineFormat;
use meshlake_collector::access_log::origin::LineOrigin;
use meshlake_collector::access_log::rows::decode_lines;
use meshlake_collector::request_rows::RequestBuilder;
use meshlake_collector::tally::Arrival;
use meshlake_schema::UnixNanos;

use crate::process;
use crate::random::Random;

/// Makes a line up.
type MakeLine = fn(&mut Random) -> String;

/// The formats that are measured, and what makes a line of each.
const FORMATS: [(&str, MakeLine); 3] =
    [("istio_text", istio_text), ("nginx_combined", nginx_combined), ("istio_json", istio_json)];

/// Lines that are read in turn: 20 MB of Istio's text, more than any cache of a processor.
const LINES: usize = 64 << 10;

/// One row of the page for each format: lines to finished batches, for `time` each.
///
/// # Errors
/// A line that is not read.
pub fn measure(seed: u64, time: Duration) -> anyhow::Result<Vec<Vec<String>>> {
    FORMATS.iter().map(|(name, line)| measure_one(name, *line, seed, time)).collect()
}

/// What the columns of a row are.
pub const COLUMNS: [&str; 5] =
    ["format", "bytes a line", "lines", "CPU s per million", "lines/s of one core"];

fn measure_one(name: &str, line: MakeLine, seed: u64, time: Duration) -> anyhow::Result<Vec<String>> {
    let text = lines(line, seed);
    let format = Some(LineFormat::named(name).context("a known format")?);
    let origin = LineOrigin { format, service: "edge".to_owned(), ..LineOrigin::default() };
    let (earliest, latest) = (UnixNanos(0), UnixNanos(i64::MAX));
    let arrival = Arrival { tenant: "default", ingest_time: latest, earliest, latest };
    let mut rows = RequestBuilder::default();
    let mut read = 0_u64;
    let (begin, used) = (Instant::now(), process::cpu_time(std::process::id())?);
    while begin.elapsed() < time {
        let tally = decode_lines(text.as_bytes(), &origin, &arrival, &mut rows);
        ensure!(tally.accepted == LINES as u64 && tally.unread.is_empty(), "{name}: {tally:?}");
        ensure!(rows.finish().is_some(), "{name}: no rows");
        read += tally.accepted;
    }
    let cpu = process::cpu_time(std::process::id())?.saturating_sub(used).as_secs_f64();
    Ok(vec![
        name.to_owned(),
        (text.len() / LINES).to_string(),
        read.to_string(),
        format!("{:.2}", cpu * 1e6 / read as f64),
        format!("{:.0}", read as f64 / cpu),
    ])
}

fn lines(line: MakeLine, seed: u64) -> String {
    let mut random = Random::new(seed);
    (0..LINES).map(|_| line(&mut random) + "\n").collect()
}

/// The values that change from call to call: time of day, path, status, bytes, milliseconds, ports, id.
struct Call {
    clock: String,
    path: String,
    status: u64,
    bytes: u64,
    millis: u64,
    ports: [u64; 2],
    id: String,
}

fn call(random: &mut Random) -> Call {
    let (minute, second) = (random.below(60), random.below(60));
    let id: String = random.id(16).iter().map(|byte| format!("{byte:02x}")).collect();
    Call {
        clock: format!("07:{minute:02}:{second:02}"),
        path: format!("/api/v1/orders/{}?page={}", random.below(100_000), random.below(50)),
        status: *random.one_of(&[200, 200, 200, 200, 200, 200, 304, 404, 500, 503]),
        bytes: random.log_uniform(100, 1_000_000),
        millis: random.log_uniform(1, 3_000),
        ports: [32_768 + random.below(28_000), 32_768 + random.below(28_000)],
        id: [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-"),
    }
}

fn istio_text(random: &mut Random) -> String {
    let Call { clock, path, status, bytes, millis, ports: [own, remote], id } = call(random);
    format!(
        "[2026-11-23T{clock}.846Z] \"GET {path} HTTP/1.1\" {status} - via_upstream - \"-\" 0 {bytes} {millis} {millis} \
         \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" \"{id}\" \"orders:8080\" \"10.44.1.27:8080\" \
         outbound|8080||orders.shop.svc.cluster.local 10.44.1.23:{own} 10.0.45.184:8080 10.44.1.23:{remote} - default"
    )
}

fn nginx_combined(random: &mut Random) -> String {
    let Call { clock, path, status, bytes, .. } = call(random);
    let host = random.below(250);
    format!(
        "10.0.3.{host} - - [23/Nov/2026:{clock} +0000] \"GET {path} HTTP/1.1\" {status} {bytes} \
         \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64)\""
    )
}

fn istio_json(random: &mut Random) -> String {
    let Call { clock, path, status, bytes, millis, ports: [own, remote], id } = call(random);
    format!(
        "{{\"authority\":\"orders:8080\",\"bytes_received\":0,\"bytes_sent\":{bytes},\
         \"connection_termination_details\":null,\"downstream_local_address\":\"10.0.45.184:8080\",\
         \"downstream_remote_address\":\"10.44.1.23:{remote}\",\"duration\":{millis},\"method\":\"GET\",\
         \"path\":\"{path}\",\"protocol\":\"HTTP/1.1\",\"request_id\":\"{id}\",\"requested_server_name\":null,\
         \"response_code\":{status},\"response_code_details\":\"via_upstream\",\"response_flags\":\"-\",\
         \"route_name\":\"default\",\"start_time\":\"2026-11-23T{clock}.846Z\",\
         \"upstream_cluster\":\"outbound|8080||orders.shop.svc.cluster.local\",\"upstream_host\":\"10.44.1.27:8080\",\
         \"upstream_local_address\":\"10.44.1.23:{own}\",\"upstream_service_time\":\"{millis}\",\
         \"upstream_transport_failure_reason\":null,\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64)\",\
         \"x_forwarded_for\":null}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_format_are_recognised_as_it() {
        for (name, line) in FORMATS {
            let text = lines(line, 1);
            let first: Vec<_> = text.lines().take(50).map(str::as_bytes).collect();
            assert_eq!(LineFormat::detect(&first).map(|format| format.name()), Some(name));
            assert!(measure_one(name, line, 1, Duration::from_millis(1)).is_ok(), "{name}");
        }
    }
}
