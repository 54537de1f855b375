//! A live mesh that sends its telemetry over real sockets, and knows exactly what it sent.
//!
//! Bookinfo behind an ingress gateway, with a queue, a database that nothing instruments and a service
//! outside: applications export spans and metrics with the OpenTelemetry SDK, proxies stream access logs. Calls
//! come from a seeded model (so a run can be repeated), at the pace of the clock (so a dashboard is alive).
//! Each visit is sent when it has ended, like the telemetry of real programs. A mesh that is to have a past lives through it
//! first, as fast as it is taken.
//! Limits: one process, one connection; when the machine cannot keep up, the mesh slows down instead of
//! sending late what it missed.

mod applications;
mod counted_exporters;
mod spans;
mod sidecars;
mod access_log;
mod proxy_identity;
mod envoy_messages;
mod pace;
mod truth;
mod operations;
mod rollouts;
mod model;
mod mesh;
mod random;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tonic::transport::{Channel, Endpoint};

use applications::Applications;
use mesh::{InstanceId, Replacement};
use model::{Flag, Model, Visit};
use pace::Pace;
use rollouts::{Change, Rollouts, Schedule};
use sidecars::Sidecars;
use truth::Ledger;
pub use truth::{Sent, Truth};

/// How often the mesh looks at the clock. Short against a second, so that charts are smooth; long against
/// the work of a tick.
const TICK: Duration = Duration::from_millis(100);
/// Longer than any visit takes; a few seconds are the longest.
const VISIT_TIME_MAX: Duration = Duration::from_secs(30);
/// The receiver listens before the demo starts; a connection takes microseconds.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// What happens in the mesh and for how long.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The same seed makes the same calls.
    pub seed: u64,
    /// Visits that begin each second; each causes some six calls.
    pub requests_per_second: f64,
    /// The mesh stops after this many visits; `None` for never.
    pub requests: Option<u64>,
    /// How much of the mesh's life lies in the past when it starts.
    pub history: Duration,
    /// Where the truth is written as JSON when the mesh stops.
    pub truth: Option<PathBuf>,
}

/// Drives the mesh until `stop` completes or an option ends it, and gives back what was really sent.
/// `endpoint` takes OTLP/gRPC and Envoy's access log service, e.g. `http://127.0.0.1:4317`.
///
/// # Errors
/// When the receiver cannot be reached, when anything was refused or lost on the way (the truth would then
/// not be one), or when the truth cannot be written.
///
/// cancel: visits that have not ended are not sent, and no truth is known.
pub async fn run(
    endpoint: &str,
    options: &DemoOptions,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Truth> {
    let DemoOptions { seed, requests_per_second, requests, history, ref truth } = *options;
    let mut pace = Pace::new(requests_per_second, requests);
    let channel = connect(endpoint).await?;
    let mut mesh = LiveMesh::start(seed, &channel)?;
    tracing::info!(seed, requests_per_second, endpoint, "start demo mesh");
    let mut stop = pin!(stop);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let began = unix_nanos(SystemTime::now()).saturating_sub_unsigned(history.as_nanos() as u64);
    let mut now = began;
    loop {
        let next = now.saturating_add_unsigned(TICK.as_nanos() as u64);
        let present = unix_nanos(SystemTime::now());
        // What is past is not waited for.
        let is_past = next <= present;
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = ticks.tick(), if !is_past => {}
            () = tokio::task::yield_now(), if is_past => {}
        }
        now = if is_past { next } else { unix_nanos(SystemTime::now()) };
        let elapsed = Duration::from_nanos(u64::try_from(now - began).unwrap_or_default());
        for start in pace.starts(elapsed) {
            mesh.begin(began, start.as_nanos() as u64)?;
        }
        mesh.send_ended(now).await?;
        if pace.is_over() && mesh.pending.is_empty() {
            break;
        }
    }
    let sent = mesh.finish(seed).await?;
    if let Some(path) = truth {
        write_truth(path, &sent)?;
    }
    Ok(sent)
}

