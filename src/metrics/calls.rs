//! What is counted as it happens: calls of tools, and requests over HTTP.

use std::borrow::Cow;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The upper bounds of durations, in seconds: from a search in the embedded store to a call that waits
/// for Zep as long as it may. Ours.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

type Label = (&'static str, Cow<'static, str>);
type Durations<const LABELS: usize> = Family<[Label; LABELS], Histogram, fn() -> Histogram>;

/// The families.
#[derive(Debug)]
pub(super) struct Calls {
    tools: Family<[Label; 2], Counter>,
    tool_seconds: Durations<1>,
    requests: Family<[Label; 3], Counter>,
    request_seconds: Durations<2>,
}

/// The class of an outcome: codes are many, and what they call for is one of a few things.
fn class(outcome: &str) -> &'static str {
    match outcome {
        "ok" => "ok",
        "cancelled" => "cancelled",
        "forbidden" | "not_yours" | "unknown_tool" => "refused",
        "not_found" | "no_such_session" => "not_found",
        "invalid_argument" | "invalid_request" | "shared_scope" => "invalid",
        "audit_unavailable" | "queue_full" | "storage_failed" => "storage",
        "too_many_unread_answers" | "too_many_migrations" | "busy" | "moving" => "busy",
        "internal_error" => "internal",
        // What Zep or mem0 failed with.
        _ => "upstream",
    }
}

fn durations() -> Histogram {
    Histogram::new(SECONDS)
}

impl Calls {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let calls = Self {
            tools: Family::default(),
            tool_seconds: Family::new_with_constructor(durations),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(durations),
        };
        registry.register(
            "tool_calls",
            "Calls of tools, by tool and class of outcome",
            calls.tools.clone(),
        );
        registry.register_with_unit(
            "tool_call_duration",
            "How long calls of tools took",
            Unit::Seconds,
            calls.tool_seconds.clone(),
        );
        registry.register(
            "http_requests",
            "Requests over HTTP, by method, route and class of status",
            calls.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long requests took up to the head of their response",
            Unit::Seconds,
            calls.request_seconds.clone(),
        );
        calls
    }

    pub(super) fn tool(&self, tool: &'static str, outcome: &str, took: Duration) {
        let labels = [("tool", tool.into()), ("outcome", class(outcome).into())];
        self.tools.get_or_create(&labels).inc();
        let labels = [("tool", tool.into())];
        let seconds = self.tool_seconds.get_or_create(&labels);
        seconds.observe(took.as_secs_f64());
    }

    pub(super) fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let status = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        let route: Cow<'static, str> = route.to_owned().into();
        let labels = [
            ("method", method.into()),
            ("route", route.clone()),
            ("status", status.into()),
        ];
        self.requests.get_or_create(&labels).inc();
        let labels = [("method", method.into()), ("route", route)];
        let seconds = self.request_seconds.get_or_create(&labels);
        seconds.observe(took.as_secs_f64());
    }
}
