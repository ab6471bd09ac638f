//! Sessions, what is said in them, and snapshots of them.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Api, contents, fields, tool, worlds};

#[test]
fn a_history_is_read_forwards_and_backwards_page_by_page_and_by_kind() {
    for world in worlds() {
        let api = Api::of(&world);
        let user = api.user();
        let session = api.session(&user);
        let said: Vec<String> = (0..45).map(|n| format!("turn {n}")).collect();
        for turn in &said {
            api.say(&user, &session, turn);
        }
        let summary = json!({"user_id": user, "summary": "s"});
        api.post(&format!("/api/v1/memory/{session}/summary"), &summary);
        let history = format!("/api/v1/memory/{session}/history");
        let newest = contents(&api.get(&format!("{history}?limit=3")));
        assert_eq!(newest[..2], said[43..]);
        for (order, kind, count) in [
            ("asc", "conversation", 45),
            ("desc", "conversation", 45),
            ("desc", "session_summary", 1),
            ("asc", "treatment_plan", 0),
        ] {
            let mut read = Vec::new();
            let mut cursor = String::new();
            loop {
                let query = format!("?order={order}&limit=7&memory_type={kind}{cursor}");
                let page = api.get(&format!("{history}{query}"));
                read.extend(contents(&page));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(read.len(), count, "{order} {kind}");
            if order == "desc" {
                read.reverse();
            }
            if kind == "conversation" {
                assert_eq!(read, said);
            }
        }
        let count = api.get(&format!("{history}/count"));
        assert_eq!(count["count"], 46);
        let stats = api.get(&format!("/api/v1/memory/{session}/stats"));
        assert_eq!(
            stats["stats"]["memory_types"],
            json!({"conversation": 45, "session_summary": 1})
        );
        for wrong in [
            "limit=0",
            "limit=201",
            "limit=x",
            "order=up",
            "memory_type=x",
            "foo=1",
        ] {
            let detail = api.refused("GET", &format!("{history}?{wrong}"), None, 422);
            let field = wrong.split('=').next().unwrap();
            assert_eq!(fields(&detail), [field]);
        }
        api.refused(
            "GET",
            &format!("{history}?order=desc&cursor=back:3:nothing"),
            None,
            422,
        );
        for shown in [3, u32::MAX] {
            let elsewhere = format!("back:{shown}:0198c0de-0000-7000-8000-000000000000");
            for order in ["asc", "desc"] {
                let path = format!("{history}?order={order}&cursor={elsewhere}");
                api.refused("GET", &path, None, 409);
            }
        }
    }
}

#[test]
fn what_is_said_while_somebody_reads_backwards_disturbs_no_page() {
    let [_, world] = worlds();
    let api = Api::of(&world);
    let user = api.user();
    let session = api.session(&user);
    (0..6).for_each(|n| drop(api.say(&user, &session, &format!("turn {n}"))));
    let history = format!("/api/v1/memory/{session}/history?order=desc&limit=3");
    let first = api.get(&history);
    assert_eq!(contents(&first), ["turn 5", "turn 4", "turn 3"]);
    (6..9).for_each(|n| drop(api.say(&user, &session, &format!("turn {n}"))));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("{history}&cursor={cursor}"));
    assert_eq!(contents(&second), ["turn 2", "turn 1", "turn 0"]);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[test]
fn a_session_ends_by_its_time_or_by_closing_and_keeps_what_was_said() {
    for world in worlds() {
        let api = Api::of(&world);
        let user = api.user();
        let closed = api.session(&user);
        api.say(&user, &closed, "before");
        let over = api.post(
            "/api/v1/sessions",
            &json!({"user_id": user, "timeout_minutes": 0}),
        );
        let over = over["session_id"].as_str().unwrap().to_owned();
        let open = api.session(&user);
        api.post(&format!("/api/v1/sessions/{closed}/close"), &json!({}));
        let said = json!({"user_id": user, "content": "late", "role": "user"});
        for session in [&closed, &over] {
            let path = format!("/api/v1/sessions/{session}");
            let detail = api.refused("GET", &path, None, 404);
            assert_eq!(detail, "Session not found or expired");
            api.refused("POST", &format!("{path}/close"), None, 404);
            let path = format!("/api/v1/memory/{session}/messages");
            api.refused("POST", &path, Some(&said), 404);
        }
        assert_eq!(api.said(&closed), ["before"]);
        // A note on a session follows when it is over.
        let summary = json!({"user_id": user, "summary": "s"});
        api.post(&format!("/api/v1/memory/{closed}/summary"), &summary);
        let listed = api.get(&format!("/api/v1/users/{user}/sessions"));
        let ids: Vec<_> = listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["session_id"])
            .collect();
        assert_eq!(ids, [&json!(open)]);
        assert_eq!(listed["total"], 3);
        // Another process knows it, and each message prolongs it.
        let other = Api::of(&world);
        other.refused("GET", &format!("/api/v1/sessions/{closed}"), None, 404);
        let before = other.get(&format!("/api/v1/sessions/{open}"));
        sleep(Duration::from_millis(20));
        other.say(&user, &open, "still here");
        let after = other.get(&format!("/api/v1/sessions/{open}"));
        assert!(after["expires_at"].as_str() > before["expires_at"].as_str());
        assert_eq!(after["created_at"], before["created_at"]);
    }
}

