//! The trace that a caller names (W3C Trace Context, level 1). What is malformed or too long is
//! ignored: it must never fail a call.

use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::{Place, TRACER};

/// The length of a `traceparent` of version 00, in bytes. Later versions may be longer.
const TRACEPARENT_BYTES: usize = 55;
/// The longest `traceparent` of a later version that is read, in bytes. Ours.
const MAX_TRACEPARENT_BYTES: usize = 128;
/// The longest `tracestate` that is kept, in bytes: what W3C Trace Context, 3.3.1.5, asks for at least.
const MAX_TRACESTATE_BYTES: usize = 512;

impl Place {
    /// The place that a caller names.
    pub(in crate::traces) fn named(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        TRACER.get()?;
        let parent = span_of(traceparent, tracestate)?;
        Some(Self(Context::new().with_remote_span_context(parent)))
    }
}

fn span_of(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    let traceparent = traceparent.trim_matches([' ', '\t']);
    if traceparent.len() > MAX_TRACEPARENT_BYTES {
        return None;
    }
    let (known, rest) = traceparent.split_at_checked(TRACEPARENT_BYTES)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = TraceId::from_hex(hex(parts.next()?, 32)?).ok()?;
    let span = SpanId::from_hex(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    let is_whole = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    if !is_whole || parts.next().is_some() {
        return None;
    }
    let state = tracestate
        .filter(|state| state.len() <= MAX_TRACESTATE_BYTES && is_state(state))
        .and_then(|state| TraceState::from_str(state).ok())
        .unwrap_or_default();
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let parent = SpanContext::new(trace, span, flags, true, state);
    parent.is_valid().then_some(parent)
}

/// The text, if it is that many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_digit)).then_some(text)
}

/// Whether a state is a list of pairs (W3C Trace Context, 3.3.1). The SDK takes more than that.
fn is_state(state: &str) -> bool {
    let is_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let is_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    let mut members = state
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    members.all(|member| {
        let pair = member.split_once('=');
        member.is_empty()
            || pair.is_some_and(|(key, value)| {
                !key.is_empty() && key.bytes().all(is_key) && value.bytes().all(is_value)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn what_is_malformed_is_ignored() {
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        let parent = span_of(&good, Some("vendor=1,other=2")).unwrap();
        assert!(parent.is_sampled() && parent.is_remote());
        assert_eq!(parent.trace_id().to_string(), TRACE);
        assert_eq!(parent.trace_state().header(), "vendor=1,other=2");
        let later = format!("cc-{TRACE}-b7ad6b7169203331-00-more");
        assert!(!span_of(&later, None).unwrap().is_sampled());

        for bad in [
            String::new(),
            "00".into(),
            "-".repeat(55),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("0-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("cc-{TRACE}-b7ad6b7169203331-01more"),
            format!("00-{TRACE}-b7ad6b7169203331-1x"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-+{}-b7ad6b7169203331-01", &TRACE[1..]),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-b7ad6b7169203331-0é"),
            "é".repeat(55),
            format!("cc-{TRACE}-b7ad6b7169203331-01-{}", "a".repeat(100)),
        ] {
            assert!(span_of(&bad, None).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_state_that_is_malformed_or_too_long_is_left_out() {
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        for bad in [
            "no pair",
            "=",
            "a=b=c",
            "é=1",
            "A=1",
            &format!("v={}", "a".repeat(600)),
        ] {
            let parent = span_of(&good, Some(bad)).unwrap();
            assert_eq!(parent.trace_state().header(), "", "{bad}");
        }
    }
}
