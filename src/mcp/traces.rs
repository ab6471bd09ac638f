//! Spans of calls of tools.

use rmcp::{RoleServer, service::RequestContext};

use crate::traces::{CallersTrace, Place, Span, ToolCall, tool_call};

/// Begins the span of a call. `tool` is the name of one that there is, or `unknown`.
pub(super) fn of(tool: &'static str, context: &RequestContext<RoleServer>) -> Span {
    let parts = context.extensions.get::<http::request::Parts>();
    tool_call(ToolCall {
        tool,
        meta: CallersTrace {
            traceparent: context.meta.get_traceparent(),
            tracestate: context.meta.get_tracestate(),
        },
        is_on_a_network: parts.is_some(),
        request: parts.and_then(|parts| parts.extensions.get::<Place>()),
    })
}
