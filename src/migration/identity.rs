//! Whose a record of a source is, where it belongs, and what it is called for ever.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::mem0::{Named, RecordKind, SourceRecord};
use crate::memory::model::{AgentId, AppId, GraphId, Owner, Place, RecordId, SessionId, UserId};

use super::Selection;

/// Our namespace for ids made of what a record holds (UUID version 5, of this project's name).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_5c1e_2f4b_5b0a_9c55_7a65_705f_6d63);

/// Where a record goes, and what stands beside it there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placement {
    pub(super) place: Place,
    pub(super) agent: Option<AgentId>,
    pub(super) app: Option<AppId>,
    /// Whether the owner is made for the migration, since the source names none.
    pub(super) stands_in: bool,
}

/// Finds the place of a record that names these. `None`: it is not among what is to be migrated.
///
/// # Errors
/// Why it has no place, naming the field.
pub(super) fn place(
    kind: RecordKind,
    named: &Named,
    selection: &Selection,
    default_user: &UserId,
) -> Result<Option<Placement>, String> {
    let user = id("user_id", named.user.as_deref(), UserId::new)?;
    let agent = id("agent_id", named.agent.as_deref(), AgentId::new)?;
    let app = id("app_id", named.app.as_deref(), AppId::new)?;
    let session = id("session_id", named.session.as_deref(), SessionId::new)?;
    let names_nobody = user.is_none() && agent.is_none();
    let only_session = match selection.sessions.as_slice() {
        [session] => Some(session),
        _ => None,
    };
    let session = match (session, only_session) {
        // A turn that names nothing at all is a turn of the only conversation that is asked for.
        (None, Some(only)) if names_nobody && app.is_none() && kind == RecordKind::Turn => {
            Some(only.clone())
        }
        (session, _) => session,
    };
    let mut stands_in = false;
    let mut stand_in = |prefix: &str, id: &str| {
        stands_in = true;
        UserId::new(&format!("{prefix}{id}")).map_err(|error| error.to_string())
    };
    let owner = match (user, &selection.user, &agent, &session) {
        (Some(user), ..) => Owner::User(user),
        (None, Some(user), None, _) => Owner::User(user.clone()),
        (None, _, Some(agent), None) => Owner::Graph(agent.graph()),
        (None, _, Some(agent), Some(_)) => Owner::User(stand_in("mem0-agent-", agent.as_str())?),
        (None, None, None, Some(run)) => Owner::User(stand_in("mem0-run-", run.as_str())?),
        (None, None, None, None) if app.is_some() => Owner::User(default_user.clone()),
        (None, None, None, None) => {
            return Err(
                "names no user, agent, app or session; add a `user_id`, or say whose it is with --user"
                    .into(),
            );
        }
    };
    let place = match (owner, session, kind) {
        (Owner::User(user), Some(session), _) => Place::Session(user, session),
        (Owner::User(user), None, RecordKind::Turn | RecordKind::Snapshot) => {
            Place::Session(user, SessionId::default_session())
        }
        (owner, ..) => Place::Graph(owner),
    };
    if !selection.takes(&place) {
        return Ok(None);
    }
    Ok(Some(Placement {
        // An agent's own graph needs no mark of the agent.
        agent: agent.filter(|_| !matches!(place, Place::Graph(Owner::Graph(_)))),
        app,
        stands_in,
        place,
    }))
}

/// An id of the source. Blanks around it would be cut off, and two people become one: refused.
fn id<T, E: ToString>(
    field: &str,
    raw: Option<&str>,
    make: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, String> {
    let Some(raw) = raw else { return Ok(None) };
    if raw != raw.trim() && !raw.trim().is_empty() {
        return Err(format!(
            "{field} has blanks around it, without which it could be somebody else's; remove them"
        ));
    }
    make(raw).map(Some).map_err(|error| error.to_string())
}

/// A user's id as a source has it.
pub(super) fn user_id(raw: &str) -> Result<UserId, String> {
    id("user_id", Some(raw), UserId::new)?.ok_or_else(|| "has no id".into())
}

/// What tells a record from all others of its owner: the source's own id where it has one, else a
/// hash, which equal records share until they are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The id, or what it begins with.
    pub(super) base: String,
    /// Whether equal ones are told apart by their number.
    pub(super) by_content: bool,
    /// Differs wherever anything that would be written differs.
    pub(super) digest: Uuid,
}

