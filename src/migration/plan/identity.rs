//! The owner, the place and the permanent id of a record.
//!
//! Ids of data that was migrated must never change: what goes into a hash here stays as it is.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::memory::model::{
    AgentId, AppId, GraphId, InvalidId, Owner, Place, RecordId, SessionId, UserId,
};
use crate::migration::Selection;
use crate::sources::{Conversation, Defect, Names, RecordKind, SourceRecord};

/// The namespace of ids made from content (UUID version 5 of this project's name).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_5c1e_2f4b_5b0a_9c55_7a65_705f_6d63);

/// Where a record goes, and what its metadata names there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placement {
    pub(super) place: Place,
    pub(super) agent: Option<AgentId>,
    pub(super) app: Option<AppId>,
    /// Whether the owner is made for the migration, since the source names no user.
    pub(super) stands_in: bool,
}

/// Finds the place of a record of this system that names these. `None`: it is not selected.
///
/// # Errors
/// Why it has no place.
pub(super) fn place(
    system: &str,
    kind: RecordKind,
    names: &Names,
    selection: &Selection,
    default_user: &UserId,
) -> Result<Option<Placement>, Defect> {
    let user = id("user_id", names.user.as_deref(), UserId::new)?;
    let agent = id("agent_id", names.agent.as_deref(), AgentId::new)?;
    let app = id("app_id", names.app.as_deref(), AppId::new)?;
    let session = id("session_id", names.session.as_deref(), SessionId::new)?;
    let names_nobody = user.is_none() && agent.is_none();
    let only_session = match selection.sessions.as_slice() {
        [session] => Some(session),
        _ => None,
    };
    let session = match (session, only_session) {
        // A turn that names nothing belongs to the only session that is selected.
        (None, Some(only)) if names_nobody && app.is_none() && kind == RecordKind::Turn => {
            Some(only.clone())
        }
        (session, _) => session,
    };
    let mut stands_in = false;
    let mut stand_in = |kind: &str, id: &str| {
        stands_in = true;
        UserId::new(&format!("{system}-{kind}-{id}"))
    };
    let owner = match (user, selection.only_user(), &agent, &session) {
        (Some(user), ..) => Owner::User(user),
        (None, Some(user), None, _) => Owner::User(user.clone()),
        (None, _, Some(agent), None) => Owner::Graph(agent.graph()),
        (None, _, Some(agent), Some(_)) => Owner::User(stand_in("agent", agent.as_str())?),
        (None, None, None, Some(run)) => Owner::User(stand_in("run", run.as_str())?),
        (None, None, None, None) if app.is_some() => Owner::User(default_user.clone()),
        (None, None, None, None) => {
            return Err(Defect::whole(
                "names no user, agent, app or session; add a `user_id`, or name the owner with --user",
            ));
        }
    };
    let place = match (owner, session, kind) {
        (Owner::User(user), Some(session), _) => Place::Session(user, session),
        (Owner::User(user), None, RecordKind::Turn | RecordKind::Snapshot) => {
            Place::Session(user, SessionId::default_session())
        }
        (owner, ..) => Place::Graph(owner),
    };
    if !selection.includes(&place) {
        return Ok(None);
    }
    Ok(Some(Placement {
        // In an agent's own graph the agent need not be named.
        agent: agent.filter(|_| !matches!(place, Place::Graph(Owner::Graph(_)))),
        app,
        stands_in,
        place,
    }))
}

/// An id of the source. Blanks around it are refused: trimming them could make two people one.
fn id<T>(
    field: &str,
    raw: Option<&str>,
    make: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> Result<Option<T>, Defect> {
    let Some(raw) = raw else { return Ok(None) };
    if raw != raw.trim() && !raw.trim().is_empty() {
        let reason = "has blanks around it; without them it could be another one's; remove them";
        return Err(Defect::of(field, reason));
    }
    Ok(Some(make(raw)?))
}

impl From<InvalidId> for Defect {
    fn from(InvalidId { field, problem }: InvalidId) -> Self {
        Self::of(field, problem)
    }
}

/// The id of a user that a source describes.
pub(super) fn user_id(raw: &str) -> Result<UserId, Defect> {
    id("user_id", Some(raw), UserId::new)?.ok_or_else(|| Defect::of("user_id", "is missing"))
}

/// What identifies a record among those of its owner: the source's own id where there is one, else a
/// hash of the content, which equal records share until they are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The id, without the number that equal records get.
    pub(super) base: String,
    /// Whether equal records share the id until they are numbered.
    pub(super) by_content: bool,
    /// Differs if anything differs that would be written.
    pub(super) digest: Uuid,
}

