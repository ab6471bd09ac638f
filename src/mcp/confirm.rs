//! Asking the person before memories are deleted in bulk, by MCP elicitation.
//!
//! Until protocol version 2025-11-25 the server sends an elicitation request and waits. From
//! 2026-07-28 on it answers "input required", and the client repeats the call with the person's answer.

use std::{collections::BTreeMap, time::Duration};

use rmcp::{
    RoleServer,
    model::{
        CallToolResponse, CallToolResult, ElicitRequest, ElicitRequestParams, ElicitResult,
        ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, InputResponses,
        ProtocolVersion,
    },
    service::{ElicitationError, RequestContext, ServiceError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{error::ToolError, handshake::has_returned, server::MemoryServer};
use crate::config::{Confirm, Setting};
use crate::memory::input::EntityIds;

/// How long the person may take to answer.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The key of our question among the input responses of a repeated call.
const QUESTION: &str = "confirm_deletion";

/// The person's answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Confirmation {
    /// Delete for good
    confirm: bool,
}

rmcp::elicit_safe!(Confirmation);

/// The input responses of a repeated call.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) responses: InputResponses,
    pub(super) state: Option<String>,
}

/// Outcome of asking.
pub(super) enum Confirmed {
    /// The person said yes.
    Yes,
    /// Nobody was asked: the client cannot ask, or the operator switched it off.
    NotAsked,
    /// The person is being asked; this goes back to the client.
    Asking(Box<CallToolResponse>),
}

impl MemoryServer {
    /// Asks the person, if the client supports it.
    ///
    /// # Errors
    /// If they declined or did not answer.
    pub(super) async fn confirm(
        &self,
        context: &RequestContext<RoleServer>,
        question: &str,
        scope: EntityIds<'_>,
    ) -> Result<Confirmed, ToolError> {
        if self.confirm_policy() == Confirm::Never {
            return Ok(Confirmed::NotAsked);
        }
        if context
            .peer
            .peer_info()
            .is_some_and(|info| has_returned(&info))
        {
            return Err(capabilities_unknown());
        }
        let can_ask = context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation)
            // No kind named means forms (MCP 2025-06-18).
            .is_some_and(|can| can.form.is_some() || can.url.is_none());
        if !can_ask {
            return Ok(Confirmed::NotAsked);
        }
        let version = context.protocol_version();
        if version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
            return by_input_required(context, question, scope);
        }
        let asked = context
            .peer
            .elicit_with_timeout::<Confirmation>(question, Some(PATIENCE));
        match asked.await {
            Ok(Some(Confirmation { confirm: true })) => Ok(Confirmed::Yes),
            Ok(_)
            | Err(
                ElicitationError::UserDeclined
                | ElicitationError::UserCancelled
                | ElicitationError::NoContent
                | ElicitationError::ParseError { .. },
            ) => Err(declined()),
            Err(ElicitationError::CapabilityNotSupported) => Ok(Confirmed::NotAsked),
            Err(ElicitationError::Service(ServiceError::Timeout { .. })) => Err(unanswered()),
            Err(_) => Err(unanswered()),
        }
    }
}

/// Answers "input required", or reads the person's answer from a repeated call.
fn by_input_required(
    context: &RequestContext<RoleServer>,
    question: &str,
    scope: EntityIds<'_>,
) -> Result<Confirmed, ToolError> {
    // An answer counts only for the question that was asked. The ids are part of it separately,
    // since an id may contain words that read like another one.
    let asked = serde_json::json!([question, scope.named().collect::<Vec<_>>()]).to_string();
    let state = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, asked.as_bytes()).to_string();
    let answer = context
        .extensions
        .get::<Answers>()
        .filter(|answers| answers.state.as_deref() == Some(&state))
        .and_then(|answers| answers.responses.get(QUESTION).cloned());
    if let Some(answer) = answer {
        let answer: ElicitResult = serde_json::from_value(answer).map_err(|_| declined())?;
        let content = answer.content.unwrap_or_default();
        let said = serde_json::from_value::<Confirmation>(content);
        return match (answer.action, said) {
            (ElicitationAction::Accept, Ok(Confirmation { confirm: true })) => Ok(Confirmed::Yes),
            _ => Err(declined()),
        };
    }
    let requested_schema =
        ElicitationSchema::from_type::<Confirmation>().map_err(|_| ToolError::internal())?;
    let request = ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.to_owned(),
        requested_schema,
    });
    let requests = BTreeMap::from([(QUESTION.to_owned(), InputRequest::Elicitation(request))]);
    let result = InputRequiredResult::new(Some(requests), Some(state));
    Ok(Confirmed::Asking(Box::new(result.into())))
}

fn declined() -> ToolError {
    ToolError::failed(
        "declined",
        "the person did not confirm, and nothing was deleted; do not try again unless they ask for \
         it"
        .into(),
    )
}

fn unanswered() -> ToolError {
    ToolError::failed(
        "declined",
        format!(
            "the person did not answer, and nothing was deleted; ask them, and call again. The \
             operator of this server can switch asking off with {}=never",
            Setting::Confirm
        ),
    )
}

fn capabilities_unknown() -> ToolError {
    ToolError::failed(
        "declined",
        format!(
            "the server restarted, and this connection did not say whether the person can be asked; \
             nothing was deleted. Let the host connect again, and call again. The operator of \
             this server can switch asking off with {}=never",
            Setting::Confirm
        ),
    )
}

/// The answer of a tool that may have to ask the person first.
pub(super) enum Answered {
    /// The answer.
    Done(CallToolResult),
    /// The person is being asked.
    Asking(Box<CallToolResponse>),
}

impl rmcp::handler::server::tool::IntoCallToolResult for Answered {
    fn into_call_tool_result(self) -> Result<CallToolResponse, rmcp::ErrorData> {
        match self {
            Self::Done(result) => Ok(result.into()),
            Self::Asking(response) => Ok(*response),
        }
    }
}

/// The ids that a deletion names, for the person who is asked.
pub(super) fn in_words(ids: EntityIds<'_>) -> String {
    let words = ids.named().map(|(field, id)| {
        let kind = field.trim_end_matches("_id");
        format!("{kind} “{id}”")
    });
    words.collect::<Vec<_>>().join(", ")
}
