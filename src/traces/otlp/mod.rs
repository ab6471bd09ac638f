//! Spans with OpenTelemetry.
//!
//! - `caller`: the trace that a caller names.
//! - `settings`: where spans are sent, from OpenTelemetry's environment.
//! - `export`: starts the exporter, and ends it. `client`: how it sends.

mod caller;
mod client;
mod export;
mod settings;

pub use export::{Running, start};

use std::borrow::Cow;
use std::sync::OnceLock;

use opentelemetry::trace::{
    FutureExt, Link, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::Kind;

/// The name of what makes the spans.
const SCOPE: &str = env!("CARGO_PKG_NAME");

/// Makes the spans; unset while nothing is traced.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Traces from now on.
fn trace_to(provider: &SdkTracerProvider) {
    // A second call has no effect.
    let _ = TRACER.set(provider.tracer(SCOPE));
}

/// A span, which ends when it is dropped. Work that goes on may still begin others below it.
#[derive(Debug)]
pub(crate) struct Span(Option<Context>);

/// A place in a trace, for what happens below it.
#[derive(Debug, Clone)]
pub(crate) struct Place(Context);

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Server => Self::Server,
            Kind::Client => Self::Client,
            Kind::Consumer => Self::Consumer,
        }
    }
}

impl Span {
    /// Begins a span below this place; without one, a trace.
    pub(super) fn begin(
        kind: Kind,
        parent: Option<Place>,
        link: Option<&Place>,
        name: impl FnOnce() -> String,
    ) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self(None);
        };
        let parent = parent.map_or_else(Context::new, |place| place.0);
        let mut builder = tracer.span_builder(name()).with_kind(kind.into());
        if let Some(link) = link {
            let linked = link.0.span().span_context().clone();
            builder = builder.with_links(vec![Link::new(linked, Vec::new(), 0)]);
        }
        let span = tracer.build_with_context(builder, &parent);
        Self(Some(parent.with_span(span)))
    }

    /// Begins a span below the one that this runs in; without one, none.
    pub(super) fn begin_within(kind: Kind, name: impl FnOnce() -> String) -> Self {
        let here = TRACER.get().map(|_| Context::current());
        match here.filter(TraceContextExt::has_active_span) {
            Some(here) => Self::begin(kind, Some(Place(here)), None, name),
            None => Self(None),
        }
    }

    /// Whether what is noted is kept. It is not where the trace is not sampled.
    pub(super) fn is_recorded(&self) -> bool {
        let context = self.0.as_ref();
        context.is_some_and(|context| context.span().is_recording())
    }

    pub(super) fn text(&self, key: &'static str, value: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            let attribute = KeyValue::new(key, value.into());
            context.span().set_attribute(attribute);
        }
    }

    pub(super) fn number(&self, key: &'static str, value: i64) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Notes that it failed, and the code of why.
    pub(crate) fn failed(&self, code: impl Into<Cow<'static, str>>) {
        self.text("error.type", code);
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(""));
        }
    }

    /// Its place, for what happens elsewhere. `None` if nothing is traced.
    pub(crate) fn place(&self) -> Option<Place> {
        self.0.clone().map(Place)
    }

    /// Does work within it.
    pub(crate) fn during<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        within(self.0.clone(), work)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // Others may hold its context, which would keep it open.
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

/// The same future in the present span, for a task of its own.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    within(TRACER.get().map(|_| Context::current()), work)
}

async fn within<F: Future>(context: Option<Context>, work: F) -> F::Output {
    match context {
        Some(context) => work.with_context(context).await,
        None => work.await,
    }
}