/// The conversation that a turn is from, where that identifies the turn instead of its time: every
/// memory made from a conversation lists it, with the memory's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SaidIn {
    /// [`conversation_digest`].
    pub(super) conversation: Uuid,
    /// Which turn of it.
    pub(super) turn: u32,
}

/// The identity of a record at its place.
///
/// # Errors
/// If the source's own id cannot be kept.
pub(super) fn identity(
    record: &SourceRecord,
    placement: &Placement,
    said_in: Option<SaidIn>,
) -> Result<Identity, Defect> {
    let (owner, session) = key_of(&placement.place);
    let time = record.created_at.map(|time| time.to_string());
    let updated = record.updated_at.map(|time| time.to_string());
    let told = match said_in {
        Some(said) => json!([owner, session, said.conversation.to_string(), said.turn]),
        None => json!([owner, session, record.role, time, record.content]),
    };
    let whole = json!([
        told,
        // A turn has the time of the first memory that lists it, whichever that is today.
        said_in.is_none().then_some(&time),
        record.name,
        record.memory_type,
        sorted(&record.metadata),
        // As they will be written: a source may name them by ids of its own.
        placement.agent.as_ref().map(AgentId::as_str),
        placement.app.as_ref().map(AppId::as_str),
        updated,
    ]);
    let (base, by_content) = match (&record.stored, &record.id) {
        (Some(stored), _) => (stored.id.clone(), false),
        // A UUID is unique by itself.
        (None, Some(id)) if Uuid::try_parse(id).is_ok() => (id.clone(), false),
        // Applications count their messages from 1 in each session.
        (None, Some(id)) => (
            format!("{id}@{}", hash(&json!([owner, session])).simple()),
            false,
        ),
        (None, None) => (hash(&told).to_string(), true),
    };
    let checked = RecordId::new(&base).map_err(|_| {
        Defect::of(
            "id",
            "is blank, too long or holds control characters; give it another",
        )
    })?;
    if checked.as_str() != base {
        return Err(Defect::of("id", "has blanks around it; remove them"));
    }
    Ok(Identity {
        base,
        by_content,
        digest: hash(&whole),
    })
}

/// The digest of a conversation within these names.
pub(super) fn conversation_digest(names: &Names, conversation: &Conversation) -> Uuid {
    let Names {
        user,
        agent,
        app,
        session,
    } = names;
    let said: Vec<_> = conversation
        .turns
        .iter()
        .map(|turn| (&turn.role, &turn.content))
        .collect();
    hash(&json!([
        {"user": user, "agent": agent, "app": app, "session": session},
        said,
    ]))
}

/// The id of the `number`th among equal records.
pub(super) fn numbered(base: &str, number: u64) -> String {
    match number {
        0 | 1 => base.to_owned(),
        number => format!("{base}:{number}"),
    }
}

/// A place as text: the owner, and the session or nothing.
pub(in crate::migration) fn key_of(place: &Place) -> (String, String) {
    let session = place.session().map_or("", SessionId::as_str);
    (owner_key(&place.owner()), session.to_owned())
}

/// An owner as text.
pub(in crate::migration) fn owner_key(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => format!("u{user}"),
        Owner::Graph(graph) => format!("g{graph}"),
    }
}

/// The owner that [`owner_key`] wrote.
pub(in crate::migration) fn owner_of(key: &str) -> Option<Owner> {
    match (key.get(..1)?, key.get(1..)?) {
        ("u", user) => UserId::new(user).ok().map(Owner::User),
        ("g", graph) => GraphId::new(graph).ok().map(Owner::Graph),
        _ => None,
    }
}

/// The place that [`key_of`] wrote.
pub(in crate::migration) fn place_of(owner: &str, session: &str) -> Option<Place> {
    match (owner_of(owner)?, session) {
        (owner, "") => Some(Place::Graph(owner)),
        (Owner::User(user), session) => Some(Place::Session(user, SessionId::new(session).ok()?)),
        (Owner::Graph(_), _) => None,
    }
}

/// A hash of a JSON value: JSON text marks where each part ends.
fn hash(value: &Value) -> Uuid {
    Uuid::new_v5(&NAMESPACE, value.to_string().as_bytes())
}

/// The same object with sorted keys: their order means nothing in JSON.
fn sorted(map: &Map<String, Value>) -> Value {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_unstable();
    let in_order = |value: &Value| match value {
        Value::Object(map) => sorted(map),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(map) => sorted(map),
                item => item.clone(),
            })
            .collect(),
        value => value.clone(),
    };
    keys.into_iter()
        .map(|key| (key.clone(), in_order(&map[key])))
        .collect::<Map<_, _>>()
        .into()
}
