//! Logging to stderr; stdout carries MCP.

use std::any::Any;
use std::io::Write;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel, Logging, colours};

/// The log target of this crate and its binary.
const OURS: &str = "zep_mcp_server";

/// The log target of the MCP library. It logs failed calls and lost clients, sometimes with the
/// received message; this crate logs what matters of it without content.
const PROTOCOL: &str = "rmcp";

/// Starts logging for the whole process, including panics. A second call has no effect.
pub fn start(logging: Logging) {
    start_through(logging, std::io::stderr);
}

/// As [`start`], with another way to stderr: each line is one write to a writer of its own.
pub fn start_through<W: Write>(logging: Logging, writer: impl Fn() -> W + Send + Sync + 'static) {
    let level = filter(logging.level);
    // Logs of dependencies below a warning can hold addresses, headers and bodies.
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(PROTOCOL, LevelFilter::OFF)
        .with_target(OURS, level);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // A closed stderr must not end the program.
        .log_internal_errors(false);
    let layer = match logging.format {
        LogFormat::Text => layer
            .with_ansi(colours(&std::io::stderr()))
            .with_target(false)
            .boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(targets));
    if subscriber.try_init().is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(
        location = location.as_deref().unwrap_or("unknown"),
        "internal error: {}",
        loggable(panic.payload())
    );
}

/// A panic's text, if it is a literal of the program: a formatted one can hold user data.
fn loggable(payload: &dyn Any) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(text withheld, it may contain user data)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panics_text_is_logged_only_if_it_cannot_hold_data() {
        let said = "I am afraid of flying".to_owned();
        let with_data = std::panic::catch_unwind(|| panic!("cannot store {said}")).unwrap_err();
        assert!(!loggable(with_data.as_ref()).contains("flying"));
        let literal = std::panic::catch_unwind(|| panic!("a literal")).unwrap_err();
        assert_eq!(loggable(literal.as_ref()), "a literal");
    }
}
