//! Each capability in each of the five dialects, as their callers send it.

use serde_json::{Value, json};

use super::{Api, worlds};

/// A call: its method, its path with `U`, `S` and `M` for a user, a session and a memory, its body, and the
/// fields that its answer has.
type Row = (&'static str, &'static str, Value, &'static [&'static str]);

/// What each dialect sends.
fn dialects() -> Vec<(&'static str, Vec<Row>)> {
    const USER: &[&str] = &["user_id", "email", "name", "role", "created_at"];
    const READ_USER: &[&str] = &["user_id", "email", "name", "role", "status", "last_login"];
    const SESSION: &[&str] = &["session_id", "user_id", "created_at", "expires_at"];
    const READ_SESSION: &[&str] = &[
        "session_id",
        "user_id",
        "created_at",
        "expires_at",
        "last_activity",
    ];
    const DONE: &[&str] = &["message"];
    const HISTORY: &[&str] = &["session_id", "messages"];
    const STATS: &[&str] = &["session_id", "stats"];
    let summary = json!({"key_points": ["k"], "emotional_insights": {"i": 1}, "next_steps": ["n"]});
    let plan = json!({"goals": ["g"], "interventions": ["i"], "progress_metrics": {"m": 1}});
    let whole = |scalars: Value, rest: &Value| {
        let mut body = scalars;
        body.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        body
    };
    vec![
        (
            "the original's code: scalars in the query",
            vec![
                (
                    "POST",
                    "/api/memory/users?email=a%40b.c&name=Ann+Bee&role=therapist",
                    json!({"lang": "de"}),
                    USER,
                ),
                ("GET", "/api/memory/users/U", Value::Null, READ_USER),
                (
                    "PUT",
                    "/api/memory/users/U?name=Ann&status=active",
                    json!({"lang": "fr"}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/memory/users/U/sessions",
                    Value::Null,
                    &["user_id", "sessions"],
                ),
                (
                    "POST",
                    "/api/memory/sessions?user_id=U&timeout_minutes=45&ip_address=10.0.0.1",
                    Value::Null,
                    SESSION,
                ),
                ("GET", "/api/memory/sessions/S", Value::Null, READ_SESSION),
                (
                    "POST",
                    "/api/memory/messages?user_id=U&session_id=S&content=I+sleep+well&role=user",
                    json!({"mood": 6}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/memory/conversations/S?limit=10",
                    Value::Null,
                    HISTORY,
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/summary?user_id=U&summary=In+short",
                    summary.clone(),
                    DONE,
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/emotional-state?user_id=U&context=exam",
                    json!({"emotions": {"fear": 0.9}, "triggers": ["exam"]}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/memory/sessions/S/emotional-state?user_id=U",
                    Value::Null,
                    &["session_id", "emotional_state"],
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/treatment-plan?user_id=U&duration_weeks=8",
                    plan.clone(),
                    DONE,
                ),
                (
                    "GET",
                    "/api/memory/sessions/S/treatment-plan?user_id=U",
                    Value::Null,
                    &["session_id", "treatment_plan"],
                ),
                ("GET", "/api/memory/sessions/S/stats", Value::Null, STATS),
                ("POST", "/api/memory/sessions/S/close", Value::Null, DONE),
                ("POST", "/api/memory/sessions/S/clear", Value::Null, DONE),
                (
                    "GET",
                    "/health",
                    Value::Null,
                    &["status", "service", "timestamp"],
                ),
            ],
        ),
        (
            "the setup guide: everything in a body",
            vec![
                (
                    "POST",
                    "/api/memory/users",
                    json!({"email": "a@b.c", "name": "Ann", "role": "patient", "metadata": {"lang": "de"}}),
                    USER,
                ),
                (
                    "PUT",
                    "/api/memory/users/U",
                    json!({"name": "Ann Cee", "metadata": {"lang": "fr"}}),
                    DONE,
                ),
                (
                    "POST",
                    "/api/memory/sessions",
                    json!({"user_id": "U", "ip_address": "::1", "timeout_minutes": 30}),
                    SESSION,
                ),
                (
                    "POST",
                    "/api/memory/messages",
                    json!({"user_id": "U", "session_id": "S", "content": "Hello", "role": "assistant", "memory_type": "conversation", "metadata": {"a": {"b": [1]}}}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/memory/conversations/S?limit=10",
                    Value::Null,
                    HISTORY,
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/summary",
                    whole(json!({"user_id": "U", "summary": "In short"}), &summary),
                    DONE,
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/emotional-state",
                    json!({"user_id": "U", "context": "exam", "emotions": {"hope": 0.5}}),
                    DONE,
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/treatment-plan",
                    whole(json!({"user_id": "U", "duration_weeks": 8}), &plan),
                    DONE,
                ),
            ],
        ),
        (
            "the documents: /api/v1",
            vec![
                (
                    "POST",
                    "/api/v1/users",
                    json!({"email": "a@b.c", "name": "Ann", "role": "admin"}),
                    USER,
                ),
                ("GET", "/api/v1/users/U", Value::Null, READ_USER),
                ("PUT", "/api/v1/users/U", json!({"name": "Ann Dee"}), DONE),
                (
                    "GET",
                    "/api/v1/users/U/sessions",
                    Value::Null,
                    &["sessions"],
                ),
                (
                    "POST",
                    "/api/v1/memory/S/messages",
                    json!({"user_id": "U", "content": "Hello", "role": "therapist"}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/v1/memory/S/history?limit=50",
                    Value::Null,
                    HISTORY,
                ),
                (
                    "GET",
                    "/api/v1/memory/S/history/count",
                    Value::Null,
                    &["session_id", "count"],
                ),
                (
                    "POST",
                    "/api/v1/memory/S/summary",
                    json!({"user_id": "U", "summary": "In short"}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/v1/memory/S/summary",
                    Value::Null,
                    &["session_id", "summary"],
                ),
                (
                    "POST",
                    "/api/v1/memory/S/emotional-state",
                    json!({"user_id": "U", "emotions": {"hope": 1}, "context": "c", "triggers": []}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/v1/memory/S/emotional-state",
                    Value::Null,
                    &["emotional_state"],
                ),
                (
                    "POST",
                    "/api/v1/memory/S/treatment-plan",
                    json!({"user_id": "U", "goals": ["g"], "interventions": [], "duration_weeks": 4}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/v1/memory/S/treatment-plan",
                    Value::Null,
                    &["treatment_plan"],
                ),
                ("GET", "/api/v1/memory/S/stats", Value::Null, STATS),
                ("DELETE", "/api/v1/memory/S", Value::Null, DONE),
            ],
        ),
        (
            "the guide",
            vec![
                (
                    "POST",
                    "/api/v1/memory/S/messages",
                    json!({"user_id": "U", "content": "Hello", "role": "user"}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/v1/health",
                    Value::Null,
                    &["status", "service", "timestamp"],
                ),
                ("GET", "/api/v1/memory/stats/S", Value::Null, STATS),
            ],
        ),
        (
            "version 2.0.0",
            vec![
                (
                    "POST",
                    "/api/memory/add",
                    json!({"content": "Ann likes tea", "user_id": "U", "session_id": "S", "agent_id": "coach", "category": "taste", "metadata": {"a": 1}}),
                    &["memory_id", "message"],
                ),
                (
                    "POST",
                    "/api/memory/add",
                    json!({"content": "Ann likes mornings", "user_id": "U"}),
                    &["memory_id", "message"],
                ),
                (
                    "POST",
                    "/api/memory/search",
                    json!({"query": "tea", "user_id": "U", "limit": 5}),
                    &["memories", "count"],
                ),
                (
                    "GET",
                    "/api/memory/all/U?limit=100",
                    Value::Null,
                    &["memories", "total"],
                ),
                ("GET", "/api/memory/M", Value::Null, &["memory"]),
                (
                    "PATCH",
                    "/api/memory/M",
                    json!({"text": "Ann likes evenings", "metadata": {"b": 2}}),
                    &["memory_id", "message"],
                ),
                (
                    "DELETE",
                    "/api/memory/M",
                    Value::Null,
                    &["memory_id", "message"],
                ),
                (
                    "POST",
                    "/api/memory/messages",
                    json!({"user_id": "U", "session_id": "S", "content": "Hello", "role": "user", "memory_type": "conversation"}),
                    DONE,
                ),
                (
                    "GET",
                    "/api/memory/conversations/S?user_id=U&limit=50",
                    Value::Null,
                    HISTORY,
                ),
                (
                    "POST",
                    "/api/memory/sessions/S/summary",
                    json!({"user_id": "U", "summary": "In short"}),
                    DONE,
                ),
                (
                    "DELETE",
                    "/api/memory/user/U",
                    Value::Null,
                    &["user_id", "message"],
                ),
                (
                    "GET",
                    "/health",
                    Value::Null,
                    &["status", "service", "provider", "version", "timestamp"],
                ),
                ("GET", "/api/memory/tools", Value::Null, &["tools"]),
            ],
        ),
    ]
}

/// Makes the calls of each dialect, one after the other.
fn speaks(api: &Api, compat: bool) {
    for (dialect, rows) in dialects() {
        let user = api.user();
        let session = api.session(&user);
        let mut memory = String::new();
        for (method, path, body, expected) in rows {
            let filled = |text: &str| {
                let text = text.replace("=U", &format!("={user}"));
                let text = text.replace("=S", &format!("={session}"));
                let parts: Vec<String> = text
                    .split('/')
                    .map(|part| {
                        let (name, rest) = part.split_at(part.find('?').unwrap_or(part.len()));
                        let id = match name {
                            "U" => &user,
                            "S" => &session,
                            "M" => &memory,
                            other => other,
                        };
                        format!("{id}{rest}")
                    })
                    .collect();
                parts.join("/")
            };
            let body = match body {
                Value::Null => None,
                mut body => {
                    for (field, id) in [("user_id", &user), ("session_id", &session)] {
                        if body.get(field).is_some() {
                            body[field] = json!(id);
                        }
                    }
                    Some(body)
                }
            };
            let (status, answer) = api.call(method, &filled(path), body.as_ref());
            let is_made = method == "POST"
                && !["/close", "/clear", "/search"]
                    .iter()
                    .any(|end| path.ends_with(end));
            let wanted = if is_made && !compat { 201 } else { 200 };
            assert_eq!(status, wanted, "{dialect}: {method} {path}: {answer}");
            for field in expected {
                assert!(
                    answer.get(field).is_some(),
                    "{dialect}: {method} {path}: {field} in {answer}"
                );
            }
            let is_told = answer.get("tools").is_some() || answer.get("service").is_some();
            assert!(is_told || answer["success"] == true, "{answer}");
            if let Some(id) = answer["memory_id"].as_str() {
                memory = id.to_owned();
            }
        }
    }
}

#[test]
fn all_five_dialects_are_spoken() {
    for world in worlds() {
        speaks(&Api::of(&world), false);
    }
}

#[test]
fn successes_are_200_where_callers_expect_the_original() {
    let [world, _] = worlds();
    let api = Api::run(super::command(&world, &[]).env("MEMORY_API_COMPAT", "1"));
    speaks(&api, true);
    let text = |path: &str| api.refused("GET", path, None, 400);
    assert_eq!(text("/api/memory/users/nobody"), "404: User not found");
    assert_eq!(
        text("/api/memory/sessions/nothing"),
        "404: Session not found or expired"
    );
    let wrong = json!({"email": "a@b.c", "name": "A", "role": "king"});
    let detail = api.refused("POST", "/api/memory/users", Some(&wrong), 400);
    assert!(
        detail
            .as_str()
            .unwrap()
            .starts_with("'king' is not a valid UserRole")
    );
    // What its framework answered stays, and so do the answers that hid failures.
    api.refused("POST", "/api/memory/users", Some(&json!({})), 422);
    let empty = api.get("/api/memory/conversations/nothing");
    assert_eq!(empty["messages"], json!([]));
    let none = api.get("/api/memory/sessions/nothing/stats");
    assert_eq!(none["stats"]["total_messages"], 0);
}

#[test]
fn what_a_body_means_depends_on_what_is_in_the_query() {
    let [world, _] = worlds();
    let api = Api::of(&world);
    let metadata = |query: &str, body: Value| {
        let made = api.post(&format!("/api/memory/users{query}"), &body);
        made["metadata"].clone()
    };
    let query = "?email=a@b.c&name=A";
    // The whole body, also if its keys are those of other fields.
    assert_eq!(
        metadata(query, json!({"x": 1, "name": "pen"})),
        json!({"x": 1, "name": "pen"})
    );
    assert_eq!(
        metadata(query, json!({"metadata": {"x": 1}})),
        json!({"x": 1})
    );
    assert_eq!(metadata(query, json!({})), json!({}));
    assert_eq!(
        metadata("?email=a@b.c", json!({"name": "A", "metadata": {"x": 1}})),
        json!({"x": 1})
    );
    // The same twice is once; something else is not guessed.
    let twice = "/api/memory/messages?role=user";
    let detail = api.refused("POST", twice, Some(&json!({"role": "system"})), 422);
    assert!(
        super::fields(&detail).contains(&"role".to_owned()),
        "{detail}"
    );
}
