//! The applications of the mesh: each pod with an OpenTelemetry SDK of its own, exporting over OTLP/gRPC.
//!
//! The SDK is used as any application would use it, except that ids come from the model (so that a seed
//! makes the same trace ids) and that nothing may be lost: before the batch queue of a pod could overflow,
//! [`Applications::emit`] waits until the receiver has caught up, and at the end every span must have been
//! acknowledged or the run has failed.
//! Limits: the SDK has two threads for each pod, and no environment variable of OpenTelemetry changes anything here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanId, Status, TraceContextExt as _, TraceId, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator, Sampler, SdkTracer, SdkTracerProvider,
};
use tonic::transport::Channel;

use super::counted_exporters::{Accepted, CountedMetrics, CountedSpans};
use super::mesh::{Instance, InstanceId, Mesh};
use super::model::Visit;
use super::spans::{self, DraftSpan, Measurement};

const SCOPE: &str = "meshlake-demo";

/// Spans that may wait in one pod's queue; more would be dropped by the SDK. At the default rate a pod
/// makes under 500 a second.
const QUEUED_SPANS_MAX: usize = 32_768;
/// Above this the emitter waits. The room above it takes what one visit adds (under 100 spans).
const UNACKNOWLEDGED_SPANS_MAX: u64 = QUEUED_SPANS_MAX as u64 / 2;
const _: () = assert!(UNACKNOWLEDGED_SPANS_MAX + 100 < QUEUED_SPANS_MAX as u64);

/// Spans of one export: the SDK's default.
const EXPORT_SPANS_MAX: usize = 512;
/// A span waits at most this long for company, so that a page reloaded by a person shows the last second.
const EXPORT_DELAY: Duration = Duration::from_millis(500);
/// A minute is the SDK's default; a demo is watched for less.
const METRIC_INTERVAL: Duration = Duration::from_secs(10);
/// One export, and the end of a provider, may take this long on a busy machine; the SDK's default is 10 s and 5 s.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(30);

/// Bounds of the HTTP duration histograms in seconds (HTTP metrics conventions, "Advice").
const DURATION_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of the database duration histogram in seconds (database metrics conventions).
const DATABASE_BOUNDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// All applications.
pub struct Applications {
    mesh: Mesh,
    /// In the order of the mesh's pods; the gateway has no application.
    by_instance: Vec<Option<Application>>,
}

impl Applications {
    /// Starts the SDK of every pod. Must run inside a tokio runtime, on which the connection lives.
    ///
    /// # Errors
    /// When an exporter cannot be built; trying again does not help.
    pub fn start(mesh: &Mesh, channel: &Channel) -> anyhow::Result<Self> {
        let started = mesh.instances().iter().map(|instance| {
            let has_application = !instance.is_gateway();
            has_application.then(|| Application::start(instance, channel.clone())).transpose()
        });
        Ok(Applications { mesh: mesh.clone(), by_instance: started.collect::<anyhow::Result<_>>()? })
    }

    /// Starts the SDKs of the pods that are new in `mesh`.
    ///
    /// # Errors
    /// As [`Applications::start`].
    pub fn join(&mut self, mesh: &Mesh, channel: &Channel) -> anyhow::Result<()> {
        for instance in &mesh.instances()[self.by_instance.len()..] {
            self.by_instance.push(Some(Application::start(instance, channel.clone())?));
        }
        self.mesh = mesh.clone();
        Ok(())
    }

    /// Ends the SDK of a pod that is gone, and gives back how many of its metric points were accepted.
    ///
    /// # Errors
    /// When a span or a point was lost.
    pub async fn leave(&mut self, pod: InstanceId) -> anyhow::Result<u64> {
        let Some(application) = self.by_instance[pod].take() else { return Ok(0) };
        tokio::task::spawn_blocking(move || application.finish()).await.context("end the SDK of a pod")?
    }

    /// Counts the requests of a visit that has begun as active.
    pub fn begin(&self, visit: &Visit) {
        self.count_active(visit, 1);
    }

