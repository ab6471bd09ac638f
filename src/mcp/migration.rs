//! Arguments that the migration tools share: the user and the source of their memories.

use std::borrow::Cow;
use std::fmt;
use std::io::{Cursor, Read};

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tokio_util::bytes::{Buf, Bytes};

use super::incoming::InlineData;
use super::{error::ToolError, server::MemoryServer};
use crate::config::Setting;
use crate::memory::access::Right;
use crate::memory::model::{Owner, SessionId, UserId};
use crate::migration::{self, Migrator, Request, Selection};
use crate::sources::{Export, ImportDir, SourceUser};

/// The most errors, notes and issues in a tool's answer. The command line lists all.
const MAX_ANSWERED: usize = 50;

/// Cuts a list to that length and returns how many entries were cut.
pub(super) fn shorten<T>(list: &mut Vec<T>) -> u64 {
    let left_off = list.len().saturating_sub(MAX_ANSWERED);
    list.truncate(MAX_ANSWERED);
    left_off as u64
}

/// An object with one of these keys describes a user.
const USER_KEYS: [&str; 6] = [
    "messages",
    "sessions",
    "insights",
    "summary",
    "traits",
    "preferences",
];

/// The keys of an object that matter here.
#[derive(Default)]
struct Keys {
    describe_user: bool,
    name_user: bool,
}

impl Keys {
    fn add(&mut self, key: &str) {
        self.describe_user |= USER_KEYS.contains(&key);
        self.name_user |= matches!(key, "id" | "user_id");
    }

    /// Whether it describes a user without an id: then the one who is moved.
    fn lack_id(&self) -> bool {
        self.describe_user && !self.name_user
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((key, IgnoredAny)) = map.next_entry::<Cow<'_, str>, _>()? {
            self.add(&key);
        }
        Ok(self)
    }
}

/// An export whose JSON was left out of its message. It is read item by item.
fn large_export(user: &UserArg, mut text: Bytes) -> Result<Export, ToolError> {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace());
    text.advance(start.unwrap_or_default());
    let mut head = Vec::new();
    match text.first() {
        Some(b'[') => {}
        Some(b'{') => {
            let mut json = serde_json::Deserializer::from_slice(&text);
            let keys = json.deserialize_map(Keys::default());
            if keys.is_ok_and(|keys| keys.lack_id()) {
                text.advance(1);
                head = format!("{{\"id\":{},", Value::from(user.id.trim())).into_bytes();
            }
        }
        _ => return Err(no_export()),
    }
    let bytes = (head.len() + text.len()) as u64;
    let reader = Read::chain(Cursor::new(head), Cursor::new(text));
    Ok(Export::of_length(reader, bytes))
}

fn no_export() -> ToolError {
    ToolError::argument("`data` must be an object or an array".into())
}

/// The user, as the old system describes them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserArg {
    /// Their id in the old system; kept.
    id: String,
    // Their whole name.
    name: Option<String>,
    // Their address.
    email: Option<String>,
    /// user, therapist, admin or support, in the old system.
    role: Option<String>,
    /// What they prefer, any JSON; kept in the user's metadata. Listed in the docs only.
    #[schemars(skip)]
    preferences: Option<Value>,
    /// Further fields of theirs. Listed in the docs only.
    #[schemars(skip)]
    metadata: Option<Map<String, Value>>,
}

impl UserArg {
    fn checked_id(&self) -> Result<UserId, ToolError> {
        UserId::new(&self.id)
            .map_err(|error| ToolError::argument(format!("`user.id`: {}", error.problem)))
    }

    /// The migration request for this user.
    pub(super) fn request(self, sessions: &[String]) -> Result<Request, ToolError> {
        let id = self.checked_id()?;
        let sessions = sessions
            .iter()
            .map(|session| SessionId::new(session))
            .collect::<Result<_, _>>()
            .map_err(crate::memory::Error::from)?;
        let mut metadata = self.metadata.unwrap_or_default();
        if let Some(preferences) = self.preferences {
            metadata.insert("preferences".into(), preferences);
        }
        Ok(Request {
            profile: Some(SourceUser {
                id: id.to_string(),
                name: self.name,
                email: self.email,
                role: self.role,
                metadata,
                migration_source: None,
            }),
            selection: Selection {
                sessions,
                ..Selection::of_user(id)
            },
            ..Request::default()
        })
    }
}

impl MemoryServer {
    /// The source of this user's memories.
    pub(super) fn source(
        &self,
        user: &UserArg,
        data: Option<Value>,
        file: Option<&str>,
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<Export>, ToolError> {
        let refuse = |detail: String| Err(ToolError::argument(detail));
        if file.is_none()
            && let Some(text) = InlineData::of(context, data.as_ref())
        {
            return large_export(user, text).map(Some);
        }
        match (data, file) {
            (Some(_), Some(_)) => refuse("give `data` or `file`, not both".into()),
            (Some(Value::Object(mut data)), None) => {
                let mut keys = Keys::default();
                data.keys().for_each(|key| keys.add(key));
                if keys.lack_id() {
                    data.insert("id".into(), user.id.trim().into());
                }
                Ok(Some(Export::value(&data.into())))
            }
            (Some(data @ Value::Array(_)), None) => Ok(Some(Export::value(&data))),
            (Some(_), None) => Err(no_export()),
            (None, None) => Ok(None),
            (None, Some(file)) => {
                let variable = Setting::ImportDir;
                let Some(directory) = self.import_dir() else {
                    return refuse(format!(
                        "`file`: this server reads no files, since {variable} is not set; its \
                         operator must set {variable} to the directory that holds the exports. \
                         Small exports can be given as `data`"
                    ));
                };
                let opened = ImportDir::open(directory).and_then(|exports| exports.file(file));
                match opened {
                    Ok(source) => Ok(Some(source)),
                    Err(error) => refuse(format!("`file` {error} ({variable})")),
                }
            }
        }
    }

    /// Checks whether the caller may migrate this user's memories, before anything is read.
    pub(super) fn may_migrate(&self, user: &UserArg) -> Result<(), ToolError> {
        let owner = Owner::User(user.checked_id()?);
        Ok(self.caller().may(Right::Migrate, &owner)?)
    }

    /// A migrator on behalf of this caller.
    pub(super) fn migrator(&self) -> Migrator {
        Migrator::with_roles(self.memories().clone(), self.caller(), Default::default())
            .noting_runs_in(self.data_dir())
    }
}

impl From<migration::Error> for ToolError {
    fn from(error: migration::Error) -> Self {
        match error {
            migration::Error::Memory(error) => error.into(),
            error => Self::failed("migration_failed", error.to_string()),
        }
    }
}
