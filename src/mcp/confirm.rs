//! Asking the person before memories are deleted in bulk, by MCP elicitation.
//!
//! How that is done depends on the protocol's version: until 2025-11-25 the server sends a request
//! of its own and waits; from 2026-07-28 on it answers that input is required, and the client makes
//! the call again with the person's answer.

use std::{collections::BTreeMap, time::Duration};

use rmcp::{
    RoleServer,
    model::{
        CallToolResponse, CallToolResult, ElicitRequest, ElicitRequestParams, ElicitResult,
        ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, InputResponses,
        JsonObject, ProtocolVersion,
    },
    service::{ElicitationError, RequestContext, ServiceError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{early::has_returned, error::ToolError, server::MemoryServer};
use crate::config::{Confirm, Setting};

/// How long the person may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The name of our question among the answers of a call that is made again.
const QUESTION: &str = "confirm_deletion";

/// The person's answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Confirmation {
    /// Delete for good
    confirm: bool,
}

rmcp::elicit_safe!(Confirmation);

/// What a client sent back with a call that it makes again.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) responses: InputResponses,
    pub(super) state: Option<String>,
}

/// What came of asking.
pub(super) enum Confirmed {
    /// The person said yes.
    Yes,
    /// Nobody was asked: the client cannot, or the operator does not want it.
    NotAsked,
    /// The person is being asked; this goes back to the client.
    Asking(Box<CallToolResponse>),
}

impl MemoryServer {
    /// Asks the person, where that can be done.
    ///
    /// # Errors
    /// If they said no, or nothing.
    pub(super) async fn confirm(
        &self,
        context: &RequestContext<RoleServer>,
        question: &str,
        scope: &NamedIds,
    ) -> Result<Confirmed, ToolError> {
        if self.asks() == Confirm::Never {
            return Ok(Confirmed::NotAsked);
        }
        if context
            .peer
            .peer_info()
            .is_some_and(|info| has_returned(&info))
        {
            return Err(unknown_whether_they_can_be_asked());
        }
        let can_ask = context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation)
            // Neither kind named means forms (MCP 2025-06-18).
            .is_some_and(|can| can.form.is_some() || can.url.is_none());
        if !can_ask {
            return Ok(Confirmed::NotAsked);
        }
        let version = context.protocol_version();
        if version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
            return by_answering(context, question, scope);
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

/// Asks by answering that input is required, or takes the answer to that.
fn by_answering(
    context: &RequestContext<RoleServer>,
    question: &str,
    scope: &NamedIds,
) -> Result<Confirmed, ToolError> {
    // An answer counts for the very question that was asked: what is to be deleted is part of it,
    // with its ids set apart, since an id may hold words that read like another one.
    let asked = serde_json::json!([question, scope.0]).to_string();
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
            "the person did not answer, and nothing was deleted; ask them, and call again. Whoever \
             runs this server can switch asking off with {}=never",
            Setting::Confirm
        ),
    )
}

fn unknown_whether_they_can_be_asked() -> ToolError {
    ToolError::failed(
        "declined",
        format!(
            "the server was started anew, and this connection goes on without having said whether \
             the person can be asked; nothing was deleted. Let the host connect again, and call \
             again. Whoever runs this server can switch asking off with {}=never",
            Setting::Confirm
        ),
    )
}

/// What a tool answers that may have to ask first.
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

/// The ids that a deletion names.
#[derive(Debug)]
pub(super) struct NamedIds(Vec<(&'static str, String)>);

impl NamedIds {
    /// Those among a tool's arguments.
    pub(super) fn among(arguments: &JsonObject) -> Self {
        let fields = ["user_id", "agent_id", "app_id", "run_id"].into_iter();
        let named = fields.filter_map(|field| {
            let id = arguments.get(field)?.as_str()?;
            Some((field, id.trim().to_owned()))
        });
        Self(named.collect())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For the person who is asked.
    pub(super) fn in_words(&self) -> String {
        let words = self.0.iter().map(|(field, id)| {
            let kind = field.trim_end_matches("_id");
            format!("{kind} “{id}”")
        });
        words.collect::<Vec<_>>().join(", ")
    }
}
