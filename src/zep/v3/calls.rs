//! The kinds of calls that the adapter makes, and the shapes that several of them share.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::ZepCloud;
use super::writes::episode_fields;
use crate::zep::transport::{Answer, Request};
use crate::zep::{
    BatchItem, BatchStatus, Episode, Error, Listing, Metadata, NewUser, Owner, Page, Result, User,
    Uuid, limits,
};

impl ZepCloud {
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let deadline = self.transport.deadline();
        Ok(self.transport.ask(&request, deadline).await?.value)
    }

    /// Deletes. That it is not there after a try without an answer is that try's success.
    pub(super) async fn delete(&self, segments: &[&str]) -> Result<()> {
        let request = Request::delete(segments);
        match self
            .transport
            .tell(&request, self.transport.deadline())
            .await
        {
            Err(failure) if failure.after_doubt && failure.error.is_not_found() => Ok(()),
            done => Ok(done?),
        }
    }

    /// Does what cannot be done twice: the second time is a conflict that changes nothing, so the
    /// request is repeatable. A conflict after a try without an answer may be that try's own doing:
    /// then what is there is the answer, if `as_done` takes it for that.
    pub(super) async fn once<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        request: Request,
        existing: Request,
        as_done: impl FnOnce(E) -> Option<T>,
    ) -> Result<T> {
        let request = request.repeatable();
        let deadline = self.transport.deadline();
        let failure = match self.transport.ask(&request, deadline).await {
            Ok(done) => return Ok(done.value),
            Err(failure) => failure,
        };
        if failure.after_doubt && failure.error.is_conflict() {
            let there = self.transport.ask(&existing, deadline).await?;
            if let Some(done) = as_done(there.value) {
                return Ok(done);
            }
        }
        Err(failure.error)
    }

    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        kind: &str,
        owner: &Owner,
        listing: &Listing,
    ) -> Result<Page<T>> {
        let request = Request::post(&owned_by(kind, owner))
            .json(listing)?
            .repeatable();
        let answer = self.ask_list(&request).await?;
        if answer.next_cursor.is_some() && answer.next_cursor == listing.cursor {
            return Err(Error::BadAnswer {
                message: "the cursor of the next page is that of this page".into(),
            });
        }
        Ok(Page {
            items: answer.value,
            next_cursor: answer.next_cursor,
        })
    }

    /// A list. `null` may be an empty one, or the body of something in between: it is believed when
    /// it comes twice.
    pub(super) async fn ask_list<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<Answer<Vec<T>>> {
        let deadline = self.transport.deadline();
        let ask = || self.transport.ask::<Option<Vec<T>>>(request, deadline);
        let mut answer = ask().await?;
        if answer.value.is_none() {
            answer = ask().await?;
        }
        Ok(Answer {
            value: answer.value.unwrap_or_default(),
            next_cursor: answer.next_cursor,
        })
    }

    /// Setting metadata is the same twice, so the transport repeats it.
    pub(super) async fn patch_metadata<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        metadata: &Metadata,
    ) -> Result<T> {
        let request = Request::patch(segments).json(&json!({ "metadata": metadata }))?;
        self.ask(request).await
    }

    /// Removes keys from an episode's metadata, in as many requests as that takes. Each carries what
    /// tells which record it is: should a patch replace everything that is there, and the next
    /// request never come, that is not lost.
    pub(super) async fn remove_keys(
        &self,
        episode: &Uuid,
        gone: &Metadata,
        new: &Metadata,
    ) -> Result<()> {
        let mut left = gone.iter().peekable();
        while left.peek().is_some() {
            let is_ours = |(key, _): &(&String, &Value)| key.starts_with(OUR_KEYS);
            let mut patch: Metadata = owned(new.iter().filter(is_ours));
            let room = limits::METADATA_KEYS.saturating_sub(patch.len()).max(1);
            patch.extend(owned(left.by_ref().take(room)));
            let path = ["graph", "episodes", episode.as_str()];
            self.patch_metadata::<Episode>(&path, &patch).await?;
        }
        Ok(())
    }
}

/// How the keys begin that we add to what we write.
const OUR_KEYS: &str = "zm_";

fn owned<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Metadata {
    let owned = fields.map(|(key, value)| (key.clone(), value.clone()));
    owned.collect()
}

/// An answer that says something. All fields of many answers are optional in Zep's types, so that
/// any JSON object would do for them: one with none of the fields comes from something in between,
/// and must not be read as "nothing is there" or "this is nobody's".
pub(super) struct Told<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default + PartialEq> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = T::deserialize(deserializer)?;
        if value == T::default() {
            return Err(D::Error::custom(
                "it has none of the fields that Zep documents",
            ));
        }
        Ok(Self(value))
    }
}

/// An answer that may be empty, but not strange: an object that holds something, and nothing that
/// Zep documents, comes from something in between.
pub(super) struct NotStrange<T>(pub(super) T);

impl<'de, T: DeserializeOwned + Default + PartialEq> Deserialize<'de> for NotStrange<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let says_something = fields.values().any(|field| match field {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        });
        let value = T::deserialize(Value::Object(fields)).map_err(D::Error::custom)?;
        if says_something && value == T::default() {
            return Err(D::Error::custom(
                "it has none of the fields that Zep documents",
            ));
        }
        Ok(Self(value))
    }
}

/// Whether a user is the one that was to be made, with the same fields: one with others was made by
/// somebody else.
pub(super) fn is_same_user(there: &User, user: &NewUser) -> bool {
    fn text(field: &Option<String>) -> &str {
        field.as_deref().unwrap_or_default()
    }
    let fields = &user.fields;
    let metadata = |metadata: &Option<Metadata>| metadata.clone().unwrap_or_default();
    text(&there.user_id) == user.user_id.as_str()
        && text(&there.email) == text(&fields.email)
        && text(&there.first_name) == text(&fields.first_name)
        && text(&there.last_name) == text(&fields.last_name)
        && metadata(&there.metadata) == metadata(&fields.metadata)
}

/// The field that names an owner in a body, and their id.
pub(super) fn owner_field(owner: &Owner) -> (&'static str, &str) {
    match owner {
        Owner::User(user) => ("user_id", user.as_str()),
        Owner::Graph(graph) => ("graph_id", graph.as_str()),
    }
}

/// The path of an owner's things of one kind.
pub(super) fn owned_by<'a>(kind: &'a str, owner: &'a Owner) -> [&'a str; 4] {
    let (field, id) = owner_field(owner);
    ["graph", kind, field.trim_end_matches("_id"), id]
}

pub(super) fn word(status: BatchStatus) -> String {
    json!(status).as_str().unwrap_or_default().to_owned()
}

pub(super) fn batch_item(item: &BatchItem) -> Value {
    let mut fields: Map<String, Value>;
    match item {
        BatchItem::Message(thread, message) => {
            fields = match json!(message) {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            fields.insert("type".into(), "thread_message".into());
            fields.insert("thread_id".into(), thread.as_str().into());
        }
        BatchItem::Episode(owner, episode) => {
            let (owner, id) = owner_field(owner);
            fields = episode_fields(episode);
            fields.insert("type".into(), "graph_episode".into());
            fields.insert("data_type".into(), json!(episode.data_type));
            fields.insert(owner.into(), id.into());
        }
    }
    Value::Object(fields)
}
