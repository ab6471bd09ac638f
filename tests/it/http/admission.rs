//! Which clients, names and origins the server accepts.

use std::process::Stdio;
use std::time::Duration;

use reqwest::header::{HOST, ORIGIN};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Mcp, Sse, http};
use super::server::{Server, command};
use crate::common::program::World;

const TOKEN: &str = "tok_9f2b61c07de94a1f8e02";

/// All routes.
const ROUTES: [(&str, &str); 8] = [
    ("GET", "/health"),
    ("GET", "/ready"),
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages?sessionId=x"),
    ("GET", "/nowhere"),
];

async fn status(server: &Server, route: (&str, &str), headers: &[(&str, &str)]) -> StatusCode {
    let (method, path) = route;
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = http().request(method, format!("{}{path}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_is_rejected() {
    let world = World::embedded();
    let server = Server::start(&world);
    let host = server.address().to_owned();
    for route in ROUTES {
        let evil = [(HOST.as_str(), "evil.example:8081")];
        assert_eq!(
            status(&server, route, &evil).await,
            StatusCode::FORBIDDEN,
            "{route:?}"
        );
        for origin in ["http://evil.example", "null", "http://localhost:1"] {
            let evil = [(ORIGIN.as_str(), origin)];
            let said = status(&server, route, &evil).await;
            assert_eq!(said, StatusCode::FORBIDDEN, "{route:?} {origin}");
        }
        let own = format!("http://{host}");
        let own = [(ORIGIN.as_str(), own.as_str())];
        assert_ne!(
            status(&server, route, &own).await,
            StatusCode::FORBIDDEN,
            "{route:?}"
        );
    }
    let local = format!("localhost:{}", server.port());
    let local = [(HOST.as_str(), local.as_str())];
    assert_eq!(
        status(&server, ("GET", "/health"), &local).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_operator_can_allow_names_and_origins() {
    let world = World::embedded();
    let flags = [
        "--allowed-hosts",
        "memory.example.com, other.example:8443",
        "--allowed-origins",
        "https://app.example.com",
    ];
    let server = Server::with(&world, &flags);
    let health = ("GET", "/health");
    for (host, let_in) in [
        ("memory.example.com", true),
        ("memory.example.com:444", true),
        ("other.example:8443", true),
        ("other.example", false),
        ("evil.example", false),
    ] {
        let said = status(&server, health, &[(HOST.as_str(), host)]).await;
        assert_eq!(said == StatusCode::OK, let_in, "{host}");
    }
    let page = [(ORIGIN.as_str(), "https://app.example.com")];
    assert_eq!(status(&server, health, &page).await, StatusCode::OK);
    let page = [(ORIGIN.as_str(), "https://evil.example.com")];
    assert_eq!(status(&server, health, &page).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_pages_of_allowed_origins_may_read_responses() {
    let world = World::embedded();
    let preflight = |url: &str, origin: &str| {
        http()
            .request(Method::OPTIONS, format!("{url}/mcp"))
            .header(ORIGIN, origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "mcp-session-id,authorization",
            )
            .send()
    };
    let closed = Server::start(&world);
    let own = format!("http://{}", closed.address());
    let answer = preflight(&closed.url, &own).await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert!(!answer.status().is_success());

    let mut with_a_token = command(&world, &["--port", "0"]);
    with_a_token
        .env("ZEP_MCP_ALLOWED_ORIGINS", "https://app.example.com")
        .env("MCP_AUTH_TOKEN", TOKEN);
    let open = Server::run(&mut with_a_token);
    let app = "https://app.example.com";
    // Browsers send preflight requests without the token.
    let answer = preflight(&open.url, app).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-origin"], app);
    let allowed = answer.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("mcp-session-id"), "{allowed}");
    let answer = preflight(&open.url, "https://evil.example").await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));

    let client = Mcp::connect_with(&open.url, "2025-06-18", TOKEN).await;
    let answer = client
        .ask(Method::GET)
        .header(ORIGIN, app)
        .send()
        .await
        .unwrap();
    let shown = answer.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    assert!(shown.contains("mcp-session-id"), "{shown}");
}

#[tokio::test]
async fn beyond_this_machine_a_token_is_needed_to_start() {
    let world = World::embedded();
    for host in ["0.0.0.0", "::", "[::]"] {
        let mut refused = command(&world, &["--port", "0"]);
        let refused = refused
            .env("HOST", host)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("MCP_AUTH_TOKEN="), "{said}");
        assert!(refused.stdout.is_empty());
    }
    let mut served = command(&world, &["--port", "0", "--host", "0.0.0.0"]);
    let mut server = Server::run(served.env("MCP_AUTH_TOKEN", TOKEN));
    server.url = format!("http://127.0.0.1:{}", server.port());
    Mcp::connect_with(&server.url, "2025-06-18", TOKEN).await;
    // Any address is allowed, but not any name.
    let by_address = [(HOST.as_str(), "10.1.2.3")];
    assert_eq!(
        status(&server, ("GET", "/health"), &by_address).await,
        StatusCode::OK
    );
    let by_name = [(HOST.as_str(), "evil.example")];
    assert_eq!(
        status(&server, ("GET", "/health"), &by_name).await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn with_a_token_configured_only_health_checks_work_without_it() {
    let world = World::embedded();
    let mut guarded = command(&world, &["--port", "0"]);
    let server = Server::run(guarded.env("MCP_AUTH_TOKEN", TOKEN));
    let wrong = format!("Bearer {}", TOKEN.replace('9', "8"));
    for route in ROUTES {
        let open = matches!(route.1, "/health" | "/ready" | "/nowhere");
        for (headers, refusal) in [
            (&[][..], StatusCode::UNAUTHORIZED),
            (
                &[("authorization", wrong.as_str())],
                StatusCode::UNAUTHORIZED,
            ),
            // None of these is a token as RFC 6750 defines it.
            (&[("authorization", TOKEN)], StatusCode::BAD_REQUEST),
        ] {
            let said = status(&server, route, headers).await;
            assert_eq!(said == refusal, !open, "{route:?} {headers:?}: {said}");
        }
        let right = format!("bearer {TOKEN}");
        if route.1 != "/sse" {
            let said = status(&server, route, &[("authorization", &right)]).await;
            assert_ne!(said, StatusCode::UNAUTHORIZED, "{route:?}");
        }
    }
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let client = crate::common::http().default_headers(headers);
    let mut sse = Sse::open_through(client.build().unwrap(), &server.url).await;
    sse.initialize("2024-11-05").await;
    sse.tool("add_memory", json!({"text": "Likes tea", "user_id": "ann"}))
        .await;
    let ended = server.stop().await;
    assert!(
        !ended.stderr.contains(TOKEN) && !ended.stderr.contains(&wrong[7..]),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn wrong_settings_are_named_and_nothing_is_served() {
    let world = World::embedded();
    for (name, value) in [
        ("PORT", "80a"),
        ("MCP_AUTH_TOKEN", "xyzzy"),
        ("MCP_AUTH_TOKEN", "with spaces in it, and long"),
        ("ZEP_MCP_ALLOWED_HOSTS", "https://a.example"),
        ("ZEP_MCP_ALLOWED_ORIGINS", "app.example.com"),
        ("ZEP_MCP_MAX_SESSIONS", "0"),
        ("ZEP_MCP_GRACE_SECS", "-1"),
        ("ZEP_MCP_TLS_CERT", "/nowhere/cert.pem"),
        ("HOST", "no such host"),
    ] {
        let refused = command(&world, &[]).env(name, value).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(name), "{name}: {said}");
        assert!(name != "MCP_AUTH_TOKEN" || !said.contains(value), "{said}");
        // Over stdio they are not read.
        let served = world
            .command()
            .env(name, value)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(served.status.code(), Some(0), "{name}");
    }
    let flag = world
        .command()
        .args(["serve", "--port", "1"])
        .output()
        .unwrap();
    assert_eq!(
        flag.status.code(),
        Some(2),
        "a port without --http means nothing"
    );
}

#[tokio::test]
async fn a_foreign_dotenv_changes_nothing_on_the_network() {
    let world = World::embedded();
    let foreign = "HOST=0.0.0.0\nPORT=1\nZEP_MCP_ALLOWED_ORIGINS=https://evil.example\n";
    std::fs::write(world.directory().join(".env"), foreign).unwrap();
    let server = Server::start(&world);
    assert!(
        server.url.starts_with("http://127.0.0.1:"),
        "{}",
        server.url
    );
    let page = [(ORIGIN.as_str(), "https://evil.example")];
    let said = status(&server, ("GET", "/health"), &page).await;
    assert_eq!(said, StatusCode::FORBIDDEN);
    assert!(server.log().contains("HOST in .env does not count"));
}

#[tokio::test]
async fn the_server_listens_on_all_addresses_of_a_name() {
    let world = World::embedded();
    let server = Server::with(&world, &["--host", "localhost"]);
    let url = format!("http://localhost:{}", server.port());
    Mcp::connect(&url, "2025-06-18").await;
}

/// Reads a response up to the end of its body, and returns its status line.
async fn response(line: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(line.read_u8().await.expect("a response"));
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).expect("a length");
    let length = length.lines().next().unwrap().parse().unwrap();
    line.read_exact(&mut vec![0; length]).await.unwrap();
    head.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_refused_client_that_is_still_sending_can_read_the_refusal() {
    let world = World::embedded();
    let mut guarded = command(&world, &["--port", "0"]);
    let server = Server::run(guarded.env("MCP_AUTH_TOKEN", TOKEN));
    let mut line = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\
                Content-Length: 8\r\n\r\n{...";
    line.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    line.write_all(b"...}").await.unwrap();
    assert!(response(&mut line).await.contains(" 401 "));
    // The body was read, so the connection is not closed, which could reset it.
    line.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(response(&mut line).await.contains(" 200 "));
}

#[tokio::test]
async fn a_stream_without_a_session_is_the_older_transports_and_not_allowed() {
    let open = Server::start(&World::embedded());
    let asked = http().get(format!("{}/mcp", open.url));
    let answer = asked.header("accept", "text/event-stream").send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}
