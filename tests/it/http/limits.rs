//! Limits: greedy, broken and vanished clients do not disturb the others.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Events, Mcp, Sse, call, http, request};
use super::server::Server;
use crate::common::program::World;
use crate::common::{PATIENCE, until};

/// Asserts that a client which connects now is served.
async fn others_are_served(server: &Server) {
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    client.request(2, "tools/list", json!({})).await;
}

#[tokio::test]
async fn a_body_of_16_mb_is_read_and_a_larger_one_is_refused() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let sse = Sse::connect(&server.url, "2024-11-05").await;
    let filled = |bytes: usize| {
        let mut message = request(2, "tools/list", json!({"filling": ""}));
        let filling = "x".repeat(bytes - message.to_string().len());
        message["params"]["filling"] = filling.into();
        message
    };
    let most = 16 * 1024 * 1024;
    let fits = client.post(&filled(most)).await;
    Events::of(fits).answer(2).await;
    assert_eq!(sse.post(&filled(most)).await.status(), StatusCode::ACCEPTED);
    for too_large in [most + 1, 2 * most] {
        let refused = client.post(&filled(too_large)).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let refused = sse.post(&filled(too_large)).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    // A larger announced length is refused before the body is read.
    let mut line = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n";
    line.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(PATIENCE, line.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    others_are_served(&server).await;
}

#[tokio::test]
async fn an_endless_header_is_cut_off() {
    let world = World::embedded();
    let server = Server::start(&world);
    let mut line = TcpStream::connect(server.address()).await.unwrap();
    line.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        .await
        .unwrap();
    let filling = format!("X-Filling: {}\r\n", "x".repeat(8000));
    let mut sent = 0;
    let flood = async {
        while line.write_all(filling.as_bytes()).await.is_ok() {
            sent += filling.len();
            assert!(sent < 16 * 1024 * 1024, "it accepts everything");
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, flood).await.expect("it is cut off");
    others_are_served(&server).await;
}

#[tokio::test]
async fn a_flood_of_half_open_connections_does_not_delay_others() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let mut flood = Vec::new();
    // More than may be pending, which is at most half of all connections.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let most = usize::try_from(files).unwrap().saturating_sub(128) / 2;
    for count in 0..most.min(2048) + 100 {
        let mut line = TcpStream::connect(server.address()).await.unwrap();
        if count % 2 == 0 {
            line.write_all(b"POST /mcp HTTP/1.1\r\nHost: loc")
                .await
                .unwrap();
        }
        flood.push(line);
    }
    others_are_served(&server).await;
    client.request(2, "tools/list", json!({})).await;
    sse.request(2, "tools/list", json!({})).await;
    // The oldest are dropped at once, the others at their deadline.
    let mut byte = [0];
    let gone = timeout(PATIENCE, flood[0].read(&mut byte)).await;
    assert!(matches!(gone, Ok(Ok(0) | Err(_))), "{gone:?}");
    let last = flood.last_mut().unwrap();
    assert!(
        timeout(Duration::from_millis(100), last.read(&mut byte))
            .await
            .is_err()
    );
    let gone = timeout(PATIENCE, last.read(&mut byte)).await;
    assert!(matches!(gone, Ok(Ok(0) | Err(_))), "{gone:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_delays_nobody() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let sse = Sse::connect(&server.url, "2024-11-05").await;
    // Far more responses than fit into all buffers on the way, none of them read.
    let mut unread = Vec::new();
    let mut is_heard = true;
    for round in 0..40 {
        for id in 0..10 {
            if is_heard {
                let message = request(1000 + round * 10 + id, "tools/list", json!({}));
                let posted = timeout(Duration::from_secs(5), sse.post(&message)).await;
                is_heard = posted.is_ok_and(|posted| posted.status() == StatusCode::ACCEPTED);
            }
        }
        let list = request(2, "tools/list", json!({}));
        unread.push(client.post(&list).await);
    }
    others_are_served(&server).await;
    let another = Sse::connect(&server.url, "2024-11-05").await;
    drop(another);
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0));
}

#[tokio::test]
async fn calls_of_a_client_that_does_not_read_wait_until_it_reads_again() {
    let world = World::embedded();
    let server = Server::start(&world);
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    // 40 KB each: the buffers on the way hold some hundreds of them.
    let list = |id| request(id, "tools/list", json!({}));
    let mut last = 0;
    for id in 2..2000 {
        let message = list(id);
        let Ok(taken) = timeout(Duration::from_secs(10), sse.post(&message)).await else {
            last = id;
            break;
        };
        assert_eq!(taken.status(), StatusCode::ACCEPTED);
    }
    assert!(last > 2, "responses pile up in the server");
    others_are_served(&server).await;
    // Accepted calls are answered. The last one was given up before it was accepted.
    let answered: HashSet<u64> = {
        let mut answered = HashSet::new();
        while answered.len() < last as usize - 2 {
            let answer = sse.events.message().await.expect("the stream continues");
            assert!(answer["result"]["tools"].is_array());
            answered.insert(answer["id"].as_u64().unwrap());
        }
        answered
    };
    assert!((2..last).all(|id| answered.contains(&id)));
    sse.request(5000, "tools/list", json!({})).await;
}

#[tokio::test]
async fn sessions_are_bounded_and_unused_ones_make_room() {
    let world = World::embedded();
    let server = Server::with(&world, &["--max-sessions", "4"]);
    // These are unused: each new one replaces the oldest.
    let first = Mcp::connect(&server.url, "2025-06-18").await;
    let mut last = first.clone();
    for _ in 0..20 {
        last = Mcp::connect(&server.url, "2025-06-18").await;
    }
    let list = request(2, "tools/list", json!({}));
    assert_eq!(first.post(&list).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(last.post(&list).await.status(), StatusCode::OK);

    // These are in use: streams are open.
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(Sse::connect(&server.url, "2024-11-05").await);
    }
    let refused = http()
        .get(format!("{}/sse", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let new = Mcp::new(&server.url, "2025-06-18");
    let hello = request(1, "initialize", super::client::hello("2025-06-18"));
    assert_eq!(
        new.post(&hello).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    // Clients without a session take no place.
    let stateless = Mcp::connect(&server.url, super::client::STATELESS).await;
    stateless.request(2, "tools/list", json!({})).await;
    for stream in &mut streams {
        stream.request(3, "tools/list", json!({})).await;
    }
    drop(streams);
    until(async || new.post(&hello).await.status() == StatusCode::OK).await;
    others_are_served(&server).await;
}

#[tokio::test]
async fn a_session_takes_only_so_many_calls_at_once() {
    let world = World::emulated_with(&["--latency", "30000"]);
    let server = Server::start(&world);
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let arguments = json!({"query": "tea", "user_id": "ann"});
    let posts = (2..1202).map(|id| {
        let message = call(id, "search_memory", arguments.clone());
        let sse = &sse;
        async move { sse.send(&message).await }
    });
    let posted: Vec<()> = stream::iter(posts).buffer_unordered(16).collect().await;
    assert_eq!(posted.len(), 1200);
    let mut refused = 0;
    for _ in 2..1202 {
        let answer = sse.events.message().await.unwrap();
        if answer["error"]["message"]
            .as_str()
            .is_some_and(|why| why.contains("too many calls"))
        {
            refused += 1;
        }
    }
    assert!((1..1190).contains(&refused), "{refused}");
    others_are_served(&server).await;
}
