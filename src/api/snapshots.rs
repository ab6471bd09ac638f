//! Snapshots of a session: its summary, an emotional state, a treatment plan. Each is a message of the
//! session with a memory type, whose content is JSON: the newest counts, the earlier ones stay.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::call::{Answer, Call, Done, created, ok, scope_of};
use super::error::{About, ApiError, Failing, json_object, json_text};
use super::given::{Arguments, Field, Given, Kind, PathId, needed, optional};
use super::messages;
use super::paths::InSession;
use super::sessions::Whose;
use super::words::MemoryType;
use crate::memory::access::Right;
use crate::memory::fit::is_blank;
use crate::memory::model::Record;
use crate::memory::{self, NewTurn, PageOf, SessionQuery, input};

/// An emotion above this is a sign of a crisis (Memory API).
const CRISIS: f64 = 0.8;
/// The longest text of a snapshot, in characters, and the most entries of a list. Ours.
const MAX_TEXT_CHARS: usize = 100_000;
const MAX_ENTRIES: usize = 1_000;
/// The field that says so.
const CRISIS_FIELD: &str = "has_crisis_markers";
/// The role of snapshots (guide: memory type mapping).
const SYSTEM: &str = "system";

/// A session in short.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user_id": "3f0c…", "summary": "Sleep and work.", "key_points": ["sleeps better"],
    "emotional_insights": {"mood": "calm"}, "next_steps": ["keep the diary"]
}))]
pub(super) struct NewSummary {
    /// Whose memory it is.
    user_id: String,
    /// In a few sentences.
    #[schema(min_length = 1, max_length = 100_000)]
    summary: String,
    /// What matters of it.
    #[schema(max_items = 1000)]
    key_points: Option<Vec<String>>,
    /// What was felt, in any fields.
    emotional_insights: Option<Map<String, Value>>,
    /// The next steps.
    #[schema(max_items = 1000)]
    next_steps: Option<Vec<String>>,
}

impl Arguments for NewSummary {
    const FIELDS: &'static [Field] = &[
        needed("user_id", Kind::Text),
        needed("summary", Kind::Text),
        optional("key_points", Kind::Json),
        optional("emotional_insights", Kind::Json),
        optional("next_steps", Kind::Json),
    ];
}

/// How somebody feels.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user_id": "3f0c…", "emotions": {"fear": 0.4, "hope": 0.7}, "context": "Before the exam.",
    "triggers": ["exam"]
}))]
pub(super) struct NewEmotionalState {
    /// Whose memory it is.
    user_id: String,
    /// Each emotion with its strength; one above 0.8 is a crisis marker.
    emotions: BTreeMap<String, f64>,
    /// In which situation.
    #[schema(min_length = 1, max_length = 100_000)]
    context: String,
    /// What set it off.
    #[schema(max_items = 1000)]
    triggers: Option<Vec<String>>,
}

impl Arguments for NewEmotionalState {
    const FIELDS: &'static [Field] = &[
        needed("user_id", Kind::Text),
        needed("emotions", Kind::Json),
        needed("context", Kind::Text),
        optional("triggers", Kind::Json),
    ];
}

/// What is planned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user_id": "3f0c…", "goals": ["sleep 7 hours"], "interventions": ["sleep diary"],
    "progress_metrics": {"nights": 3}, "duration_weeks": 8
}))]
pub(super) struct NewTreatmentPlan {
    /// Whose memory it is.
    user_id: String,
    /// The goals.
    #[schema(max_items = 1000)]
    goals: Vec<String>,
    /// How.
    #[schema(max_items = 1000)]
    interventions: Vec<String>,
    /// How it is measured, in any fields.
    progress_metrics: Option<Map<String, Value>>,
    /// In how many weeks.
    #[schema(minimum = 0, maximum = 5200)]
    duration_weeks: i64,
}