    /// Makes the spans and measurements of a visit that has ended, and gives back how many spans there are.
    ///
    /// # Errors
    /// When an export failed, now or before: what was sent is then no longer known.
    ///
    /// cancel: spans already made are exported, the others are not.
    pub async fn emit(&mut self, visit: &Visit, start: SystemTime) -> anyhow::Result<u64> {
        self.count_active(visit, -1);
        let drafts = spans::spans(&self.mesh, visit, start);
        let count = drafts.len() as u64;
        for draft in drafts {
            let application = self.by_instance[draft.instance].as_mut();
            application.context("a span of a pod without an application")?.emit(draft).await?;
        }
        Ok(count)
    }

    fn count_active(&self, visit: &Visit, change: i64) {
        for draft in spans::spans(&self.mesh, visit, SystemTime::UNIX_EPOCH) {
            if let (Measurement::HttpServer, Some(application)) =
                (draft.measurement, &self.by_instance[draft.instance])
            {
                application.instruments.count_active(&draft, change);
            }
        }
    }

    /// Exports what is left, ends every SDK and gives back how many metric points were accepted.
    ///
    /// # Errors
    /// When a span or a point was lost.
    pub async fn finish(self) -> anyhow::Result<u64> {
        let mut ending = tokio::task::JoinSet::new();
        for application in self.by_instance.into_iter().flatten() {
            // The SDK's shutdown blocks until the last export is acknowledged.
            ending.spawn_blocking(move || application.finish());
        }
        let mut points = 0;
        while let Some(ended) = ending.join_next().await {
            points += ended.context("end the SDK of a pod")??;
        }
        Ok(points)
    }
}

/// The SDK of one pod.
struct Application {
    pod: String,
    ids: PresetIds,
    tracer: SdkTracer,
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    instruments: Instruments,
    emitted_spans: u64,
    accepted_spans: Accepted,
    accepted_points: Accepted,
}

impl Application {
    fn start(instance: &Instance, channel: Channel) -> anyhow::Result<Self> {
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(spans::resource_attributes(instance))
            .build();
        let ids = PresetIds::default();
        let (accepted_spans, accepted_points) = (Accepted::default(), Accepted::default());
        let exporter = SpanExporter::builder().with_tonic().with_channel(channel.clone());
        let exporter = exporter.with_timeout(EXPORT_TIME_MAX).build().context("build the span exporter")?;
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(ids.clone())
            .with_span_processor(batches(CountedSpans { exporter, accepted: accepted_spans.clone() }))
            .build();
        let exporter = MetricExporter::builder().with_tonic().with_channel(channel);
        let exporter = exporter.with_timeout(EXPORT_TIME_MAX).build().context("build the metric exporter")?;
        let counted = CountedMetrics { exporter, accepted: accepted_points.clone() };
        let reader = PeriodicReader::builder(counted).with_interval(METRIC_INTERVAL).build();
        let meters = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        Ok(Application {
            pod: instance.pod.clone(),
            ids,
            tracer: tracers.tracer(SCOPE),
            instruments: Instruments::new(&meters.meter(SCOPE)),
            tracers,
            meters,
            emitted_spans: 0,
            accepted_spans,
            accepted_points,
        })
    }

    async fn emit(&mut self, draft: DraftSpan) -> anyhow::Result<()> {
        self.check()?;
        if self.emitted_spans - self.accepted_spans.count() >= UNACKNOWLEDGED_SPANS_MAX {
            self.catch_up().await?;
        }
        self.instruments.record(&draft);
        self.ids.set(draft.context.trace_id(), draft.context.span_id());
        let parent =
            draft.parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = SpanBuilder::from_name(draft.name)
            .with_kind(draft.kind)
            .with_start_time(draft.start)
            .with_attributes(draft.attributes)
            .with_links(draft.links);
        let mut span = self.tracer.build_with_context(builder, &parent);
        if let Some(description) = draft.error {
            span.set_status(Status::error(description));
        }
        span.end_with_timestamp(draft.end);
        self.emitted_spans += 1;
        Ok(())
    }