#[test]
fn nobody_sees_that_a_session_was_opened() {
    for world in worlds() {
        let api = Api::run(&mut super::command(&world, &["--http"]));
        let user = api.user();
        let session = api.session(&user);
        api.say(&user, &session, "I like tea");
        assert_eq!(api.said(&session), ["I like tea"]);
        let page = tool(
            &api,
            "get_session",
            json!({"user_id": user, "session_id": session, "summary": true}),
        );
        assert_eq!(contents(&page), ["I like tea"]);
        assert_eq!(page["summary"]["message_count"], 1);
        let listed = tool(&api, "get_memories", json!({"user_id": user}));
        assert_eq!(listed["count"], 1, "{listed}");
        for scope in ["facts", "episodes"] {
            let query = json!({"query": "session opened", "user_id": user, "scope": scope});
            let found = tool(&api, "search_memory", query).to_string();
            assert!(!found.contains("Session opened"), "{found}");
        }
        let events = tool(&api, "list_events", json!({"user_id": user}));
        assert_eq!(
            events["results"].as_array().map(Vec::len),
            Some(1),
            "{events}"
        );
    }
}

#[test]
fn rest_and_mcp_see_the_same_memories() {
    for world in worlds() {
        let api = Api::run(&mut super::command(&world, &["--http"]));
        let user = api.user();
        let added = json!({"user_id": user, "session_id": "talk",
            "messages": [{"role": "user", "content": "by MCP"}]});
        tool(&api, "add_memory", added);
        api.say(&user, "talk", "by REST");
        assert_eq!(api.said("talk"), ["by MCP", "by REST"]);
        let page = tool(
            &api,
            "get_session",
            json!({"user_id": user, "session_id": "talk"}),
        );
        assert_eq!(contents(&page), ["by MCP", "by REST"]);
        // A session that was never opened has no time-out.
        let session = api.get("/api/v1/sessions/talk");
        assert_eq!(
            (&session["expires_at"], &session["user_id"]),
            (&Value::Null, &json!(user))
        );
    }
}