impl Arguments for NewTreatmentPlan {
    const FIELDS: &'static [Field] = &[
        needed("user_id", Kind::Text),
        needed("goals", Kind::Json),
        needed("interventions", Kind::Json),
        optional("progress_metrics", Kind::Json),
        needed("duration_weeks", Kind::Integer),
    ];
}

/// A summary, as it was stored.
#[derive(Debug, Serialize)]
struct Summary {
    summary: String,
    key_points: Vec<String>,
    emotional_insights: Map<String, Value>,
    next_steps: Vec<String>,
    created_at: String,
}

/// An emotional state, as it was stored.
#[derive(Debug, Serialize)]
struct EmotionalState {
    emotions: BTreeMap<String, f64>,
    context: String,
    triggers: Vec<String>,
    timestamp: String,
}

/// A treatment plan, as it was stored.
#[derive(Debug, Serialize)]
struct TreatmentPlan {
    goals: Vec<String>,
    interventions: Vec<String>,
    progress_metrics: Map<String, Value>,
    duration_weeks: i64,
    created_at: String,
}

/// How many of the earlier ones.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Earlier {
    /// Whose, where several users have a session of this name.
    user_id: Option<String>,
    /// The newest so many; 50 if left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

impl Arguments for Earlier {
    const FIELDS: &'static [Field] = &[
        optional("user_id", Kind::Text),
        optional("limit", Kind::Integer),
    ];
}

/// Stores a snapshot in a session.
async fn store(
    call: &Call,
    user: &str,
    session: &str,
    kind: MemoryType,
    content: String,
    metadata: Value,
) -> Result<(), ApiError> {
    let begun = Instant::now();
    let (user, session) = call
        .session(Right::Write, Some(user), session, "body")
        .await?;
    let turn = NewTurn {
        role: SYSTEM.to_owned(),
        content,
        name: None,
        created_at: None,
        metadata: Map::new(),
    };
    let metadata = metadata.as_object().cloned();
    let scope = scope_of(user, session);
    messages::add(call, begun, scope, turn, kind, metadata).await?;
    Ok(())
}

/// The newest snapshots of a kind, newest first.
async fn newest(
    call: &Call,
    user: Option<&str>,
    session: &str,
    kind: MemoryType,
    count: u32,
) -> Result<Vec<Map<String, Value>>, ApiError> {
    let (user, session) = call.session(Right::Read, user, session, "query").await?;
    let query = SessionQuery {
        scope: scope_of(user, session),
        page: PageOf::Last { count },
        kind: Some(kind.kind()),
        include_context: false,
        include_summary: false,
    };
    let page = call.memories().session(&call.caller, query).await;
    let records = page.asked_about(About::Session)?.records.into_iter().rev();
    Ok(records.map(|record| as_stored(record, kind)).collect())
}

/// What a snapshot says, with its id, and when it was stored if it does not say so itself.
fn as_stored(record: Record, kind: MemoryType) -> Map<String, Value> {
    let mut fields = json_object(&record.content).unwrap_or_else(|| {
        let content = record.content.into();
        Map::from_iter([("content".to_owned(), content)])
    });
    if kind == MemoryType::EmotionalState {
        let marked = record.metadata.get(CRISIS_FIELD).and_then(Value::as_bool);
        let emotions = fields.get("emotions").and_then(Value::as_object);
        let above = |it: &Value| it.as_f64().is_some_and(|score| score > CRISIS);
        let found = emotions.is_some_and(|emotions| emotions.values().any(above));
        fields.insert(CRISIS_FIELD.into(), marked.unwrap_or(found).into());
    }
    fields.insert("id".into(), record.id.to_string().into());
    let at = record.created_at.map(|time| time.to_string());
    let (Some(at), false) = (at, fields.contains_key("timestamp")) else {
        return fields;
    };
    fields.entry("created_at").or_insert_with(|| at.into());
    fields
}