    /// Waits until everything emitted so far is exported.
    async fn catch_up(&self) -> anyhow::Result<()> {
        let tracers = self.tracers.clone();
        let flushed = tokio::task::spawn_blocking(move || tracers.force_flush()).await;
        flushed
            .context("wait for the exporter")?
            .with_context(|| format!("flush the spans of {}", self.pod))?;
        self.check()
    }

    fn check(&self) -> anyhow::Result<()> {
        for (what, accepted) in [("spans", &self.accepted_spans), ("metrics", &self.accepted_points)] {
            if let Some(error) = accepted.error() {
                anyhow::bail!("export {what} of {}: {error}", self.pod);
            }
        }
        Ok(())
    }

    /// Blocks until both providers have ended; gives back the metric points accepted.
    fn finish(self) -> anyhow::Result<u64> {
        let spans = self.tracers.shutdown_with_timeout(EXPORT_TIME_MAX);
        let metrics = self.meters.shutdown_with_timeout(EXPORT_TIME_MAX);
        self.check()?;
        spans.with_context(|| format!("end the tracer provider of {}", self.pod))?;
        metrics.with_context(|| format!("end the meter provider of {}", self.pod))?;
        let accepted = self.accepted_spans.count();
        ensure!(
            accepted == self.emitted_spans,
            "{} made {} spans but {accepted} were accepted: the truth is not what was sent",
            self.pod,
            self.emitted_spans
        );
        Ok(self.accepted_points.count())
    }
}

fn batches(exporter: CountedSpans) -> BatchSpanProcessor {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUED_SPANS_MAX)
        .with_max_export_batch_size(EXPORT_SPANS_MAX)
        .with_scheduled_delay(EXPORT_DELAY)
        .build();
    BatchSpanProcessor::builder(exporter).with_batch_config(config).build()
}

/// Gives the SDK the ids that the model chose: those set last.
#[derive(Debug, Clone)]
struct PresetIds(Arc<Mutex<(TraceId, SpanId)>>);

impl Default for PresetIds {
    fn default() -> Self {
        PresetIds(Arc::new(Mutex::new((TraceId::INVALID, SpanId::INVALID))))
    }
}

impl PresetIds {
    fn set(&self, trace_id: TraceId, span_id: SpanId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (trace_id, span_id);
    }
}

impl IdGenerator for PresetIds {
    fn new_trace_id(&self) -> TraceId {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn new_span_id(&self) -> SpanId {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// The instruments of an application, by the names of the semantic conventions.
struct Instruments {
    http_server: Histogram<f64>,
    http_client: Histogram<f64>,
    database: Histogram<f64>,
    publish: Histogram<f64>,
    process: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let histogram = |name: &'static str, bounds: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(bounds.to_vec()).build()
        };
        Instruments {
            http_server: histogram("http.server.request.duration", &DURATION_BOUNDS),
            http_client: histogram("http.client.request.duration", &DURATION_BOUNDS),
            database: histogram("db.client.operation.duration", &DATABASE_BOUNDS),
            publish: histogram("messaging.client.operation.duration", &DURATION_BOUNDS),
            process: histogram("messaging.process.duration", &DURATION_BOUNDS),
            active: meter.i64_up_down_counter("http.server.active_requests").with_unit("{request}").build(),
        }
    }

    fn record(&self, draft: &DraftSpan) {
        let histogram = match draft.measurement {
            Measurement::HttpServer => &self.http_server,
            Measurement::HttpClient => &self.http_client,
            Measurement::Database => &self.database,
            Measurement::Publish => &self.publish,
            Measurement::Process => &self.process,
        };
        histogram.record(draft.duration.as_secs_f64(), &spans::metric_attributes(draft));
    }

    fn count_active(&self, draft: &DraftSpan, change: i64) {
        let is_label =
            |label: &&KeyValue| ["http.request.method", "url.scheme"].contains(&label.key.as_str());
        let labels: Vec<_> = draft.attributes.iter().filter(is_label).cloned().collect();
        self.active.add(change, &labels);
    }
}
