//! The control routes, `/_emulator`.

use reqwest::Method;
use serde_json::{Value, json};
use zep_mcp_server::emulator::{Options, Plan};

use super::world::World;

#[tokio::test]
async fn it_has_no_faults_and_needs_no_key() {
    let plan = json!({
        "rate_limit": 0, "latency_ms": 60_000, "fail": [{"rate": 1, "status": 500}],
        "drop_requests": 1
    });
    let world = World::with(Options {
        api_key: Some("secret".into()),
        faults: serde_json::from_value::<Plan>(plan).unwrap(),
        ..Options::default()
    })
    .await;
    for (method, path) in [
        (Method::GET, "/faults"),
        (Method::GET, "/behavior"),
        (Method::GET, "/stats"),
        (Method::POST, "/reset-stats"),
    ] {
        let answer = world.control(method, path, json!({})).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let stats = world.control(Method::GET, "/stats", json!({})).await.body;
    assert_eq!(
        stats,
        json!({"requests": {}, "faults": {}, "late_writes_waiting": 0})
    );
}

#[tokio::test]
async fn calls_are_counted_by_method_and_route_and_faults_by_kind() {
    let world = World::with_data().await;
    world.control(Method::POST, "/reset-stats", json!({})).await;
    world
        .order(json!({"times": 2, "fault": {"kind": "fail", "status": 500}}))
        .await;
    for path in ["/users/u-1", "/users/u-2", "/threads/s-1/messages"] {
        world.get(path).await;
    }
    world.say("s-1", &["a"]).await;
    world.get("/no/such/route").await;
    let stats = world.control(Method::GET, "/stats", json!({})).await.body;
    assert_eq!(
        stats["requests"],
        json!({
            "GET /api/v2/threads/{thread_id}/messages": 1,
            "GET /api/v2/users/{user_id}": 2,
            "GET none": 1,
            "POST /api/v2/threads/{thread_id}/messages": 1
        })
    );
    assert_eq!(stats["faults"], json!({"fail": 2}));
}

#[tokio::test]
async fn a_plan_is_put_whole_and_patched_in_parts() {
    let world = World::new().await;
    let put = json!({"drop_answers": 0.5, "latency_ms": 1, "seed": 3});
    let plan = world.control(Method::PUT, "/faults", put).await.body;
    assert_eq!(
        (&plan["drop_answers"], &plan["latency_ms"], &plan["seed"]),
        (&json!(0.5), &json!(1), &json!(3))
    );
    let patch = json!({"latency_ms": null, "half_answers": 0.25});
    world.plan(patch).await;
    let plan = world.control(Method::GET, "/faults", json!({})).await.body;
    let fields = ["drop_answers", "half_answers", "latency_ms", "seed"].map(|name| &plan[name]);
    assert_eq!(fields, [&json!(0.5), &json!(0.25), &json!(0), &json!(3)]);
    let plan = world.control(Method::PUT, "/faults", json!({})).await.body;
    assert_eq!(
        (&plan["drop_answers"], &plan["seed"]),
        (&json!(0.0), &json!(3))
    );
}

#[tokio::test]
async fn an_invalid_plan_is_refused_by_field_and_changes_nothing() {
    let world = World::new().await;
    let before = world.control(Method::GET, "/faults", json!({})).await.body;
    for (wrong, name) in [
        (json!({"drop_answers": 1.5}), "drop_answers"),
        (json!({"half_answers": "often"}), "half_answers"),
        (
            json!({"late_writes": {"rate": -1, "ms": 1}}),
            "late_writes.rate",
        ),
        (
            json!({"fail": [{"rate": 1, "status": 200}]}),
            "fail[0].status",
        ),
        (json!({"rate_window_secs": 0}), "rate_window_secs"),
        (
            json!({"restarts": {"every_ms": 0, "down_ms": 1}}),
            "restarts.every_ms",
        ),
        (json!({"drop_anwsers": 1}), "drop_anwsers"),
        (
            json!({"next": [{"fault": {"kind": "flood"}}]}),
            "next[0].fault",
        ),
    ] {
        for method in [Method::PUT, Method::PATCH] {
            let answer = world.control(method, "/faults", wrong.clone()).await;
            assert_eq!(answer.status, 400, "{wrong}");
            assert!(answer.message().contains(name), "{}", answer.message());
        }
    }
    let now = world.control(Method::GET, "/faults", json!({})).await.body;
    assert_eq!(before, now);
    let wrong = json!({"cursor": "moon"});
    let answer = world.control(Method::PATCH, "/behavior", wrong).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("cursor"), "{}", answer.message());
}

#[tokio::test]
async fn ordered_faults_hit_matching_calls_only() {
    let world = World::with_data().await;
    let status = async |path: &str| world.get(path).await.status.as_u16();
    let failing = |mut order: Value| {
        order["fault"] = json!({"kind": "fail", "status": 500});
        order
    };
    let order = failing(json!({
        "method": "get", "path": "/api/v2/users/u-1", "after": 1, "times": 2
    }));
    world.order(order).await;
    assert_eq!(status("/threads/s-1/messages").await, 200);
    let others = world
        .call(Method::PATCH, "/users/u-1", Some(json!({})))
        .await;
    assert_eq!(others.status, 200);
    for expected in [200, 500, 500, 200] {
        assert_eq!(status("/users/u-1").await, expected);
    }
    let order = failing(json!({"route": "/api/v2/users/{user_id}/threads"}));
    world.order(order).await;
    assert_eq!(status("/users/u-1").await, 200);
    assert_eq!(status("/users/u-1/threads").await, 500);
    assert_eq!(status("/users/u-1/threads").await, 200);
    let plan = world.control(Method::GET, "/faults", json!({})).await.body;
    assert_eq!(plan["next"], json!([]));
}

#[tokio::test]
async fn refused_calls_have_no_faults() {
    let world = World::new().await;
    world
        .plan(json!({"fail": [{"rate": 1, "status": 500}]}))
        .await;
    let answer = World::send(world.request(Method::GET, "/api/v2/projects/info")).await;
    assert_eq!(answer.status, 401);
    world.plan(json!({"rate_limit": 0})).await;
    assert_eq!(world.get("/projects/info").await.status, 429);
    assert_eq!(world.count("/faults/fail").await, 0);
}