/// Checks a text of a snapshot.
fn check_text(field: &str, text: &str) -> Result<(), ApiError> {
    let problem = match text.chars().count() {
        _ if is_blank(text) => "is blank; give it some text".to_owned(),
        count if count > MAX_TEXT_CHARS => {
            format!("has {count} characters; it may have at most {MAX_TEXT_CHARS}")
        }
        _ => return Ok(()),
    };
    Err(memory::Error::invalid(field, problem)).about(About::Session)
}

/// Checks how many entries a list of a snapshot has.
fn check_list(field: &str, list: &[String]) -> Result<(), ApiError> {
    if list.len() <= MAX_ENTRIES {
        return Ok(());
    }
    let problem = format!(
        "has {} entries; it may have at most {MAX_ENTRIES}",
        list.len()
    );
    Err(memory::Error::invalid(field, problem)).about(About::Session)
}

fn limit_of(earlier: &Earlier) -> Result<u32, ApiError> {
    input::in_range("limit", earlier.limit, 1..=200, 50).asked_about(About::Session)
}

/// Store a summary
#[utoipa::path(
    post, path = "/api/v1/memory/{session_id}/summary", tag = "snapshots", operation_id = "store_summary",
    params(InSession),
    request_body = NewSummary,
    responses((status = 201, body = Done, description = "Stored"))
)]
pub(super) async fn store_summary(
    call: Call,
    id: PathId,
    given: Given<NewSummary>,
) -> Answer<Done> {
    let Given(new) = given;
    check_text("summary", &new.summary)?;
    check_list("key_points", new.key_points.as_deref().unwrap_or_default())?;
    check_list("next_steps", new.next_steps.as_deref().unwrap_or_default())?;
    let content = json_text(&Summary {
        summary: new.summary,
        key_points: new.key_points.unwrap_or_default(),
        emotional_insights: new.emotional_insights.unwrap_or_default(),
        next_steps: new.next_steps.unwrap_or_default(),
        created_at: Timestamp::now().to_string(),
    })?;
    let metadata = json!({"summary_type": "therapeutic_session"});
    let kind = MemoryType::SessionSummary;
    store(&call, &new.user_id, &id.0, kind, content, metadata).await?;
    created(Done::saying("Summary stored"))
}

/// Store an emotional state
#[utoipa::path(
    post, path = "/api/v1/memory/{session_id}/emotional-state", tag = "snapshots",
    operation_id = "store_emotional_state",
    params(InSession),
    request_body = NewEmotionalState,
    responses((status = 201, body = Done, description = "Stored"))
)]
pub(super) async fn store_emotional_state(
    call: Call,
    id: PathId,
    given: Given<NewEmotionalState>,
) -> Answer<Done> {
    let Given(new) = given;
    check_text("context", &new.context)?;
    check_list("triggers", new.triggers.as_deref().unwrap_or_default())?;
    let in_crisis = new.emotions.values().any(|score| *score > CRISIS);
    let content = json_text(&EmotionalState {
        emotions: new.emotions,
        context: new.context,
        triggers: new.triggers.unwrap_or_default(),
        timestamp: Timestamp::now().to_string(),
    })?;
    let metadata = json!({ CRISIS_FIELD: in_crisis });
    let kind = MemoryType::EmotionalState;
    store(&call, &new.user_id, &id.0, kind, content, metadata).await?;
    created(Done::saying("Emotional state stored"))
}

