//! Lists are complete: every item once, for every page size, order and id.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{World, column, strings};

/// A user's thread of 120 messages.
async fn crowded() -> (World, Vec<String>) {
    let world = World::with_data().await;
    let mut ids = Vec::new();
    for start in (0..120).step_by(30) {
        let texts: Vec<_> = (start..start + 30)
            .map(|n| format!("tea number {n}"))
            .collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        ids.extend(world.say("s-1", &texts).await);
    }
    (world, ids)
}

fn set(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}

#[tokio::test]
async fn episodes_are_paged_once_each_by_the_cursor_in_the_header() {
    let (world, ids) = crowded().await;
    let path = "/graph/episodes/user/u-1";
    for order_by in ["uuid", "created_at"] {
        for direction in ["asc", "desc"] {
            let ask = json!({"limit": 50, "order_by": order_by, "direction": direction});
            let (items, pages) = world.walk(path, ask).await;
            let listed = column(&items, "uuid");
            assert_eq!(pages, 3, "{order_by} {direction}");
            assert_eq!(listed.len(), 120);
            assert_eq!(set(&listed), set(&ids));
        }
    }
    // A limit above Zep's maximum is reduced to it.
    let (_, pages) = world.walk(path, json!({"limit": 1_000})).await;
    assert_eq!(pages, 3);
    let known = json!({"limit": 50, "mentioned_node_uuids": &ids[..2]});
    let (items, _) = world.walk(path, known).await;
    assert_eq!(set(&column(&items, "uuid")), set(&ids[..2]));
}

#[tokio::test]
async fn facts_are_paged_by_the_cursor_and_by_the_last_items_id() {
    let (world, episodes) = crowded().await;
    let path = "/graph/edge/user/u-1";
    let (items, pages) = world.walk(path, json!({"limit": 50})).await;
    let listed = column(&items, "uuid");
    assert!(pages > 1);
    assert_eq!(set(&listed).len(), listed.len());
    let sources: BTreeSet<_> = items
        .iter()
        .flat_map(|fact| strings(&fact["episodes"]))
        .collect();
    assert_eq!(sources, episodes.into_iter().collect());

    let mut walked: Vec<String> = Vec::new();
    loop {
        let mut ask = json!({"limit": 50});
        if let Some(last) = walked.last() {
            ask["uuid_cursor"] = last.as_str().into();
        }
        let page = world.call(Method::POST, path, Some(ask)).await.body;
        let page = page.as_array().unwrap();
        if page.is_empty() {
            break;
        }
        walked.extend(column(page, "uuid"));
        assert!(walked.len() <= listed.len(), "the pages do not end");
    }
    assert_eq!(walked, listed);
}

