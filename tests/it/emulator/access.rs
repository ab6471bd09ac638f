//! API keys, the rate limit, start and stop.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;
use zep_mcp_server::emulator::{EmulatorError, Options, Plan, serve};

use super::world::World;

#[tokio::test]
async fn without_a_key_calls_are_refused_and_any_key_is_accepted() {
    let world = World::new().await;
    let path = "/api/v2/projects/info";
    for header in ["", "Api-Key", "Api-Key ", "Bearer z_any", "z_any"] {
        let request = world
            .request(Method::GET, path)
            .header("authorization", header);
        let answer = World::send(request).await;
        assert_eq!(answer.status, 401, "{header:?}");
        assert_eq!(answer.body, json!({"message": "unauthorized"}));
    }
    let answer = World::send(world.request(Method::GET, path)).await;
    assert_eq!(answer.status, 401);
    // Without a key, existing and missing routes look the same.
    let answer = World::send(world.request(Method::GET, "/api/v2/no/such/route")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(world.get("/projects/info").await.status, 200);
}

#[tokio::test]
async fn a_configured_key_is_the_only_one_accepted() {
    let world = World::with(Options {
        api_key: Some(SecretString::from("right")),
        ..Options::default()
    })
    .await;
    for (key, status) in [
        ("right", 200),
        ("wrong", 401),
        ("righ", 401),
        ("Right", 401),
    ] {
        let request = world
            .request(Method::GET, "/api/v2/projects/info")
            .header("authorization", format!("Api-Key {key}"));
        assert_eq!(World::send(request).await.status, status, "{key}");
    }
}

#[tokio::test]
async fn every_answer_counts_down_and_calls_beyond_the_limit_are_refused() {
    let world = World::with(Options {
        faults: Plan {
            rate_limit: 3,
            ..Plan::default()
        },
        ..Options::default()
    })
    .await;
    // The window may end between two calls, but not again within a few more.
    let mut refused = None;
    for _ in 0..8 {
        let answer = world.get("/users/nobody").await;
        let number = |name: &str| answer.header(name).unwrap().parse::<i64>().unwrap();
        assert_eq!(number("x-ratelimit-limit"), 3);
        assert!((0..3).contains(&number("x-ratelimit-remaining")));
        let now = jiff::Timestamp::now().as_second();
        assert!((now - 1..=now + 60).contains(&number("x-ratelimit-reset")));
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a call too many");
    refused.message();
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
}

#[tokio::test]
async fn data_in_a_named_file_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options {
        data: Some(directory.path().join("zep.db")),
        ..Options::default()
    };
    let world = World::with(options()).await;
    world.post("/users", json!({"user_id": "u-1"})).await;
    world.stop().await;
    let world = World::with(options()).await;
    assert_eq!(world.get("/users/u-1").await.status, 200);
    world.stop().await;
}

#[tokio::test]
async fn an_unusable_address_or_file_fails_the_start() {
    let world = World::new().await;
    let taken = Options {
        port: world.address.port(),
        ..Options::default()
    };
    let error = serve(taken, Default::default(), |_| ()).await.unwrap_err();
    assert!(matches!(error, EmulatorError::Bind { .. }), "{error}");
    assert!(error.to_string().contains("--port"), "{error}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("letter.txt");
    std::fs::write(&file, "Dear Anna,").unwrap();
    let foreign = Options {
        port: 0,
        data: Some(file.clone()),
        ..Options::default()
    };
    let error = serve(foreign, Default::default(), |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, EmulatorError::Store(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "Dear Anna,");
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_it_from_stopping() {
    let world = World::with_data().await;
    let _idle = tokio::net::TcpStream::connect(world.address).await.unwrap();
    world.stop().await;
}
