//! A server with two tokens, one of them misused, and clients that do not behave.

use std::fs;
use std::io::Write;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use zep_mcp_server::http::access::TokenHash;

use crate::common::PATIENCE;
use crate::common::program::World;
use crate::http::client::{Mcp, http};
use crate::http::server::{Server, command};

/// The protocol version of these clients.
pub const VERSION: &str = "2025-06-18";
/// The token that is misused: it may read the memories of `ann`.
pub const GREEDY: &str = "tok_of_the_greedy_one_83f1";
/// The token of an operator, who must notice nothing.
pub const OTHER: &str = "tok_of_the_other_one_27c4";

/// A server with both tokens and these flags.
pub fn server(world: &World, flags: &[&str]) -> Server {
    let file = world.directory().join("tokens");
    let mut tokens = fs::File::create(&file).unwrap();
    for (token, users, role) in [
        (GREEDY, json!(["ann"]), "reader"),
        (OTHER, json!("*"), "operator"),
    ] {
        let hash = TokenHash::of(token).to_string();
        let entry = json!({"name": role, "hash": hash, "users": users, "role": role});
        writeln!(tokens, "{entry}").unwrap();
    }
    Command::new("chmod")
        .arg("600")
        .arg(&file)
        .status()
        .unwrap();
    let mut command = command(world, &["--port", "0"]);
    command.args(flags).env("MCP_AUTH_TOKENS_FILE", &file);
    Server::run(&mut command)
}

/// A client with this token, after the handshake.
pub async fn client(server: &Server, token: &str) -> Mcp {
    Mcp::connect_with(&server.url, VERSION, token).await
}

/// How much of the bounds is taken, as the operator sees it.
pub async fn levels(server: &Server) -> Value {
    let asked = http()
        .get(format!("{}/health?shares", server.url))
        .bearer_auth(OTHER)
        .send();
    let answer = timeout(PATIENCE, asked).await.expect("health").unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let said: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    said["shares"].clone()
}

/// Asserts that a response refuses the token for this reason; returns the id in it.
pub async fn refused(response: reqwest::Response, reason: &str) -> Value {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait = response.headers()["retry-after"].to_str().unwrap();
    assert!((1..=60).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    let said: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(said["jsonrpc"], "2.0");
    assert_eq!(said["error"]["data"]["error"], reason, "{said}");
    said["id"].clone()
}

/// A connection with a tiny receive buffer, on which this was sent.
pub async fn unread(server: &Server, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut line = socket
        .connect(server.address().parse().unwrap())
        .await
        .unwrap();
    line.write_all(request.as_bytes()).await.unwrap();
    line
}

/// What arrives until the server closes the connection.
pub async fn rest(line: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, line.read_to_end(&mut said))
        .await
        .expect("the connection ends");
    String::from_utf8_lossy(&said).into_owned()
}