#[test]
fn of_each_kind_of_snapshot_the_newest_counts_and_all_are_kept() {
    for world in worlds() {
        let api = Api::of(&world);
        let user = api.user();
        let session = api.session(&user);
        let path = |kind: &str| format!("/api/v1/memory/{session}/{kind}");
        for kind in ["summary", "emotional-state", "treatment-plan"] {
            let none = api.get(&path(kind));
            assert_eq!(none[kind.replace('-', "_")], Value::Null);
        }
        for fear in [0.9, 0.8] {
            let state =
                json!({"user_id": user, "emotions": {"fear": fear, "hope": 0}, "context": "exam"});
            api.post(&path("emotional-state"), &state);
            let plan = json!({"user_id": user, "goals": ["a", "b"], "interventions": ["c"],
                "duration_weeks": fear * 10.5});
            api.refused("POST", &path("treatment-plan"), Some(&plan), 422);
            let plan = json!({"user_id": user, "goals": ["a", "b"], "interventions": ["c"],
                "progress_metrics": {"nights": fear}, "duration_weeks": 8});
            api.post(&path("treatment-plan"), &plan);
            let summary = json!({"user_id": user, "summary": format!("fear {fear}"), "key_points": ["k"],
                "emotional_insights": {"calm": true}, "next_steps": []});
            api.post(&path("summary"), &summary);
        }
        let state = &api.get(&path("emotional-state"))["emotional_state"];
        assert_eq!(state["emotions"], json!({"fear": 0.8, "hope": 0.0}));
        assert_eq!(state["has_crisis_markers"], false, "above 0.8 only");
        let states = &api.get(&path("emotional-state/history"))["emotional_states"];
        let marked: Vec<_> = states
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["has_crisis_markers"])
            .collect();
        assert_eq!(marked, [false, true]);
        let plan = &api.get(&path("treatment-plan"))["treatment_plan"];
        assert_eq!(plan["progress_metrics"], json!({"nights": 0.8}));
        assert_eq!(plan["duration_weeks"], 8);
        let summary = &api.get(&path("summary"))["summary"];
        assert_eq!(
            (&summary["summary"], &summary["key_points"]),
            (&json!("fear 0.8"), &json!(["k"]))
        );
        let all = api.get(&path("summary/history?limit=1"));
        assert_eq!(all["summaries"].as_array().unwrap().len(), 1);
        let typed = api.get(&path("history?memory_type=treatment_plan"));
        assert_eq!(typed["messages"].as_array().unwrap().len(), 2);
        assert_eq!(typed["messages"][0]["metadata"]["num_goals"], 2);
    }
}

#[test]
fn a_tool_that_asks_for_a_kind_of_snapshot_gets_the_newest() {
    let [world, _] = worlds();
    let api = Api::run(&mut super::command(&world, &["--http"]));
    let user = api.user();
    let session = api.session(&user);
    for text in ["first", "second"] {
        let summary = json!({"user_id": user, "summary": text});
        api.post(&format!("/api/v1/memory/{session}/summary"), &summary);
    }
    let asked = json!({"user_id": user, "session_id": session, "memory_type": "session_summary"});
    let newest = contents(&tool(&api, "get_session", asked.clone()));
    assert_eq!(newest.len(), 1);
    assert!(newest[0].contains("second"), "{newest:?}");
    let mut all = asked;
    all["limit"] = json!(50);
    assert_eq!(contents(&tool(&api, "get_session", all)).len(), 2);
}

#[test]
fn clearing_deletes() {
    for world in worlds() {
        let api = Api::of(&world);
        let user = api.user();
        let (cleared, other) = (api.session(&user), api.session(&user));
        for session in [&cleared, &other] {
            api.say(&user, session, "I like tea");
        }
        api.must("DELETE", &format!("/api/v1/memory/{cleared}"), None);
        api.refused(
            "GET",
            &format!("/api/v1/memory/{cleared}/history"),
            None,
            404,
        );
        api.refused("DELETE", &format!("/api/v1/memory/{cleared}"), None, 404);
        assert_eq!(api.said(&other), ["I like tea"]);
        let all = api.get(&format!("/api/memory/all/{user}"));
        assert_eq!(all["total"], 1);
        api.must("DELETE", &format!("/api/memory/user/{user}"), None);
        let all = api.get(&format!("/api/memory/all/{user}"));
        assert_eq!(all["total"], 0);
        api.get(&format!("/api/v1/users/{user}"));
    }
}

#[test]
fn the_same_session_name_of_two_users_is_two_sessions() {
    for world in worlds() {
        let api = Api::of(&world);
        let (ann, ben) = (api.user(), api.user());
        api.say(&ann, "monday", "Ann's");
        api.say(&ben, "monday", "Ben's");
        for (user, said) in [(&ann, "Ann's"), (&ben, "Ben's")] {
            let history = api.get(&format!("/api/memory/conversations/monday?user_id={user}"));
            assert_eq!(contents(&history), [said]);
        }
        // Without a `user_id` the user is meant whose thread has this name.
        assert_eq!(api.said("monday"), ["Ann's"]);
    }
}
