//! What this process says about itself: logs on standard error, and optionally its own traces over OTLP.
//!
//! Traces are off by default. When the endpoint is our own collector, what it receives is exported again
//! only if a receiver made spans; receivers make none, so there is no loop.

use anyhow::{Context as _, Result};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::TelemetrySection;

/// Only our own spans are exported; those of the HTTP stack would drown them.
const EXPORTED: &str = "off,meshlake=info,meshlake_store=info,meshlake_collector=info,meshlake_query=info,meshlake_engine=info,meshlake_faces=info";

/// Ends the export of traces when it is stopped.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging, and the export of traces when an endpoint is configured. Must run inside a tokio runtime.
///
/// # Errors
/// The log filter or the endpoint is not valid, or logging was started before.
pub fn start(section: &TelemetrySection) -> Result<Telemetry> {
    let filter = EnvFilter::try_new(&section.log).context("read telemetry.log")?;
    // A line that cannot be written is lost. The layer's own way is to say so with eprintln!, which panics
    // for the same reason: a log file on a full disk would end the threads that log that it is full.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_filter(filter);
    let provider = match section.otlp_endpoint.as_str() {
        "" => None,
        endpoint => Some(tracer_provider(endpoint).with_context(|| format!("export traces to {endpoint}"))?),
    };
    let export = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("meshlake"))
            .with_filter(EnvFilter::new(EXPORTED))
    });
    tracing_subscriber::registry().with(log).with(export).try_init().context("start logging")?;
    Ok(Telemetry { provider })
}

fn tracer_provider(endpoint: &str) -> Result<SdkTracerProvider> {
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name("meshlake").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Telemetry {
    /// Sends what is still queued.
    pub fn stop(self) {
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "export the last traces");
        }
    }
}
