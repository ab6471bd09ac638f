//! The source of a user's memories, as a call gives it: inline, a file of the import directory, or the
//! mem0 of the settings.

use std::borrow::Cow;
use std::fmt;
use std::io::{Cursor, Read};

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use tokio_util::bytes::{Buf, Bytes};

use super::{MoveError, Moves, UserArg};
use crate::config::Setting;
use crate::migration::Request;
use crate::sources::mem0::{
    self, Entity, Limits, Platform, PlatformSettings, Server, ServerSettings,
};
use crate::sources::{Export, ImportDir, Source};

/// An export in a call.
#[derive(Debug)]
pub(crate) enum Inline {
    /// As a value.
    Value(Value),
    /// As JSON text, which is read item by item.
    Text(Bytes),
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
fn large_export(user: &UserArg, mut text: Bytes) -> Result<Export, MoveError> {
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

fn no_export() -> MoveError {
    MoveError::Source("`data` must be an object or an array".into())
}

impl Moves {
    /// The mem0 of the settings, for the user of this request.
    pub(super) fn configured_source(
        &self,
        request: &Request,
    ) -> Result<Option<Box<dyn Source>>, MoveError> {
        let Some(settings) = &self.sources else {
            return Ok(None);
        };
        let users = request.selection.users.iter();
        let entities = users.map(|user| Entity::user(user.as_str())).collect();
        let refuse = |error: mem0::Error| MoveError::Failed("migration_failed", error.to_string());
        if let Some(key) = &settings.mem0_key {
            let usual = PlatformSettings::new(key.clone());
            let source = Platform::new(PlatformSettings {
                url: settings.mem0_url.clone().unwrap_or(usual.url),
                entities,
                include_expired: request.include_expired,
                ..usual
            });
            return Ok(Some(Box::new(source.map_err(refuse)?)));
        }
        let Some(url) = &settings.server_url else {
            return Ok(None);
        };
        let source = Server::new(ServerSettings {
            url: url.clone(),
            key: settings.server_key.clone(),
            entities,
            limits: Limits::default(),
        });
        Ok(Some(Box::new(source.map_err(refuse)?)))
    }

    /// The export that a call gives, if it gives one.
    pub(super) fn export(
        &self,
        user: &UserArg,
        data: Option<Inline>,
        file: Option<&str>,
    ) -> Result<Option<Export>, MoveError> {
        let refuse = |detail: &str| Err(MoveError::Source(detail.to_owned()));
        match (data, file) {
            (Some(_), Some(_)) => refuse("give `data` or `file`, not both"),
            (Some(Inline::Text(text)), None) => large_export(user, text).map(Some),
            (Some(Inline::Value(Value::Object(mut data))), None) => {
                let mut keys = Keys::default();
                data.keys().for_each(|key| keys.add(key));
                if keys.lack_id() {
                    data.insert("id".into(), user.id.trim().into());
                }
                Ok(Some(Export::value(&data.into())))
            }
            (Some(Inline::Value(data @ Value::Array(_))), None) => Ok(Some(Export::value(&data))),
            (Some(Inline::Value(_)), None) => Err(no_export()),
            (None, None) => Ok(None),
            (None, Some(file)) => {
                let variable = Setting::ImportDir;
                let Some(directory) = &self.import_dir else {
                    return refuse(&format!(
                        "`file`: this server reads no files, since {variable} is not set; its \
                         operator must set {variable} to the directory that holds the exports. \
                         Small exports can be given as `data`"
                    ));
                };
                let opened = ImportDir::open(directory).and_then(|exports| exports.file(file));
                opened
                    .map(Some)
                    .map_err(|error| MoveError::Source(format!("`file` {error} ({variable})")))
            }
        }
    }
}
