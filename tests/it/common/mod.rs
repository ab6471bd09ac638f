//! What the tests share: the built program, stand-ins for Zep on loopback, and an HTTP client.

pub mod fake;
pub mod filters;
#[path = "../../../examples/mem0_stand_in/stand_in/mod.rs"]
pub mod mem0_stand_in;
pub mod program;
pub mod service;
mod waiting;

pub(crate) use program::on_both_backends;
pub use waiting::{PATIENCE, until, wait_until};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use secrecy::SecretString;
use serde_json::Value;
use zep_mcp_server::zep::v3::ZepCloud;
use zep_mcp_server::zep::{Connection, Metadata, NewMessage, RecordMark, Role, ThreadId};

/// The key of every test, which must not be shown anywhere.
pub const KEY: &str = "KEY";

/// An HTTP client that goes through no proxy.
pub fn http() -> reqwest::ClientBuilder {
    // Fails only if another test of this process did it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// The adapter of Zep's API, connected to a server of the test.
pub fn cloud(url: &str, timeout: Duration) -> ZepCloud {
    let key = SecretString::from(KEY);
    ZepCloud::new(Connection::new(url, key, timeout).expect("a loopback address"))
}

pub fn thread(id: &str) -> ThreadId {
    ThreadId::new(id).expect("a valid id")
}

pub fn metadata(value: Value) -> Metadata {
    value.as_object().expect("an object").clone()
}

/// A message that carries this record id.
pub fn message(record: &str, content: &str) -> NewMessage {
    NewMessage {
        role: Role::User,
        content: content.to_owned(),
        name: None,
        created_at: None,
        mark: Some(RecordMark::whole(record)),
        metadata: Metadata::new(),
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// With escapes, as it was sent.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub authorization: Option<String>,
    pub content_type: Option<String>,
    pub body: Value,
}

impl Call {
    pub async fn read(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let header = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        let url = reqwest::Url::parse(&format!("http://zep{}", head.uri)).expect("a URL");
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            authorization: header("authorization"),
            content_type: header("content-type"),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }
}

/// Serves the answers of `answer` on a free port; gives the address.
pub async fn serve<F, Fut>(answer: F) -> String
where
    F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send,
{
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = Router::new().fallback(move |request: Request| {
        let answer = answer.clone();
        async move { answer(Call::read(request).await).await }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// Serves the answers of `answer` and records the requests.
pub async fn record<F>(answer: F) -> (String, Arc<Mutex<Vec<Call>>>)
where
    F: Fn(&Call) -> Response + Clone + Send + Sync + 'static,
{
    let calls = Arc::new(Mutex::new(Vec::new()));
    let kept = calls.clone();
    let url = serve(move |call| {
        let response = answer(&call);
        kept.lock().expect("no panic").push(call);
        async move { response }
    })
    .await;
    (url, calls)
}

pub fn json(status: u16, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a response")
}

/// A success whose body breaks off, so that the answer is lost.
pub fn broken_off() -> Response {
    let parts = [
        Ok("{\"message_uuids\": ["),
        Err(std::io::Error::other("lost")),
    ];
    Response::new(Body::from_stream(futures::stream::iter(parts)))
}
