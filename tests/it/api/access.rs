//! Every route, with every role, on own and on others' memories.

use serde_json::{Value, json};

use super::{Api, token, tokens, worlds};
use crate::common::program::World;

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Reading,
    Writing,
    Operating,
    /// A role, and everybody's memories.
    WritingForAll,
}

/// All routes with what they need: `U`, `S` and `M` stand for a user, a session and a memory.
fn routes() -> Vec<(&'static str, &'static str, Value, Needs)> {
    use Needs::{Operating, Reading, Writing, WritingForAll};
    let user = json!({"email": "a@b.c", "name": "A"});
    let message = json!({"user_id": "U", "session_id": "S", "content": "c", "role": "user"});
    let here = json!({"user_id": "U", "content": "c", "role": "user"});
    let summary = json!({"user_id": "U", "summary": "s"});
    let state = json!({"user_id": "U", "emotions": {"hope": 1}, "context": "c"});
    let plan = json!({"user_id": "U", "goals": [], "interventions": [], "duration_weeks": 1});
    let moving = json!({"user": {"id": "U"}, "data": []});
    let mut rows = vec![
        ("POST", "/api/v1/users", user, WritingForAll),
        ("GET", "/api/v1/users/U", Value::Null, Reading),
        ("PUT", "/api/v1/users/U", json!({"name": "B"}), Writing),
        (
            "PUT",
            "/api/v1/users/U",
            json!({"status": "active"}),
            Operating,
        ),
        ("GET", "/api/v1/users/U/sessions", Value::Null, Reading),
        ("POST", "/api/v1/sessions", json!({"user_id": "U"}), Writing),
        ("GET", "/api/v1/sessions/S", Value::Null, Reading),
        ("POST", "/api/memory/messages", message, Writing),
        ("POST", "/api/v1/memory/S/messages", here, Writing),
        ("GET", "/api/v1/memory/S/history", Value::Null, Reading),
        (
            "GET",
            "/api/v1/memory/S/history?user_id=U",
            Value::Null,
            Reading,
        ),
        (
            "GET",
            "/api/v1/memory/S/history/count",
            Value::Null,
            Reading,
        ),
        ("GET", "/api/v1/memory/S/stats", Value::Null, Reading),
        ("GET", "/api/v1/memory/stats/S", Value::Null, Reading),
    ];
    for (kind, body) in [
        ("summary", summary),
        ("emotional-state", state),
        ("treatment-plan", plan),
    ] {
        let path: &'static str = format!("/api/v1/memory/S/{kind}").leak();
        let history: &'static str = format!("{path}/history").leak();
        rows.push(("POST", path, body, Writing));
        rows.push(("GET", path, Value::Null, Reading));
        rows.push(("GET", history, Value::Null, Reading));
    }
    rows.extend([
        (
            "POST",
            "/api/memory/add",
            json!({"user_id": "U", "content": "c"}),
            Writing,
        ),
        (
            "POST",
            "/api/memory/search",
            json!({"user_id": "U", "query": "tea"}),
            Reading,
        ),
        ("GET", "/api/memory/all/U", Value::Null, Reading),
        ("GET", "/api/memory/M", Value::Null, Reading),
        ("PATCH", "/api/memory/M", json!({"text": "x"}), Writing),
        ("POST", "/api/v1/migrations", moving.clone(), Operating),
        ("POST", "/api/v1/migrations/validate", moving, Operating),
        ("POST", "/api/v1/sessions/S/close", Value::Null, Writing),
        ("DELETE", "/api/memory/M", Value::Null, Operating),
        (
            "POST",
            "/api/memory/sessions/S/clear",
            Value::Null,
            Operating,
        ),
        ("DELETE", "/api/v1/memory/S", Value::Null, Operating),
        ("DELETE", "/api/memory/user/U", Value::Null, Operating),
        ("DELETE", "/api/v1/users/U", Value::Null, Operating),
    ]);
    rows
}

/// A user with a session and a memory, new for each call, since calls delete.
struct Made {
    user: String,
    session: String,
    memory: String,
}

fn made(api: &mut Api) -> Made {
    api.with_token(Some(&token("root")));
    let user = api.user();
    let session = api.session(&user);
    api.say(&user, &session, "I like tea");
    let kept = api.post(
        "/api/memory/add",
        &json!({"content": "tea", "user_id": user}),
    );
    Made {
        memory: kept["memory_id"].as_str().unwrap().to_owned(),
        user,
        session,
    }
}

