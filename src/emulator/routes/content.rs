//! Messages and episodes of a request, checked where the port's types are stricter than the wire.

use serde::Deserialize;

use crate::emulator::error::{ApiError, ApiResult};
use crate::emulator::wire::time;
use crate::zep::{DataType, Metadata, NewEpisode, NewMessage, Role};

/// A message (zep-cloud 3.30.0, `Message`).
#[derive(Deserialize)]
pub(super) struct MessageBody {
    pub role: String,
    pub content: String,
    pub name: Option<String>,
    pub created_at: Option<String>,
    pub metadata: Option<Metadata>,
}

impl MessageBody {
    pub(super) fn into_message(self) -> ApiResult<NewMessage> {
        Ok(NewMessage {
            role: role(&self.role)?,
            content: self.content,
            name: self.name,
            created_at: time("created_at", self.created_at.as_deref())?,
            // A client's mark, if any, is in its metadata.
            mark: None,
            metadata: self.metadata.unwrap_or_default(),
        })
    }
}

/// An episode (zep-cloud 3.30.0, `graph.add`).
pub(super) struct EpisodeBody {
    pub data: String,
    pub data_type: String,
    pub created_at: Option<String>,
    pub metadata: Option<Metadata>,
    pub source_description: Option<String>,
}

impl EpisodeBody {
    pub(super) fn into_episode(self) -> ApiResult<NewEpisode> {
        Ok(NewEpisode {
            data_type: data_type(&self.data_type)?,
            data: self.data,
            created_at: time("created_at", self.created_at.as_deref())?,
            // A client's mark, if any, is in its metadata.
            mark: None,
            metadata: self.metadata.unwrap_or_default(),
            source_description: self.source_description,
        })
    }
}

/// One of the six roles. Zep refuses others, which the port would read as `norole`.
pub(super) fn role(name: &str) -> ApiResult<Role> {
    use Role::{Assistant, Function, NoRole, System, Tool, User};
    [User, Assistant, System, Function, Tool, NoRole]
        .into_iter()
        .find(|role| role.as_str() == name)
        .ok_or_else(|| {
            ApiError::bad_request(
                "invalid role: must be one of norole, system, assistant, user, function, tool",
            )
        })
}

/// A list of roles; empty if absent.
pub(super) fn roles(names: Option<&[String]>) -> ApiResult<Vec<Role>> {
    names
        .unwrap_or_default()
        .iter()
        .map(|name| role(name))
        .collect()
}

fn data_type(name: &str) -> ApiResult<DataType> {
    match name {
        "text" => Ok(DataType::Text),
        "json" => Ok(DataType::Json),
        "message" => Ok(DataType::Message),
        _ => Err(ApiError::bad_request(
            "invalid type: must be one of text, json, message",
        )),
    }
}