#[tokio::test]
async fn a_cursor_that_zep_never_gave_is_refused() {
    let (world, _) = crowded().await;
    for path in [
        "/graph/episodes/user/u-1",
        "/graph/edge/user/u-1",
        "/graph/node/user/u-1",
    ] {
        let ask = json!({"limit": 50, "cursor": "nonsense"});
        let answer = world.call(Method::POST, path, Some(ask)).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_threads_messages_are_read_by_limit_and_cursor_and_from_the_end() {
    let (world, ids) = crowded().await;
    let read = async |query: &str| {
        let answer = world
            .get(&format!("/threads/s-1/messages{query}"))
            .await
            .body;
        assert_eq!(answer["total_count"], 120, "{query}");
        assert_eq!(answer["user_id"], "u-1", "{query}");
        let messages = answer["messages"].as_array().unwrap().clone();
        assert_eq!(answer["row_count"], messages.len(), "{query}");
        column(&messages, "uuid")
    };
    assert_eq!(read("?limit=50").await, ids[..50]);
    assert_eq!(read("?limit=50&cursor=100").await, ids[100..]);
    assert_eq!(read("?lastn=10").await, ids[110..]);
    assert_eq!(read("?lastn=10&limit=3&cursor=1").await, ids[110..]);
}

#[tokio::test]
async fn numbered_lists_are_whole_in_every_order() {
    let world = World::new().await;
    let letters = ["d", "a", "c", "e", "b"];
    for id in letters {
        world
            .post(
                "/users",
                json!({"user_id": id, "email": format!("{id}@x.org")}),
            )
            .await;
        world
            .post("/threads", json!({"thread_id": id, "user_id": id}))
            .await;
        world
            .post(
                "/graph/create",
                json!({"graph_id": id, "name": format!("N{id}")}),
            )
            .await;
    }
    let sorted = ["a", "b", "c", "d", "e"];
    let reversed = |ids: [&'static str; 5]| ids.into_iter().rev().collect::<Vec<_>>();
    for (path, list, id, [number, size], count) in [
        (
            "/users-ordered",
            "users",
            "user_id",
            ["pageNumber", "pageSize"],
            "row_count",
        ),
        (
            "/threads",
            "threads",
            "thread_id",
            ["page_number", "page_size"],
            "response_count",
        ),
        (
            "/graph/list-all",
            "graphs",
            "graph_id",
            ["pageNumber", "pageSize"],
            "row_count",
        ),
    ] {
        for (order_by, asc, expected) in [
            ("created_at", true, letters.to_vec()),
            ("created_at", false, reversed(letters)),
            (id, true, sorted.to_vec()),
            (id, false, reversed(sorted)),
        ] {
            let mut seen = Vec::new();
            for page in 1..=4 {
                let query = format!("{number}={page}&{size}=2&order_by={order_by}&asc={asc}");
                let answer = world.get(&format!("{path}?{query}")).await.body;
                let items = answer[list]
                    .as_array()
                    .unwrap_or_else(|| panic!("{answer}"));
                assert_eq!(answer["total_count"], 5, "{path}");
                assert_eq!(answer[count], items.len(), "{path}");
                seen.extend(column(items, id));
            }
            assert_eq!(seen, expected, "{path} {order_by} {asc}");
        }
    }
    for (path, list) in [("/users-ordered", "users"), ("/graph/list-all", "graphs")] {
        let answer = world.get(&format!("{path}?search=C")).await.body;
        assert_eq!(answer["total_count"], 1, "{path}: {answer}");
        assert_eq!(answer[list].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn ids_with_reserved_characters_reach_the_right_resource_when_escaped() {
    let world = World::with_data().await;
    for (id, segment) in [
        ("a/b c", "a%2Fb%20c"),
        ("../u-1", "..%2Fu-1"),
        ("100%25?x=1#y", "100%2525%3Fx%3D1%23y"),
        ("zoë 🍵", "zo%C3%AB%20%F0%9F%8D%B5"),
    ] {
        world.post("/users", json!({"user_id": id})).await;
        world
            .post("/threads", json!({"thread_id": id, "user_id": id}))
            .await;
        world.post("/graph/create", json!({"graph_id": id})).await;
        let user = world.get(&format!("/users/{segment}")).await.body;
        assert_eq!(user["user_id"], id);
        assert_eq!(
            world.get(&format!("/graph/{segment}")).await.body["graph_id"],
            id
        );
        world.say(segment, &["hello"]).await;
        let thread = world
            .get(&format!("/threads/{segment}/messages"))
            .await
            .body;
        assert_eq!(
            (&thread["user_id"], &thread["total_count"]),
            (&json!(id), &json!(1))
        );
        let gone = world
            .call(Method::DELETE, &format!("/users/{segment}"), None)
            .await;
        assert_eq!(gone.status, 200);
        assert_eq!(world.get(&format!("/users/{segment}")).await.status, 404);
    }
    assert_eq!(world.get("/users/u-1").await.status, 200);
}

#[tokio::test]
async fn nodes_are_listed_once_and_found_by_id() {
    let world = World::with_data().await;
    world
        .say("s-1", &["Yesterday Anna met Bernard in Zagreb"])
        .await;
    let (nodes, _) = world
        .walk("/graph/node/user/u-1", json!({"limit": 2}))
        .await;
    let ids = column(&nodes, "uuid");
    assert!(!ids.is_empty());
    assert_eq!(set(&ids).len(), ids.len());
    for node in &nodes {
        let path = format!("/graph/node/{}", node["uuid"].as_str().unwrap());
        assert_eq!(world.get(&path).await.body["name"], node["name"]);
    }
}

#[tokio::test]
async fn a_search_returns_its_scope_only() {
    let world = World::with_data().await;
    world
        .say("s-1", &["Anna drinks green tea", "Bernard plays chess"])
        .await;
    let search = async |scope: &str, more: Value| {
        let mut body = json!({"user_id": "u-1", "query": "green tea", "scope": scope});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let found = world.post("/graph/search", body).await;
        let fields = found.as_object().unwrap();
        let names = fields.keys().cloned().collect::<BTreeSet<_>>();
        (names.into_iter().collect::<Vec<_>>().join(" "), found)
    };
    let (names, found) = search("edges", json!({})).await;
    assert_eq!(names, "edges");
    assert!(
        found["edges"][0]["fact"]
            .as_str()
            .unwrap()
            .contains("green tea")
    );
    let (names, found) = search("episodes", json!({"limit": 1})).await;
    assert_eq!(names, "episodes");
    assert_eq!(found["episodes"].as_array().unwrap().len(), 1);
    assert_eq!(search("nodes", json!({})).await.0, "nodes");
    assert_eq!(search("observations", json!({})).await.0, "observations");
    assert_eq!(
        search("thread_summaries", json!({})).await.0,
        "thread_summaries"
    );
    let (names, found) = search("auto", json!({})).await;
    assert_eq!(names, "context");
    assert!(found["context"].as_str().unwrap().contains("green tea"));
    // Zep ignores the limit with scope auto.
    let raw = json!({"return_raw_results": true, "limit": 51});
    let (names, found) = search("auto", raw).await;
    assert_eq!(names, "context edges episodes nodes");
    assert!(
        column(found["edges"].as_array().unwrap(), "fact")
            .contains(&"Anna drinks green tea".to_owned())
    );
    let short = json!({"max_characters": 10, "return_raw_results": true});
    let (_, found) = search("auto", short).await;
    assert!(found["context"].as_str().unwrap().chars().count() <= 10);
    assert_eq!(found["edges"], json!([]), "what is not in the block");
}
