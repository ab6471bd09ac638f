//! mem0's memories as ours, and the filters that name an owner.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::memory::{
    mem0::Object,
    model::{AgentId, AppId, Owner, Record, Scope, SessionId, UserId, Uuid},
    record::view::{Form, Memory},
};
use crate::zep::GraphId;

/// In the fields of a memory of mem0: the record that this program made it from, so that a lost answer
/// does not double it. Not `zm_id`: a caller's own field of that name must stay.
pub(crate) const RECORD: &str = "zm_written";
/// In the fields of a memory of mem0: the record of Zep that it is a copy of.
pub(crate) const COPY: &str = "zm_copy";
/// The field in which a memory's kind is kept, as the guide has it.
pub(super) const KIND: &str = "memory_type";

/// The agent of a graph, or the app.
fn named_by(graph: &GraphId) -> (&'static str, String) {
    match (AgentId::of_graph(graph), AppId::of_graph(graph)) {
        (Some(agent), _) => ("agent_id", agent),
        (None, Some(app)) => ("app_id", app),
        (None, None) => ("agent_id", graph.as_str().to_owned()),
    }
}

/// What a scope names, in mem0's fields.
pub(super) fn named(scope: &Scope) -> Vec<(&'static str, String)> {
    let ids = [
        ("user_id", scope.user.as_ref().map(ToString::to_string)),
        ("agent_id", scope.agent.as_ref().map(ToString::to_string)),
        ("app_id", scope.app.as_ref().map(ToString::to_string)),
        ("run_id", scope.session.as_ref().map(ToString::to_string)),
    ];
    ids.into_iter()
        .filter_map(|(field, id)| Some((field, id?)))
        .collect()
}

/// The field by which mem0 knows an owner, and its id.
pub(super) fn field_of(owner: &Owner) -> (&'static str, String) {
    match owner {
        Owner::User(user) => ("user_id", user.to_string()),
        Owner::Graph(graph) => named_by(graph),
    }
}

/// The filter for an owner's memories, or those of one session.
pub(super) fn filters(owner: &Owner, session: Option<&SessionId>) -> Value {
    let (field, id) = field_of(owner);
    match session {
        None => json!({ field: id }),
        Some(session) => json!({"AND": [{ field: id }, {"run_id": session.as_str()}]}),
    }
}

/// Whose memory it is: the user's that it names, else the agent's. `None` for one that names neither.
pub(super) fn owner_of(object: &Object) -> Option<Owner> {
    let id = |field: &str| {
        let id = object.get(field)?.as_str()?;
        (!id.is_empty()).then(|| id.to_owned())
    };
    if let Some(user) = id("user_id") {
        return UserId::new(&user).ok().map(Owner::User);
    }
    let agent = AgentId::new(&id("agent_id")?).ok()?;
    Some(Owner::Graph(agent.graph()))
}

/// The record of Zep or of ours that a memory was made from, by this field.
pub(super) fn mark<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.get("metadata")?.get(field)?.as_str()
}

/// A memory of mem0; `None` for one without id, text or owner.
pub(super) fn memory(mut object: Object) -> Option<Memory> {
    let owner = owner_of(&object)?;
    let text = |object: &Object, field: &str| {
        let text = object.get(field)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let time = |object: &Object, field: &str| -> Option<Timestamp> {
        crate::time::parse(object.get(field)?.as_str()?)
    };
    let session = text(&object, "run_id").or_else(|| text(&object, "session_id"));
    let (created_at, updated_at) = (time(&object, "created_at"), time(&object, "updated_at"));
    let mut metadata = match object.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    metadata.remove(RECORD);
    metadata.remove(COPY);
    let memory_type = match metadata.remove(KIND) {
        Some(Value::String(kind)) => Some(kind),
        Some(other) => {
            metadata.insert(KIND.to_owned(), other);
            None
        }
        None => None,
    };
    // Where our own answers have them, too.
    for field in ["categories", "expiration_date"] {
        match object.remove(field) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) if list.is_empty() => {}
            Some(value) => {
                metadata.entry(field.to_owned()).or_insert(value);
            }
        }
    }
    Some(Memory {
        id: Uuid(text(&object, "id")?),
        form: Form::Fact,
        text: text(&object, "memory")?,
        agent: text(&object, "agent_id"),
        app: text(&object, "app_id"),
        session,
        memory_type,
        role: None,
        name: None,
        metadata,
        created_at,
        updated_at,
        is_changed_fact: false,
        valid_at: None,
        invalid_at: None,
        score: object.get("score").and_then(Value::as_f64),
        sources: Vec::new(),
        incomplete: false,
        pending: false,
        in_mem0: true,
        owner,
    })
}

/// A memory as a turn of its session. mem0 does not keep who said it.
pub(super) fn turn(memory: Memory) -> Record {
    Record {
        id: memory.id,
        record_id: None,
        role: "norole".to_owned(),
        name: None,
        content: memory.text,
        created_at: memory.created_at,
        updated_at: memory
            .updated_at
            .filter(|time| Some(*time) != memory.created_at),
        memory_type: memory.memory_type,
        metadata: memory.metadata,
        incomplete: false,
        pending: false,
    }
}
