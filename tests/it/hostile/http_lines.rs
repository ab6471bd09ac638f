//! Requests that are not as RFC 9112 has them, and answers that are given before a body has arrived.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::attack::{GREEDY, rest, server};
use crate::common::PATIENCE;
use crate::common::program::World;
use crate::http::client::request;
use crate::http::server::Server;

/// Sends these bytes; everything that is answered until the server closes, which it must.
async fn send(server: &Server, bytes: &[u8]) -> String {
    let mut line = TcpStream::connect(server.address()).await.unwrap();
    line.write_all(bytes).await.unwrap();
    rest(&mut line).await
}

#[tokio::test]
async fn broken_header_lines_and_hosts_are_refused() {
    let world = World::embedded();
    let server = Server::start(&world);
    let get = "GET /health HTTP/1.1\r\n";
    for (what, head) in [
        ("no host", format!("{get}Accept: */*\r\n")),
        (
            "no host beside a target that has one",
            "GET http://localhost/health HTTP/1.1\r\n".into(),
        ),
        (
            "two hosts",
            format!("{get}Host: localhost\r\nHost: localhost\r\n"),
        ),
        (
            "two different hosts",
            format!("{get}Host: localhost\r\nHost: 127.0.0.1\r\n"),
        ),
        ("an empty host", format!("{get}Host:\r\n")),
        (
            "a host with a user",
            format!("{get}Host: ann@localhost\r\n"),
        ),
        (
            "a host with a path",
            format!("{get}Host: localhost/health\r\n"),
        ),
        (
            "a host with a scheme",
            format!("{get}Host: http://localhost\r\n"),
        ),
        ("a host with a space", format!("{get}Host: local host\r\n")),
        (
            "a port that is none",
            format!("{get}Host: localhost:http\r\n"),
        ),
        (
            "a port that is too large",
            format!("{get}Host: localhost:70000\r\n"),
        ),
        (
            "a space before the colon",
            format!("{get}Host : localhost\r\n"),
        ),
        (
            "a tab before the colon",
            format!("{get}Host\t: localhost\r\n"),
        ),
        (
            "a space before the first header",
            format!("{get} Host: localhost\r\n"),
        ),
        (
            "a folded line",
            format!("{get}Host: localhost\r\nX-One: a\r\n b\r\n"),
        ),
        ("a folded host", format!("{get}Host: local\r\n host\r\n")),
        (
            "a line without a colon",
            format!("{get}Host: localhost\r\nX-One\r\n"),
        ),
        (
            "a header without a name",
            format!("{get}Host: localhost\r\n: one\r\n"),
        ),
        (
            "a name with a space",
            format!("{get}Host: localhost\r\nX One: a\r\n"),
        ),
        (
            "a bare CR in a value",
            format!("{get}Host: localhost\r\nX-One: a\rb\r\n"),
        ),
        (
            "a NUL in a value",
            format!("{get}Host: localhost\r\nX-One: a\0b\r\n"),
        ),
        ("a NUL in a host", format!("{get}Host: local\0host\r\n")),
        (
            "a NUL in the target",
            "GET /hea\0lth HTTP/1.1\r\nHost: localhost\r\n".into(),
        ),
        (
            "two spaces in the request line",
            "GET  /health HTTP/1.1\r\nHost: localhost\r\n".into(),
        ),
        ("no version", "GET /health\r\nHost: localhost\r\n".into()),
        (
            "an unknown version",
            "GET /health HTTP/9.9\r\nHost: localhost\r\n".into(),
        ),
        (
            "two lengths",
            format!("{get}Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
        ),
        (
            "a length with a sign",
            format!("{get}Host: localhost\r\nContent-Length: +1\r\n"),
        ),
        (
            "a list of lengths",
            format!("{get}Host: localhost\r\nContent-Length: 1, 1\r\n"),
        ),
        (
            "an encoding that is not chunked",
            format!("{get}Host: localhost\r\nTransfer-Encoding: gzip\r\n"),
        ),
        (
            "an encoding in HTTP/1.0",
            "GET /health HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n".into(),
        ),
    ] {
        let said = send(
            &server,
            format!("{head}Connection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(
            said.starts_with("HTTP/1.1 400") || said.starts_with("HTTP/1.0 400"),
            "{what}: {said}"
        );
    }
    for head in [
        format!("{get}Host: localhost\r\n"),
        format!("{get}Host: localhost:\r\n"),
        format!("{get}host:localhost:8081  \r\n"),
        format!("{get}Host: [::1]:8081\r\n"),
        "GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n".into(),
    ] {
        let said = send(
            &server,
            format!("{head}Connection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(said.starts_with("HTTP/1.1 200"), "{head}: {said}");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_trusted() {
    let world = World::embedded();
    let server = Server::start(&world);
    // The second request would be read from the first one's body.
    let smuggled = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let head = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\
                Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let said = send(&server, format!("{head}{smuggled}").as_bytes()).await;
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
}

/// Requests that are answered before their body is read, with their status.
fn early(body: &str) -> Vec<(&'static str, String)> {
    let head = |line: &str, headers: &str| {
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}{body}")
    };
    let token = format!("Authorization: Bearer {GREEDY}\r\n");
    vec![
        ("401", head("POST /mcp", "")),
        (
            "401",
            head(
                "POST /messages?sessionId=x",
                "Authorization: Bearer wrong\r\n",
            ),
        ),
        ("400", head("POST /mcp", "Authorization: Bearer\r\n")),
        (
            "403",
            head(
                "POST /mcp",
                &format!("Origin: http://evil.example\r\n{token}"),
            ),
        ),
        ("404", head("POST /nowhere", "")),
        ("405", head("POST /health", "")),
    ]
}

#[tokio::test]
async fn an_early_answer_leaves_the_connection_open_only_if_the_body_is_small() {
    let world = World::embedded();
    let server = server(&world, &[]);
    let next = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    // Small: it is read, and the next request is answered.
    for (status, asked) in early("Content-Length: 5\r\n\r\n{...}") {
        let said = send(&server, format!("{asked}{next}").as_bytes()).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status}")),
            "{asked}: {said}"
        );
        assert_eq!(said.matches("HTTP/1.1 ").count(), 2, "{asked}: {said}");
    }
    // Large, and not sent: the answer says that the connection closes, and it does.
    for (status, asked) in early("Content-Length: 9000000\r\n\r\n{...") {
        let said = send(&server, asked.as_bytes()).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status}")),
            "{asked}: {said}"
        );
        let head = said.to_ascii_lowercase();
        assert!(
            head.contains("\r\nconnection: close\r\n"),
            "{asked}: {said}"
        );
    }
    // Waiting to be asked for: it is not asked for.
    for (status, asked) in early("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n") {
        let said = send(&server, asked.as_bytes()).await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status}")),
            "{asked}: {said}"
        );
    }
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_the_body() {
    let world = World::embedded();
    let server = server(&world, &[]);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {GREEDY}\r\n\
         Content-Length: 99999999999\r\n\r\n"
    );
    let said = send(&server, head.as_bytes()).await.to_ascii_lowercase();
    assert!(said.starts_with("http/1.1 413"), "{said}");
    assert!(said.contains("\r\nconnection: close\r\n"), "{said}");
}

#[tokio::test]
async fn a_request_in_small_pieces_is_read() {
    let world = World::embedded();
    let server = Server::start(&world);
    let body = request(1, "ping", json!({})).to_string();
    let whole = format!(
        "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut line = TcpStream::connect(server.address()).await.unwrap();
    line.set_nodelay(true).unwrap();
    for byte in whole.bytes() {
        line.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut said = String::new();
    timeout(PATIENCE, line.read_to_string(&mut said))
        .await
        .unwrap()
        .unwrap();
    assert!(said.starts_with("HTTP/1.1 404"), "{said}");
}
