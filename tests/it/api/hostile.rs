//! Bad input: a clear answer, nothing written, nothing lost.

use serde_json::json;

use super::{Api, fields, worlds};

#[test]
fn bodies_are_bounded_and_read_as_json_only() {
    let [world, _] = worlds();
    let api = Api::of(&world);
    let user = api.user();
    let post = |body: Vec<u8>| {
        let (status, text) = api.raw("POST", "/api/memory/messages", Some(body));
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        (status, answer)
    };
    let deep = format!("{{\"metadata\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let many = format!("{{\"metadata\": [{}0]}}", "0,".repeat(100_000));
    for (body, wanted, kind) in [
        (b"not json".to_vec(), 422, "json_invalid"),
        (b"[1]".to_vec(), 422, "dict_type"),
        (b"\"text\"".to_vec(), 422, "dict_type"),
        (b"{\"a\": 1".to_vec(), 422, "json_invalid"),
        (vec![0xff, 0xfe], 422, "json_invalid"),
        (deep.into_bytes(), 422, "too_much"),
        (many.into_bytes(), 422, "too_much"),
    ] {
        let (status, answer) = post(body);
        assert_eq!(
            (status, &answer["detail"][0]["type"]),
            (wanted, &json!(kind)),
            "{answer}"
        );
    }
    let (status, answer) = post(vec![b' '; 17 << 20]);
    assert_eq!((status, &answer["error"]), (413, &json!("too_large")));
    // The longest content is stored whole.
    let long = "word ".repeat(199_999);
    api.say(&user, "long", &long);
    let history = api.get("/api/v1/memory/long/history");
    assert_eq!(
        history["messages"][0]["content"].as_str().map(str::len),
        Some(long.len())
    );
    let too_long = json!({"user_id": user, "content": "x".repeat(1_000_001), "role": "user"});
    let detail = api.refused("POST", "/api/v1/memory/long/messages", Some(&too_long), 422);
    assert_eq!(fields(&detail), ["content"]);
}

#[test]
fn each_field_that_cannot_be_accepted_is_named() {
    let [world, _] = worlds();
    let api = Api::of(&world);
    let user = api.user();
    let session = api.session(&user);
    let message = |change: serde_json::Value| {
        let mut body =
            json!({"user_id": user, "session_id": session, "content": "c", "role": "user"});
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        body
    };
    for (path, body, wrong) in [
        ("messages", message(json!({"role": "king"})), "role"),
        ("messages", message(json!({"role": null})), "role"),
        (
            "messages",
            message(json!({"memory_type": "dream"})),
            "memory_type",
        ),
        ("messages", message(json!({"content": ""})), "content"),
        ("messages", message(json!({"content": 5})), "content"),
        ("messages", message(json!({"metadata": "x"})), "metadata"),
        (
            "messages",
            message(json!({"user_id": "a\u{7}b"})),
            "user_id",
        ),
        (
            "messages",
            message(json!({"session_id": "a::zm::b"})),
            "session_id",
        ),
        (
            "messages",
            message(json!({"session_id": "x".repeat(501)})),
            "session_id",
        ),
        ("messages", message(json!({"extra": 1})), "extra"),
        (
            "sessions",
            json!({"user_id": user, "timeout_minutes": -1}),
            "timeout_minutes",
        ),
        (
            "sessions",
            json!({"user_id": user, "timeout_minutes": 1441}),
            "timeout_minutes",
        ),
        (
            "sessions",
            json!({"user_id": user, "timeout_minutes": "soon"}),
            "timeout_minutes",
        ),
        (
            "sessions",
            json!({"user_id": user, "ip_address": "x".repeat(501)}),
            "ip_address",
        ),
        ("search", json!({"user_id": user, "query": " "}), "query"),
        (
            "search",
            json!({"user_id": user, "query": "x", "limit": 51}),
            "limit",
        ),
        ("add", json!({"user_id": user, "content": "  "}), "content"),
    ] {
        let detail = api.refused("POST", &format!("/api/memory/{path}"), Some(&body), 422);
        assert_eq!(fields(&detail), [wrong], "{body}: {detail}");
    }
    for (kind, body, wrong) in [
        (
            "summary",
            json!({"user_id": user, "summary": " "}),
            "summary",
        ),
        (
            "summary",
            json!({"user_id": user, "summary": "x".repeat(100_001)}),
            "summary",
        ),
        (
            "treatment-plan",
            json!({"user_id": user, "goals": vec!["g"; 1_001], "interventions": [], "duration_weeks": 1}),
            "goals",
        ),
        (
            "summary",
            json!({"user_id": user, "summary": "s", "key_points": "k"}),
            "key_points",
        ),
        (
            "emotional-state",
            json!({"user_id": user, "context": "c"}),
            "emotions",
        ),
        (
            "emotional-state",
            json!({"user_id": user, "context": "", "emotions": {}}),
            "context",
        ),
        (
            "treatment-plan",
            json!({"user_id": user, "goals": [1], "interventions": [], "duration_weeks": 1}),
            "goals[0]",
        ),
        (
            "treatment-plan",
            json!({"user_id": user, "goals": [], "interventions": [], "duration_weeks": -1}),
            "duration_weeks",
        ),
    ] {
        let path = format!("/api/v1/memory/{session}/{kind}");
        let detail = api.refused("POST", &path, Some(&body), 422);
        assert_eq!(fields(&detail), [wrong], "{body}: {detail}");
    }
    assert_eq!(api.said(&session), [""; 0], "nothing was written");
    for (method, path, status) in [
        ("GET", "/api/memory/nothing-like-an-id", 422),
        (
            "GET",
            "/api/memory/0198c0de-0000-7000-8000-000000000000",
            404,
        ),
        ("GET", "/api/v1/memory/%ff/history", 422),
        ("GET", "/api/v1/memory/%00/history", 422),
        ("GET", "/api/v1/sessions/none", 404),
        ("GET", "/api/v1/users/none", 404),
        ("PATCH", "/api/v1/users/none", 405),
        ("GET", "/api/v1/none", 404),
        ("POST", "/api/v1/sessions?user_id=a&user_id=b", 422),
    ] {
        let detail = api.refused(method, path, None, status);
        assert!(!detail.is_null(), "{path}");
    }
}

#[test]
fn nothing_that_was_said_is_logged() {
    let [_, world] = worlds();
    let api = Api::run(super::command(&world, &[]).env("LOG_LEVEL", "debug"));
    let user = api.user();
    let session = api.session(&user);
    api.say(&user, &session, "my-secret-words");
    let bad = json!({"user_id": user, "content": "my-secret-words", "role": "my-secret-role"});
    api.refused(
        "POST",
        &format!("/api/v1/memory/{session}/messages"),
        Some(&bad),
        422,
    );
    api.post(
        "/api/memory/search",
        &json!({"user_id": user, "query": "my-secret-words"}),
    );
    let log = api.stop();
    for secret in ["my-secret", "Ann", "ann@example.com", &user, &session] {
        assert!(!log.contains(secret), "{log}");
    }
}