fn filled(text: &str, of: &Made) -> String {
    let parts: Vec<String> = text
        .split('/')
        .map(|part| {
            let (name, rest) = part.split_at(part.find('?').unwrap_or(part.len()));
            let id = match name {
                "U" => &of.user,
                "S" => &of.session,
                "M" => &of.memory,
                other => other,
            };
            format!("{id}{}", rest.replace("=U", &format!("={}", of.user)))
        })
        .collect();
    parts.join("/")
}

fn about(body: &Value, of: &Made) -> Option<Value> {
    let mut body = body.clone();
    if body.is_null() {
        return None;
    }
    if body.get("user_id").is_some() {
        body["user_id"] = json!(of.user);
    }
    if body.get("session_id").is_some() {
        body["session_id"] = json!(of.session);
    }
    if body.get("user").is_some() {
        body["user"]["id"] = json!(of.user);
    }
    Some(body)
}

#[test]
fn every_route_needs_its_role_and_reaches_only_whom_the_token_does() {
    let world = World::embedded();
    let directory = tempfile::tempdir().unwrap();
    let roles = ["reader", "writer", "operator"];
    // One token a role for everybody, and one that reaches one user who owns nothing.
    let nobody: &[&str] = &["nobody"];
    let mut entries = vec![("root", "operator", None)];
    let names: Vec<(String, String)> = roles
        .iter()
        .map(|role| (format!("all-{role}"), format!("one-{role}")))
        .collect();
    for (role, (all, one)) in roles.iter().zip(&names) {
        entries.push((all, role, None));
        entries.push((one, role, Some(nobody)));
    }
    let file = tokens(directory.path(), &entries);
    let mut api = Api::run(super::command(&world, &[]).env("MCP_AUTH_TOKENS_FILE", file));
    for (method, path, body, needs) in routes() {
        for (role, (all, one)) in roles.into_iter().zip(&names) {
            let has_role = match needs {
                Needs::Reading => true,
                Needs::Writing | Needs::WritingForAll => role != "reader",
                Needs::Operating => role == "operator",
            };
            let of = made(&mut api);
            let (at, sent) = (filled(path, &of), about(&body, &of));
            api.with_token(Some(&token(all)));
            let (status, answer) = api.call(method, &at, sent.as_ref());
            match has_role {
                true => assert!(status < 300, "{role}: {method} {at}: {status} {answer}"),
                false => assert_eq!(status, 403, "{role}: {method} {at}: {answer}"),
            }
            let of = made(&mut api);
            let (at, sent) = (filled(path, &of), about(&body, &of));
            api.with_token(Some(&token(one)));
            let (status, answer) = api.call(method, &at, sent.as_ref());
            // What others have is not there; without the role nothing is looked for.
            let wanted: &[u16] = match (needs, has_role) {
                (Needs::WritingForAll, _) => &[403, 404],
                (_, true) => &[404],
                (_, false) => &[403, 404],
            };
            assert!(
                wanted.contains(&status),
                "{role}: {method} {at}: {status} {answer}"
            );
        }
        api.with_token(None);
        let (status, answer) = api.call(method, path, Some(&body));
        assert_eq!(status, 401, "{method} {path}: {answer}");
    }
    // Once: who sends more of them waits.
    api.with_token(Some("not-a-token-of-this-server"));
    api.refused("GET", "/api/v1/users/U", None, 401);
}

#[test]
fn health_and_documents_need_no_token() {
    let world = World::embedded();
    let api = Api::run(super::command(&world, &[]).env("MCP_AUTH_TOKEN", token("root")));
    for path in ["/health", "/api/v1/health", "/openapi.json"] {
        api.get(path);
    }
    assert_eq!(api.raw("GET", "/docs/", None).0, 200);
    assert_eq!(api.raw("GET", "/api/memory/tools", None).0, 401);
}

#[test]
fn who_reaches_one_user_need_not_name_them() {
    for world in worlds() {
        let directory = tempfile::tempdir().unwrap();
        let ann: &[&str] = &["ann"];
        let entries = [("root", "operator", None), ("anns", "writer", Some(ann))];
        let file = tokens(directory.path(), &entries);
        let mut api = Api::run(super::command(&world, &[]).env("MCP_AUTH_TOKENS_FILE", file));
        // Another user has the plain name.
        api.with_token(Some(&token("root")));
        api.say("ben", "monday", "Ben's");
        api.with_token(Some(&token("anns")));
        api.say("ann", "monday", "Ann's");
        assert_eq!(api.said("monday"), ["Ann's"]);
        api.refused(
            "GET",
            "/api/memory/conversations/monday?user_id=ben",
            None,
            404,
        );
    }
}