/// Store a treatment plan
#[utoipa::path(
    post, path = "/api/v1/memory/{session_id}/treatment-plan", tag = "snapshots",
    operation_id = "store_treatment_plan",
    params(InSession),
    request_body = NewTreatmentPlan,
    responses((status = 201, body = Done, description = "Stored"))
)]
pub(super) async fn store_treatment_plan(
    call: Call,
    id: PathId,
    given: Given<NewTreatmentPlan>,
) -> Answer<Done> {
    let Given(new) = given;
    check_list("goals", &new.goals)?;
    check_list("interventions", &new.interventions)?;
    let weeks = Some(new.duration_weeks);
    input::in_range("duration_weeks", weeks, 0..=5200, 0).about(About::Session)?;
    let metadata = json!({"num_goals": new.goals.len()});
    let content = json_text(&TreatmentPlan {
        goals: new.goals,
        interventions: new.interventions,
        progress_metrics: new.progress_metrics.unwrap_or_default(),
        duration_weeks: new.duration_weeks,
        created_at: Timestamp::now().to_string(),
    })?;
    let kind = MemoryType::TreatmentPlan;
    store(&call, &new.user_id, &id.0, kind, content, metadata).await?;
    created(Done::saying("Treatment plan stored"))
}

/// Defines how snapshots of a kind are read: the newest one, and all of them.
macro_rules! reading {
    (
        $kind:ident, $newest_path:tt, $all_path:tt, $one:ident, $newest_id:tt, $Newest:ident,
        $all:ident, $all_id:tt, $All:ident
    ) => {
        /// The newest one; null if there is none.
        #[derive(Debug, Serialize, ToSchema)]
        pub(super) struct $Newest {
            /// True.
            success: bool,
            /// Which conversation.
            session_id: String,
            /// As it was stored; a migrated one may have `content` alone.
            #[schema(value_type = Option<Object>)]
            $one: Option<Map<String, Value>>,
        }

        /// All of them.
        #[derive(Debug, Serialize, ToSchema)]
        pub(super) struct $All {
            /// True.
            success: bool,
            /// Which conversation.
            session_id: String,
            /// Newest first.
            #[schema(value_type = Vec<Object>)]
            $all: Vec<Map<String, Value>>,
        }

        /// Read the newest one
        #[utoipa::path(
                            get, path = $newest_path, tag = "snapshots", operation_id = $newest_id,
                            params(InSession, Whose),
                            responses((status = 200, body = $Newest, description = "The newest"))
                        )]
        pub(super) async fn $one(call: Call, id: PathId, given: Given<Whose>) -> Answer<$Newest> {
            let user = given.0.user_id.as_deref();
            let found = newest(&call, user, &id.0, MemoryType::$kind, 1).await?;
            ok($Newest {
                success: true,
                session_id: id.0,
                $one: found.into_iter().next(),
            })
        }

        /// List all of them
        #[utoipa::path(
                            get, path = $all_path, tag = "snapshots", operation_id = $all_id,
                            params(InSession, Earlier),
                            responses((status = 200, body = $All, description = "Newest first"))
                        )]
        pub(super) async fn $all(call: Call, id: PathId, given: Given<Earlier>) -> Answer<$All> {
            let (user, count) = (given.0.user_id.as_deref(), limit_of(&given.0)?);
            let found = newest(&call, user, &id.0, MemoryType::$kind, count).await?;
            ok($All {
                success: true,
                session_id: id.0,
                $all: found,
            })
        }
    };
}

reading!(
    SessionSummary,
    "/api/v1/memory/{session_id}/summary",
    "/api/v1/memory/{session_id}/summary/history",
    summary,
    "get_summary",
    NewestSummary,
    summaries,
    "list_summaries",
    Summaries
);
reading!(
    EmotionalState,
    "/api/v1/memory/{session_id}/emotional-state",
    "/api/v1/memory/{session_id}/emotional-state/history",
    emotional_state,
    "get_emotional_state",
    NewestEmotionalState,
    emotional_states,
    "list_emotional_states",
    EmotionalStates
);
reading!(
    TreatmentPlan,
    "/api/v1/memory/{session_id}/treatment-plan",
    "/api/v1/memory/{session_id}/treatment-plan/history",
    treatment_plan,
    "get_treatment_plan",
    NewestTreatmentPlan,
    treatment_plans,
    "list_treatment_plans",
    TreatmentPlans
);
