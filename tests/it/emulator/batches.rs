//! Batches, from draft to processed.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;

fn said(thread: &str, content: &str) -> Value {
    json!({"type": "thread_message", "thread_id": thread, "role": "user", "content": content})
}

async fn draft(world: &World) -> String {
    let batch = world
        .post("/batches", json!({"metadata": {"source": "mem0"}}))
        .await;
    assert_eq!(batch["status"], "draft");
    format!("/batches/{}", batch["batch_id"].as_str().unwrap())
}

#[tokio::test]
async fn a_batch_is_filled_in_order_processed_once_and_never_changed_after() {
    let world = World::with_data().await;
    let batch = draft(&world).await;
    let items = format!("{batch}/items");
    let first = json!({"items": [said("s-1", "one"), said("s-1", "two")]});
    let added = world.post(&items, first).await;
    assert_eq!(added[0]["status"], "pending");
    assert_eq!(added[0]["kind"], "thread_message");
    let more = json!({"items": [{"type": "graph_episode", "user_id": "u-1", "data": "Likes tea"}]});
    let added = world.post(&items, more.clone()).await;
    assert_eq!(added[0]["kind"], "graph_episode");
    assert_eq!(added[0]["source_uuid"], added[0]["episode_uuid"]);

    let process = format!("{batch}/process");
    let batch_now = world.post(&process, json!({})).await;
    assert_ne!(batch_now["status"], "draft");
    for (method, path, body) in [
        (Method::POST, &process, None),
        (Method::POST, &items, Some(more)),
        (Method::DELETE, &batch, None),
    ] {
        let answer = world.call(method, path, body).await;
        assert_eq!(answer.status, 409, "{path}: {}", answer.body);
        answer.message();
    }

    let done = world.get(&batch).await.body;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(done["progress"]["succeeded_items"], 3);
    assert_eq!(done["metadata"], json!({"source": "mem0"}));
    let page = world.get(&format!("{items}?limit=2")).await.body;
    let rest = format!("{items}?limit=2&cursor={}", page["next_cursor"]);
    let rest = world.get(&rest).await.body;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest.get("next_cursor"), None);
    let thread = world.get("/threads/s-1/messages").await.body;
    let stored: Vec<_> = thread["messages"].as_array().unwrap().iter().collect();
    assert_eq!(stored.len(), 2);
    assert_eq!(
        (&stored[0]["content"], &stored[1]["content"]),
        (&json!("one"), &json!("two"))
    );
}

#[tokio::test]
async fn an_invalid_item_refuses_the_whole_call() {
    let world = World::with_data().await;
    let batch = draft(&world).await;
    let items = format!("{batch}/items");
    for refused in [
        json!({"type": "poem", "data": "x"}),
        json!({"type": "thread_message", "role": "user", "content": "no thread"}),
        json!({"type": "thread_message", "thread_id": "s-1", "role": "robot", "content": "x"}),
        json!({"type": "thread_message", "thread_id": "s-1", "role": "user"}),
        json!({"type": "graph_episode", "data": "nobody's"}),
        json!({"type": "graph_episode", "user_id": "u-1"}),
        said("s-1", &"ä".repeat(4_097)),
    ] {
        let body = json!({"items": [said("s-1", "good"), refused]});
        let answer = world.call(Method::POST, &items, Some(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        answer.message();
    }
    let many = json!({"items": vec![said("s-1", "x"); 351]});
    assert_eq!(
        world.call(Method::POST, &items, Some(many)).await.status,
        400
    );
    let unknown = json!({"items": [said("nothing", "x")]});
    let answer = world.call(Method::POST, &items, Some(unknown)).await;
    assert!(
        [400, 404].contains(&answer.status.as_u16()),
        "{}",
        answer.status
    );
    assert_eq!(world.get(&items).await.body["items"], json!([]));
    assert_eq!(world.call(Method::DELETE, &batch, None).await.status, 200);
    assert_eq!(world.get(&batch).await.status, 404);
}

#[tokio::test]
async fn batches_are_listed_by_status() {
    let world = World::with_data().await;
    for _ in 0..3 {
        draft(&world).await;
    }
    let page = world.get("/batches?limit=2").await.body;
    assert_eq!(page["batches"].as_array().unwrap().len(), 2);
    let rest = world
        .get(&format!("/batches?limit=2&cursor={}", page["next_cursor"]))
        .await
        .body;
    assert_eq!(rest["batches"].as_array().unwrap().len(), 1);
    assert_eq!(rest.get("next_cursor"), None);
    let drafts = world.get("/batches?status=draft").await.body;
    assert_eq!(drafts["batches"].as_array().unwrap().len(), 3);
    assert_eq!(
        world.get("/batches?status=failed").await.body["batches"],
        json!([])
    );
}
