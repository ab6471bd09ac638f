//! Users: their fields, and what a status means on every door.

use serde_json::json;

use super::{Api, fields, worlds};

#[test]
fn a_users_fields_come_back_and_change_without_losing_any() {
    for world in worlds() {
        let api = Api::of(&world);
        let many: serde_json::Map<_, _> = (0..14).map(|n| (format!("k{n}"), json!(n))).collect();
        let new = json!({
            "email": "ann@example.com", "name": "Ann Maria Example", "role": "therapist",
            "metadata": {"nested": {"deep": [1, null]}, "many": many},
        });
        let made = api.post("/api/v1/users", &new);
        let path = format!("/api/v1/users/{}", made["user_id"].as_str().unwrap());
        let read = api.get(&path);
        for (field, value) in new.as_object().unwrap() {
            assert_eq!(read[field], *value);
        }
        assert_eq!(
            (&read["status"], &read["last_login"]),
            (&json!("active"), &json!(null))
        );
        api.must(
            "PUT",
            &path,
            Some(&json!({"name": "Ann", "metadata": {"nested": 1, "new": "x"}})),
        );
        let read = api.get(&path);
        assert_eq!(read["name"], "Ann");
        assert_eq!(read["role"], "therapist");
        assert_eq!(
            read["metadata"],
            json!({"nested": 1, "many": many, "new": "x"})
        );
        assert!(read["last_login"].is_string());
        assert_eq!(read["created_at"], made["created_at"]);
    }
}

#[test]
fn suspended_and_deleted_users_are_neither_read_nor_written_whoever_asks() {
    for world in worlds() {
        let mut serving = super::command(&world, &["--http"]);
        let api = Api::run(&mut serving);
        let (ann, ben) = (api.user(), api.user());
        let session = api.session(&ann);
        api.say(&ann, &session, "I like tea");
        let kept = api.post(
            "/api/memory/add",
            &json!({"content": "tea", "user_id": ann}),
        );
        api.post(
            "/api/memory/add",
            &json!({"content": "tea", "user_id": ben}),
        );
        let path = format!("/api/v1/users/{ann}");
        for status in ["suspended", "deleted"] {
            api.must("PUT", &path, Some(&json!({"status": status})));
            assert_eq!(api.get(&path)["status"], status);
            let memory = format!("/api/memory/{}", kept["memory_id"].as_str().unwrap());
            let said = json!({"user_id": ann, "content": "more", "role": "user"});
            for (method, path, body) in [
                ("GET", format!("/api/v1/memory/{session}/history"), None),
                ("GET", format!("/api/v1/memory/{session}/stats"), None),
                (
                    "GET",
                    format!("/api/v1/memory/{session}/emotional-state"),
                    None,
                ),
                ("GET", format!("/api/memory/all/{ann}"), None),
                ("GET", memory.clone(), None),
                ("PATCH", memory, Some(json!({"text": "x"}))),
                (
                    "POST",
                    "/api/memory/search".into(),
                    Some(json!({"query": "tea", "user_id": ann})),
                ),
                (
                    "POST",
                    "/api/memory/add".into(),
                    Some(json!({"content": "x", "user_id": ann})),
                ),
                (
                    "POST",
                    format!("/api/v1/memory/{session}/messages"),
                    Some(said),
                ),
                (
                    "POST",
                    "/api/v1/sessions".into(),
                    Some(json!({"user_id": ann})),
                ),
                ("GET", format!("/api/v1/users/{ann}/sessions"), None),
            ] {
                let detail = api.refused(method, &path, body.as_ref(), 403);
                assert!(
                    detail.as_str().unwrap().contains("suspended or deleted"),
                    "{detail}"
                );
            }
            // The others are found as before.
            let found = api.post(
                "/api/memory/search",
                &json!({"query": "tea", "user_id": ben}),
            );
            assert_eq!(found["count"], 1);
        }
        // MCP on the same port minds it as well.
        let about_ann = json!({"query": "tea", "user_id": ann});
        let answer = super::tool(&api, "search_memory", about_ann);
        assert_eq!(answer["error"], "suspended");
        api.must("PUT", &path, Some(&json!({"status": "active"})));
        assert_eq!(api.said(&session), ["I like tea"]);
    }
}

#[test]
fn only_what_a_user_can_be_is_accepted() {
    let [world, _] = worlds();
    let api = Api::of(&world);
    let user = format!("/api/v1/users/{}", api.user());
    for (method, path, body, wrong) in [
        ("POST", "/api/v1/users", json!({}), vec!["email", "name"]),
        (
            "POST",
            "/api/v1/users",
            json!({"email": "a", "name": "b", "foo": 1, "bar": 2}),
            vec!["foo", "bar"],
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"email": "a", "name": "b", "role": "king"}),
            vec!["role"],
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"email": "a", "name": " "}),
            vec!["name"],
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"email": 1, "name": "b"}),
            vec!["email"],
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"email": "a", "name": "b", "metadata": []}),
            vec!["metadata"],
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"email": "a", "name": "b", "metadata": {"role": "x"}}),
            vec!["metadata.role"],
        ),
        ("PUT", &user, json!({"status": "gone"}), vec!["status"]),
        ("PUT", &user, json!({"email": "x"}), vec!["email"]),
        ("PUT", &user, json!({"name": "x".repeat(501)}), vec!["name"]),
    ] {
        let detail = api.refused(method, path, Some(&body), 422);
        assert_eq!(fields(&detail), wrong, "{body}");
    }
    let unread = api.get(&user);
    assert_eq!(unread["last_login"], json!(null), "nothing was written");
}

#[test]
fn a_deleted_user_is_gone_with_all_memories() {
    for world in worlds() {
        let api = Api::of(&world);
        let user = api.user();
        let session = api.session(&user);
        api.say(&user, &session, "I like tea");
        api.must("DELETE", &format!("/api/v1/users/{user}"), None);
        api.refused("GET", &format!("/api/v1/users/{user}"), None, 404);
        api.refused(
            "GET",
            &format!("/api/v1/memory/{session}/history"),
            None,
            404,
        );
        api.refused("DELETE", &format!("/api/v1/users/{user}"), None, 404);
    }
}
