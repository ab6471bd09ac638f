//! What Zep refuses is refused in Zep's form, and nothing of it is stored.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Answer, World};

async fn post(world: &World, path: &str, body: Value) -> Answer {
    world.call(Method::POST, path, Some(body)).await
}

/// Sends a message with these fields changed.
async fn say(world: &World, changes: Value) -> Answer {
    let mut message = json!({"role": "user", "content": "hello"});
    for (name, value) in changes.as_object().unwrap() {
        message[name] = value.clone();
    }
    post(
        world,
        "/threads/s-1/messages",
        json!({"messages": [message]}),
    )
    .await
}

fn keys(count: usize) -> Value {
    (0..count).map(|n| (format!("k{n}"), json!(n))).collect()
}

#[tokio::test]
async fn messages_at_zeps_limits_are_stored_and_beyond_them_refused() {
    let world = World::with_data().await;
    let many = |count: usize| {
        let message = json!({"role": "user", "content": "x"});
        json!({"messages": vec![message; count]})
    };
    for accepted in [
        json!({"content": "ä".repeat(4_096)}),
        json!({"name": "n".repeat(100)}),
        json!({"metadata": keys(10)}),
        json!({"metadata": {"list": ["a", 1, true]}}),
        json!({"metadata": null}),
        json!({"unheard_of": 1}),
    ] {
        let answer = say(&world, accepted).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let path = "/threads/s-1/messages";
    assert_eq!(post(&world, path, many(30)).await.status, 200);

    for refused in [
        json!({"content": "ä".repeat(4_097)}),
        json!({"name": "n".repeat(101)}),
        json!({"role": "robot"}),
        json!({"role": null}),
        json!({"content": null}),
        json!({"created_at": "yesterday"}),
        json!({"metadata": keys(11)}),
        json!({"metadata": {"a": {"b": 1}}}),
        json!({"metadata": {"a": [[1]]}}),
        json!({"metadata": {"a": []}}),
        json!({"metadata": {" ": 1}}),
        json!({"metadata": {"": 1}}),
    ] {
        let answer = say(&world, refused.clone()).await;
        assert_eq!(answer.status, 400, "{refused}: {}", answer.body);
        answer.message();
    }
    assert_eq!(post(&world, path, many(31)).await.status, 400);
    assert_eq!(post(&world, path, many(0)).await.status, 400);
    assert_eq!(world.get(path).await.body["total_count"], 36);
}

#[tokio::test]
async fn one_bad_message_refuses_the_whole_call() {
    let world = World::with_data().await;
    let messages = json!([{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]);
    let answer = post(
        &world,
        "/threads/s-1/messages",
        json!({"messages": messages}),
    )
    .await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("role"));
    assert_eq!(
        world.get("/threads/s-1/messages").await.body["total_count"],
        0
    );
}

#[tokio::test]
async fn episodes_and_queries_at_zeps_limits_pass_and_beyond_them_are_refused() {
    let world = World::with_data().await;
    for (chars, status) in [(10_000, 202), (10_001, 400)] {
        let episode = json!({"user_id": "u-1", "type": "text", "data": "y".repeat(chars)});
        assert_eq!(post(&world, "/graph", episode).await.status, status);
    }
    for (chars, status) in [(400, 200), (401, 400)] {
        let search = json!({"user_id": "u-1", "query": "q".repeat(chars)});
        assert_eq!(post(&world, "/graph/search", search).await.status, status);
    }
    for refused in [
        json!({"user_id": "u-1", "query": "x", "scope": "moon"}),
        json!({"user_id": "u-1", "query": "x", "reranker": "moon"}),
        json!({"user_id": "u-1", "query": "x", "scope": "auto", "reranker": "node_distance"}),
        json!({"user_id": "u-1", "query": "x", "search_filters": {"edge_types": ["LIKES"]}}),
        json!({"user_id": "u-1", "graph_id": "agent-a1", "query": "x"}),
        json!({"query": "x"}),
        json!({"user_id": "u-1"}),
    ] {
        let answer = post(&world, "/graph/search", refused.clone()).await;
        assert_eq!(answer.status, 400, "{refused}: {}", answer.body);
        answer.message();
    }
}

#[tokio::test]
async fn existing_things_conflict_and_missing_things_are_not_found() {
    let world = World::with_data().await;
    for (path, body) in [
        ("/users", json!({"user_id": "u-1"})),
        ("/threads", json!({"thread_id": "s-1", "user_id": "u-1"})),
        ("/graph/create", json!({"graph_id": "agent-a1"})),
    ] {
        let answer = post(&world, path, body).await;
        assert!(
            [400, 409].contains(&answer.status.as_u16()),
            "{path}: {}",
            answer.status
        );
        assert!(
            answer.message().contains("already exists"),
            "{}",
            answer.message()
        );
    }
    let nothing = "01890000-0000-7000-8000-000000000000";
    for path in [
        "/users/nobody".to_owned(),
        "/users/nobody/node".to_owned(),
        "/threads/nothing/messages".to_owned(),
        "/threads/nothing/context".to_owned(),
        "/threads/nothing/episodes".to_owned(),
        "/threads/nothing/summary".to_owned(),
        "/graph/nothing".to_owned(),
        format!("/graph/episodes/{nothing}"),
        format!("/graph/edge/{nothing}"),
        format!("/graph/node/{nothing}"),
        "/batches/nothing".to_owned(),
        "/batches/nothing/items".to_owned(),
        "/tasks/nothing".to_owned(),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        answer.message();
    }
    for path in [
        "/users/nobody".to_owned(),
        "/threads/nothing".to_owned(),
        "/graph/nothing".to_owned(),
        format!("/graph/episodes/{nothing}"),
        format!("/graph/edge/{nothing}"),
        "/batches/nothing".to_owned(),
    ] {
        let answer = world.call(Method::DELETE, &path, None).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
    let hello = json!({"messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(
        post(&world, "/threads/nothing/messages", hello)
            .await
            .status,
        404
    );
    let thread = json!({"thread_id": "s-2", "user_id": "nobody"});
    assert_eq!(post(&world, "/threads", thread).await.status, 404);
}

#[tokio::test]
async fn messages_for_another_users_thread_are_accepted_as_zep_accepts_them() {
    let world = World::with_data().await;
    world.post("/users", json!({"user_id": "u-2"})).await;
    world.say("s-1", &["whoever says this"]).await;
    let thread = world.get("/threads/s-1/messages").await.body;
    assert_eq!(thread["user_id"], "u-1");
    assert_eq!(thread["total_count"], 1);
}

#[tokio::test]
async fn errors_of_broken_requests_are_json_and_name_the_problem() {
    let world = World::with_data().await;
    let send = |method: Method, path: &str, body: &str| {
        let request = world
            .request(method, path)
            .header("authorization", "Api-Key z_any")
            .body(body.to_owned());
        World::send(request)
    };
    for (method, path, body, status, says) in [
        (Method::POST, "/api/v2/users", "{\"user_id\": ", 400, "EOF"),
        (Method::POST, "/api/v2/users", "", 400, "user_id"),
        (
            Method::POST,
            "/api/v2/users",
            "{\"user_id\": 7}",
            400,
            "string",
        ),
        (
            Method::POST,
            "/api/v2/users",
            "{\"user_id\": \" \"}",
            400,
            "user_id",
        ),
        (
            Method::GET,
            "/api/v2/threads/s-1/messages?limit=many",
            "",
            400,
            "limit",
        ),
        (Method::GET, "/api/v2/batches?status=odd", "", 400, "status"),
        (
            Method::GET,
            "/api/v2/users-ordered?pageNumber=0",
            "",
            400,
            "page number",
        ),
        (
            Method::GET,
            "/api/v2/users-ordered?order_by=shoe",
            "",
            400,
            "order by",
        ),
        (
            Method::GET,
            "/api/v2/graph/list-all?pageSize=101",
            "",
            400,
            "pageSize",
        ),
        (Method::GET, "/api/v2/users/%FF", "", 400, "UTF-8"),
        (Method::GET, "/api/v2/no/such/route", "", 404, "not found"),
        (Method::GET, "/elsewhere", "", 404, "not found"),
        (Method::PUT, "/api/v2/users/u-1", "", 405, "method"),
        (Method::GET, "/api/v2/graph/search", "", 405, "method"),
    ] {
        let answer = send(method, path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let message = answer.message();
        assert!(message.contains(says), "{path}: {message}");
        assert!(answer.header("x-ratelimit-limit").is_some(), "{path}");
    }
    let huge = format!("{{\"user_id\": \"{}\"}}", "x".repeat(17 << 20));
    let answer = send(Method::POST, "/api/v2/users", &huge).await;
    assert_eq!(answer.status, 413);
    answer.message();
}

#[tokio::test]
async fn only_text_and_attributes_of_a_fact_can_be_changed() {
    let world = World::with_data().await;
    world.say("s-1", &["I drink tea"]).await;
    let facts = post(&world, "/graph/edge/user/u-1", json!({})).await.body;
    let path = format!("/graph/edge/{}", facts[0]["uuid"].as_str().unwrap());
    let patch = |body: Value| world.call(Method::PATCH, &path, Some(body));
    assert_eq!(patch(json!({"name": "LIKES"})).await.status, 400);
    let changed = patch(json!({"fact": "I drink coffee"})).await;
    assert_eq!(changed.body["fact"], "I drink coffee");
    assert_eq!(world.get(&path).await.body["fact"], "I drink coffee");
}