async fn connect(endpoint: &str) -> anyhow::Result<Channel> {
    let endpoint =
        Endpoint::from_shared(endpoint.to_owned()).with_context(|| format!("read endpoint {endpoint:?}"))?;
    let shown = endpoint.uri().to_string();
    endpoint.connect_timeout(CONNECT_TIME_MAX).connect().await.with_context(|| format!("connect to {shown}"))
}

/// The mesh while it runs.
struct LiveMesh {
    model: Model,
    applications: Applications,
    sidecars: Sidecars,
    ledger: Ledger,
    schedule: Schedule,
    rollouts: Rollouts,
    /// Pods that made way for others, and when.
    leaving: Vec<(i64, InstanceId)>,
    channel: Channel,
    sent: Sent,
    /// Visits that have begun, with their start in nanoseconds since the epoch, in no order. At most the
    /// rate times the longest visit (some four seconds).
    pending: Vec<(i64, Visit)>,
}

impl LiveMesh {
    fn start(seed: u64, channel: &Channel) -> anyhow::Result<Self> {
        let model = Model::new(seed);
        let applications = Applications::start(model.mesh(), channel)?;
        let sidecars = Sidecars::new(model.mesh(), channel);
        let (ledger, sent) = (Ledger::default(), Sent::default());
        let (schedule, rollouts) = (Schedule::default(), Rollouts::default());
        let (channel, leaving, pending) = (channel.clone(), Vec::new(), Vec::new());
        Ok(LiveMesh {
            model,
            applications,
            sidecars,
            ledger,
            schedule,
            rollouts,
            leaving,
            channel,
            sent,
            pending,
        })
    }

    /// Begins a visit so many nanoseconds after the mesh `began`.
    fn begin(&mut self, began: i64, elapsed: u64) -> anyhow::Result<()> {
        let start = began.saturating_add_unsigned(elapsed);
        for change in self.schedule.due(elapsed) {
            match change {
                Change::Replace(how) => self.replace(how, start)?,
                Change::Forget => self.model.forget_dead(),
            }
        }
        let visit = self.model.visit();
        if visit.entry.outbound.is_some_and(|seen| seen.flag == Some(Flag::NoConnection)) {
            self.rollouts.lost();
        }
        self.applications.begin(&visit);
        // Proxies report whole microseconds.
        self.pending.push((start - start.rem_euclid(1_000), visit));
        Ok(())
    }

    fn replace(&mut self, how: Replacement, now: i64) -> anyhow::Result<()> {
        let (old, new) = self.model.replace_oldest(rollouts::SERVICE, how);
        let mesh = self.model.mesh();
        let (gone, came) = (mesh.instance(old), mesh.instance(new));
        self.rollouts.replaced(&gone.node(), how, &gone.pod, &came.pod);
        self.applications.join(mesh, &self.channel)?;
        self.sidecars.join(mesh, &self.channel);
        self.leaving.push((now, old));
        Ok(())
    }

    /// Ends what runs in pods that made way long enough ago for their last visit to have ended.
    async fn let_go(&mut self, now: i64) -> anyhow::Result<()> {
        let stays = VISIT_TIME_MAX.as_nanos() as i64;
        let leaving = self.leaving.extract_if(.., |(gone, _)| now.saturating_sub(*gone) > stays);
        for (_, pod) in leaving.collect::<Vec<_>>() {
            self.sent.metric_points += self.applications.leave(pod).await?;
            self.sidecars.leave(pod).await?;
        }
        Ok(())
    }

    async fn send_ended(&mut self, now: i64) -> anyhow::Result<()> {
        let has_ended = |(start, visit): &mut (i64, Visit)| start.saturating_add_unsigned(visit.end()) <= now;
        let ended: Vec<_> = self.pending.extract_if(.., has_ended).collect();
        for (start, visit) in ended {
            self.send(start, &visit).await?;
        }
        self.let_go(now).await?;
        self.sidecars.flush().await
    }