/// Which turn of which conversation a record is, where that and not its time tells what it is: the
/// same turns stand with every memory that was made from them, at the memory's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SaidIn {
    /// A hash of the whole conversation.
    pub(super) input: Uuid,
    /// Which turn of it.
    pub(super) turn: u32,
}

/// The identity of a record at its place.
///
/// # Errors
/// If the source's own id cannot be kept.
pub(super) fn identity(
    record: &SourceRecord,
    place: &Place,
    said_in: Option<SaidIn>,
) -> Result<Identity, String> {
    let (owner, session) = key_of(place);
    let time = record.created_at.map(|time| time.to_string());
    let told = match said_in {
        Some(said) => json!([owner, session, said.input.to_string(), said.turn]),
        None => json!([owner, session, record.role, time, record.content]),
    };
    let whole = json!([
        told,
        time,
        record.name,
        record.memory_type,
        sorted(&record.metadata),
        record.named.agent,
        record.named.app,
    ]);
    let (base, by_content) = match &record.id {
        // Unique by itself, so it is kept as it is.
        Some(id) if Uuid::try_parse(id).is_ok() => (id.clone(), false),
        // Applications count their messages from 1 in each session.
        Some(id) => (
            format!("{id}@{}", hash(&json!([owner, session])).simple()),
            false,
        ),
        None => (hash(&told).to_string(), true),
    };
    let checked = RecordId::new(&base).map_err(|_| {
        "has an id that is blank, too long or holds control characters; give it another".to_owned()
    })?;
    if checked.as_str() != base {
        return Err("has an id with blanks around it; remove them".into());
    }
    Ok(Identity {
        base,
        by_content,
        digest: hash(&whole),
    })
}

/// The id of the `number`th among equal records.
pub(super) fn numbered(base: &str, number: u64) -> String {
    match number {
        0 | 1 => base.to_owned(),
        number => format!("{base}:{number}"),
    }
}

/// What stands for a place where it is kept as text: the owner, and the session or nothing.
pub(super) fn key_of(place: &Place) -> (String, String) {
    let session = place.session().map_or("", SessionId::as_str);
    (owner_key(&place.owner()), session.to_owned())
}

/// What stands for an owner where it is kept as text.
pub(super) fn owner_key(owner: &Owner) -> String {
    match owner {
        Owner::User(user) => format!("u{user}"),
        Owner::Graph(graph) => format!("g{graph}"),
    }
}

/// The owner that [`owner_key`] wrote.
pub(super) fn owner_of(key: &str) -> Option<Owner> {
    match (key.get(..1)?, key.get(1..)?) {
        ("u", user) => UserId::new(user).ok().map(Owner::User),
        ("g", graph) => GraphId::new(graph).ok().map(Owner::Graph),
        _ => None,
    }
}

/// The place that [`key_of`] wrote.
pub(super) fn place_of(owner: &str, session: &str) -> Option<Place> {
    match (owner_of(owner)?, session) {
        (owner, "") => Some(Place::Graph(owner)),
        (Owner::User(user), session) => Some(Place::Session(user, SessionId::new(session).ok()?)),
        (Owner::Graph(_), _) => None,
    }
}

/// A hash of a JSON value. JSON text is unambiguous about where one part ends.
pub(super) fn hash(value: &Value) -> Uuid {
    Uuid::new_v5(&NAMESPACE, value.to_string().as_bytes())
}

/// The same object with its keys in order, at every depth: order says nothing in JSON.
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
