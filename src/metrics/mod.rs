//! Metrics in Prometheus' text format. No label names a person, an agent, a session or a token: labels are
//! tools, routes, methods and outcomes, of which there are few.
//!
//! - `calls`: what is counted as it happens.
//! - `levels`: what is read when it is asked for.
//! - `requests`: what a server's metrics say of its requests, read back.

mod calls;
mod levels;
pub mod requests;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

pub(crate) use levels::Levels;

use calls::Calls;
use levels::Gauges;

/// What every name begins with.
const PREFIX: &str = "zep_mcp";

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Calls,
    gauges: Gauges,
}

impl Metrics {
    /// With nothing counted yet.
    pub fn new(backend: &'static str) -> Self {
        let mut registry = Registry::default();
        let ours = registry.sub_registry_with_prefix(PREFIX);
        let calls = Calls::register(ours);
        let gauges = Gauges::register(ours, backend);
        gauges.register_process(&mut registry);
        Self {
            registry,
            calls,
            gauges,
        }
    }

    /// Counts a call of a tool, with its outcome (`ok`, or the code of an error).
    pub(crate) fn tool_called(&self, tool: &'static str, outcome: &str, took: Duration) {
        self.calls.tool(tool, outcome, took);
    }

    /// Counts a request over HTTP, up to the head of its response.
    pub(crate) fn requested(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.calls.request(method, route, status, took);
    }

    /// The metrics as text, with these levels.
    ///
    /// # Errors
    /// None: a text can always be written to.
    pub(crate) fn text(&self, levels: &Levels) -> Result<String, fmt::Error> {
        self.gauges.set(levels);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