    async fn send(&mut self, start: i64, visit: &Visit) -> anyhow::Result<()> {
        let at =
            UNIX_EPOCH + Duration::from_nanos(u64::try_from(start).context("the clock stands before 1970")?);
        self.sent.spans += self.applications.emit(visit, at).await?;
        self.sent.log_entries += self.sidecars.log(visit, start);
        self.sent.visits += 1;
        self.ledger.add(self.model.mesh(), visit, start);
        Ok(())
    }

    /// Sends what has begun, though it may end a few seconds from now, and waits until all is accepted.
    async fn finish(mut self, seed: u64) -> anyhow::Result<Truth> {
        self.send_ended(i64::MAX).await?;
        self.sidecars.finish().await?;
        self.sent.metric_points += self.applications.finish().await?;
        Ok(self.ledger.truth(self.model.mesh(), seed, self.sent, self.rollouts.truth()))
    }
}

fn write_truth(path: &Path, truth: &Truth) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(truth).context("write the truth as JSON")?;
    json.push(b'\n');
    std::fs::write(path, json).with_context(|| format!("write the truth to {}", path.display()))
}

fn unix_nanos(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
        AccessLogService, AccessLogServiceServer,
    };
    use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
    use envoy_types::pb::envoy::service::accesslog::v3::{StreamAccessLogsMessage, StreamAccessLogsResponse};
    use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
        MetricsService, MetricsServiceServer,
    };
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use tokio::sync::Notify;
    use tonic::{Request, Response, Status, Streaming};

    use super::*;

    /// SERVER and CONSUMER, by trace.proto.
    const COUNTED_KINDS: [i32; 2] = [2, 5];

    /// What a receiver saw, by arithmetic of its own.
    #[derive(Debug, Default)]
    struct Seen {
        spans: u64,
        served: BTreeMap<String, u64>,
        log_entries: u64,
        inbound: BTreeMap<String, u64>,
        metric_points: u64,
        identifiers: Vec<String>,
    }

    #[derive(Clone, Default)]
    struct Receiver {
        seen: Arc<Mutex<Seen>>,
        first_log: Arc<Notify>,
        refuses_spans: bool,
    }

    #[tonic::async_trait]
    impl TraceService for Receiver {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            if self.refuses_spans {
                return Err(Status::invalid_argument("no spans today"));
            }
            let mut seen = self.seen.lock().expect("no test panics while it holds the lock");
            for resource in request.into_inner().resource_spans {
                let attributes = resource.resource.unwrap_or_default().attributes;
                let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
                let name = match name.and_then(|name| name.value).and_then(|value| value.value) {
                    Some(Value::StringValue(name)) => name,
                    other => panic!("service.name is {other:?}"),
                };
                for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    seen.spans += 1;
                    if COUNTED_KINDS.contains(&span.kind) {
                        *seen.served.entry(name.clone()).or_default() += 1;
                    }
                }
            }
            Ok(Response::new(ExportTraceServiceResponse::default()))
        }
    }

    #[tonic::async_trait]
    impl MetricsService for Receiver {
        async fn export(
            &self,
            request: Request<ExportMetricsServiceRequest>,
        ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
            let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
            let points = scopes.flat_map(|scope| scope.metrics).map(|metric| match metric.data {
                Some(Data::Sum(sum)) => sum.data_points.len(),
                Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                other => panic!("{} is {other:?}", metric.name),
            });
            let points = points.sum::<usize>() as u64;
            self.seen.lock().expect("no test panics while it holds the lock").metric_points += points;
            Ok(Response::new(ExportMetricsServiceResponse::default()))
        }
    }

    #[tonic::async_trait]
    impl AccessLogService for Receiver {
        async fn stream_access_logs(
            &self,
            request: Request<Streaming<StreamAccessLogsMessage>>,
        ) -> Result<Response<StreamAccessLogsResponse>, Status> {
            let mut messages = request.into_inner();
            let mut cluster = None;
            while let Some(message) = messages.message().await? {
                let mut seen = self.seen.lock().expect("no test panics while it holds the lock");
                if let Some(node) = message.identifier.and_then(|identifier| identifier.node) {
                    seen.identifiers.push(node.id);
                    cluster = Some(node.cluster);
                }
                let Some(LogEntries::HttpLogs(logs)) = message.log_entries else { continue };
                for entry in logs.log_entry {
                    seen.log_entries += 1;
                    let upstream = entry.common_properties.map(|common| common.upstream_cluster);
                    if upstream.is_some_and(|upstream| upstream.starts_with("inbound|")) {
                        let cluster =
                            cluster.clone().ok_or_else(|| Status::invalid_argument("no identifier"))?;
                        *seen.inbound.entry(cluster).or_default() += 1;
                    }
                }
                self.first_log.notify_one();
            }
            Ok(Response::new(StreamAccessLogsResponse {}))
        }
    }

    /// Three hundred visits to this receiver; the mesh is stopped as soon as it has logged something, so
    /// that what has not ended is sent early and no test waits for the slow visits.
    async fn run_against(receiver: &Receiver) -> anyhow::Result<Truth> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let otlp_grpc = format!("http://{}", listener.local_addr()?);
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(receiver.clone()))
            .add_service(MetricsServiceServer::new(receiver.clone()))
            .add_service(AccessLogServiceServer::new(receiver.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        let server = tokio::spawn(server);
        let options = DemoOptions {
            seed: 42,
            requests_per_second: 10_000.0,
            requests: Some(300),
            history: Duration::ZERO,
            truth: None,
        };
        let truth = run(&otlp_grpc, &options, receiver.first_log.notified()).await;
        server.abort();
        truth
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_truth_is_what_a_receiver_saw() {
        let receiver = Receiver::default();
        let truth = run_against(&receiver).await.expect("everything is accepted");
        let seen = receiver.seen.lock().expect("no handler panicked");
        assert!(truth.sent.visits > 0 && truth.sent.visits <= 300);
        assert_eq!((truth.sent.spans, truth.sent.log_entries), (seen.spans, seen.log_entries));
        assert_eq!(truth.sent.metric_points, seen.metric_points);
        assert!(seen.metric_points > 0);
        for service in truth.services.iter().filter(|service| service.namespace.is_some()) {
            let spans = service.server_span.as_ref().map_or(0, |golden| golden.requests);
            assert_eq!(
                seen.served.get(&service.name).copied().unwrap_or_default(),
                spans,
                "{}",
                service.name
            );
            let cluster = format!("{}.default", service.name);
            let logged = seen.inbound.get(&cluster).copied().unwrap_or_default();
            let known = service.server_proxy.as_ref().map_or(0, |golden| golden.requests);
            // The gateway's own rows are outbound ones.
            assert_eq!(logged, if service.kind == "gateway" { 0 } else { known }, "{}", service.name);
        }
        let proxies: std::collections::BTreeSet<_> = seen.identifiers.iter().collect();
        assert_eq!(proxies.len(), seen.identifiers.len(), "a proxy introduces itself once");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_refused_span_fails_the_run() {
        let receiver = Receiver { refuses_spans: true, ..Receiver::default() };
        let error = run_against(&receiver).await.expect_err("the truth would be wrong");
        assert!(format!("{error:#}").contains("export spans of"), "{error:#}");
    }

    #[tokio::test]
    async fn a_receiver_that_is_not_there_is_named() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = closed.local_addr().expect("bound");
        drop(closed);
        let options = DemoOptions {
            seed: 1,
            requests_per_second: 1.0,
            requests: None,
            history: Duration::ZERO,
            truth: None,
        };
        let endpoint = format!("http://{address}");
        let error = run(&endpoint, &options, std::future::pending()).await.expect_err("nobody listens");
        assert!(format!("{error:#}").contains(&format!("connect to http://{address}")), "{error:#}");
    }
}
