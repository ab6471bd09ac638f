//! Traces: which spans there are, and what they say. Feature `otlp`; without it nothing is compiled of
//! them, and with it nothing is recorded unless OpenTelemetry's environment names a collector.
//!
//! No span tells content, a person, a session, a token, a path with ids or a query: names of tools,
//! routes as templates, hosts, statuses, codes and counts only. The names of attributes are those of
//! OpenTelemetry's semantic conventions for HTTP and MCP.
//!
//! - `route`: paths as templates.
//! - `otlp`: spans, whose trace a caller continues, and the exporter. `inert`: its twin without the
//!   feature, which does nothing and takes no space.
//!
//! Knows nothing of memories, MCP or Zep.

mod route;

#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
use otlp as backend;

#[cfg(not(feature = "otlp"))]
mod inert;
#[cfg(not(feature = "otlp"))]
use inert as backend;

pub(crate) use backend::{Place, Span, carried};
pub use backend::{Running, start};

use http::HeaderMap;
use http::header::AsHeaderName;

/// What kind of work a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A request that is answered here.
    Server,
    /// A request that is sent.
    Client,
    /// Work that was put into a queue.
    Consumer,
}

/// The values by which a caller's trace is continued (W3C Trace Context).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallersTrace<'a> {
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) tracestate: Option<&'a str>,
}

/// Where a call of a tool came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToolCall<'a> {
    /// Its name, of those that there are.
    pub(crate) tool: &'static str,
    /// What its `_meta` carries (MCP, SEP-414).
    pub(crate) meta: CallersTrace<'a>,
    /// Whether an HTTP request brought it.
    pub(crate) is_on_a_network: bool,
    /// That request, if it is traced.
    pub(crate) request: Option<&'a Place>,
}

/// Begins the span of a request over HTTP. `method` is one of the known ones or `OTHER`, `route` a
/// template.
pub(crate) fn request(method: &'static str, route: Option<&str>, headers: &HeaderMap) -> Span {
    let from = CallersTrace {
        traceparent: only(headers, "traceparent"),
        tracestate: only(headers, "tracestate"),
    };
    let span = Span::begin(Kind::Server, from.place(), None, || {
        named(if method == "OTHER" { "HTTP" } else { method }, route)
    });
    if span.is_recorded() {
        let method = if method == "OTHER" { "_OTHER" } else { method };
        span.text("http.request.method", method);
        if let Some(route) = route {
            span.text("http.route", route.to_owned());
        }
    }
    span
}

/// Begins the span of a call of a tool. What its `_meta` carries comes before what its HTTP request
/// carried, which is then linked.
pub(crate) fn tool_call(call: ToolCall<'_>) -> Span {
    let told = call.meta.place();
    let (parent, link) = match (told, call.request) {
        (Some(told), request) => (Some(told), request),
        (None, request) => (request.cloned(), None),
    };
    let span = Span::begin(Kind::Server, parent, link, || {
        format!("tools/call {}", call.tool)
    });
    span.text("mcp.method.name", "tools/call");
    span.text("gen_ai.tool.name", call.tool);
    span.text("gen_ai.operation.name", "execute_tool");
    // OpenTelemetry, MCP: the transport of stdio is a pipe.
    let transport = if call.is_on_a_network { "tcp" } else { "pipe" };
    span.text("network.transport", transport);
    span
}

/// Begins the span of a request to a service, or of one of its retries. It is recorded within a call or
/// a delivery only: a migration would send millions.
pub(crate) fn exchange(method: &reqwest::Method, url: &reqwest::Url, retries_before: u32) -> Span {
    let span = Span::begin_within(Kind::Client, || {
        format!("{method} {}", route::template(url.path()))
    });
    if span.is_recorded() {
        span.text("http.request.method", method.as_str().to_owned());
        span.text("url.template", route::template(url.path()));
        if let Some(host) = url.host_str() {
            span.text("server.address", host.to_owned());
        }
        if let Some(port) = url.port_or_known_default() {
            span.number("server.port", port.into());
        }
        if retries_before > 0 {
            span.number("http.request.resend_count", retries_before.into());
        }
    }
    span
}

/// Begins the span of a job that a queue kept: a trace of its own, as the call that put it in was
/// answered.
pub(crate) fn delivery(queue: &'static str, attempt: u32) -> Span {
    let span = Span::begin(Kind::Consumer, None, None, || format!("deliver {queue}"));
    span.number("zep_mcp.attempt", attempt.into());
    span
}

impl CallersTrace<'_> {
    /// Where it is continued. `None` if there is none, or one that is malformed.
    fn place(self) -> Option<Place> {
        Place::named(self.traceparent?, self.tracestate)
    }
}

impl Span {
    /// Notes the status of a request that was received. Only 5xx is a failure of this program.
    pub(crate) fn answered(&self, status: u16) {
        self.number("http.response.status_code", status.into());
        if status >= 500 {
            self.failed(status.to_string());
        }
    }

    /// Notes the status of an answer to a request that was sent.
    pub(crate) fn was_answered(&self, status: u16) {
        self.number("http.response.status_code", status.into());
    }

    /// Notes how a call of a tool ended: `ok`, or the code of its error.
    pub(crate) fn ended(&self, outcome: &str) {
        if outcome != "ok" && self.is_recorded() {
            self.failed(outcome.to_owned());
        }
    }
}

/// A header's value, unless it was sent twice.
fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn named(method: &str, route: Option<&str>) -> String {
    match route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    }
}
