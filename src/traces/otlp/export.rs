//! Starts the exporter, and ends it.

use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::client::Collector;
use super::settings::Settings;

/// How long the spans that are left may take at the end of the process. Ours: containers are given ten
/// seconds, and most of them are for calls in flight.
const LAST: Duration = Duration::from_secs(2);
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// The exporter, until it is finished.
#[derive(Debug)]
pub struct Running(Option<SdkTracerProvider>);

/// Begins to trace if OpenTelemetry's environment names a collector. Sends nothing yet.
pub fn start() -> Running {
    let settings = match Settings::load(|name| std::env::var(name).ok()) {
        Ok(Some(settings)) => settings,
        Ok(None) => return Running(None),
        Err(problem) => {
            tracing::warn!("no traces are sent: {problem}");
            return Running(None);
        }
    };
    let to = settings.url.origin().ascii_serialization();
    match provider(settings) {
        Ok(provider) => {
            super::trace_to(&provider);
            tracing::info!("traces are sent to {to}");
            Running(Some(provider))
        }
        // Its text may repeat values of the environment.
        Err(_) => {
            tracing::warn!("no traces are sent: OTEL_EXPORTER_OTLP_* cannot be used");
            Running(None)
        }
    }
}

fn provider(settings: Settings) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(settings.url.as_str())
        .with_timeout(settings.timeout)
        .with_http_client(Collector::new(settings))
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(resource())
        // With a thread of its own, and a bounded queue: what does not fit in is left out.
        .with_batch_exporter(exporter)
        .build())
}

/// What the spans are of: the environment's attributes first.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let named = Resource::builder().build();
    let name = named.get(&Key::new("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attribute(version);
    match is_named {
        true => resource.build(),
        false => resource.with_service_name(SERVICE).build(),
    }
}

impl Running {
    /// Sends the spans that are left, for at most two seconds. Must not be called within a runtime.
    pub fn finish(self) {
        if let Some(provider) = self.0 {
            // What it could not send was logged where it was tried.
            let _ = provider.shutdown_with_timeout(LAST);
        }
    }
}
