//! A running emulator and a plain HTTP client for it.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::emulator::{EmulatorError, Options, serve};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub address: SocketAddr,
    client: Client,
    stop: CancellationToken,
    served: JoinHandle<Result<(), EmulatorError>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What an error says, which must be in Zep's form.
    pub fn message(&self) -> &str {
        let fields = self.body.as_object().expect("an object");
        assert_eq!(fields.len(), 1, "{:?}", self.body);
        fields["message"].as_str().expect("a text")
    }
}

impl World {
    /// An empty one, on a free port, gone at the end.
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider()
                .install_default()
                .expect("the first provider");
        });
        let stop = CancellationToken::new();
        let (told, bound) = oneshot::channel();
        let served = tokio::spawn(serve(
            Options { port: 0, ..options },
            stop.clone(),
            move |address| told.send(address).unwrap(),
        ));
        Self {
            address: bound.await.expect("the emulator to start"),
            client: Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            stop,
            served,
        }
    }

    /// One with a user `u-1`, their thread `s-1`, and a graph `agent-a1`.
    pub async fn inhabited() -> Self {
        let world = Self::new().await;
        world
            .post("/users", json!({"user_id": "u-1", "first_name": "Jane"}))
            .await;
        world
            .post("/threads", json!({"thread_id": "s-1", "user_id": "u-1"}))
            .await;
        world
            .post("/graph/create", json!({"graph_id": "agent-a1"}))
            .await;
        world
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url)
    }

    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text:?}")),
        }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self
            .request(method, &format!("/api/v2{path}"))
            .header("authorization", "Api-Key z_any");
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        Self::send(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// A write that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call(Method::POST, path, Some(body)).await;
        assert!(answer.status.is_success(), "{path}: {:?}", answer.body);
        answer.body
    }

    /// Adds messages to a thread and gives their ids.
    pub async fn say(&self, thread: &str, texts: &[&str]) -> Vec<String> {
        let messages: Vec<_> = texts
            .iter()
            .map(|text| json!({"role": "user", "content": text}))
            .collect();
        let path = format!("/threads/{thread}/messages");
        let added = self.post(&path, json!({"messages": messages})).await;
        strings(&added["message_uuids"])
    }

    /// Every item of a list, by the cursor in each answer's head, and how many pages there were.
    pub async fn walk(&self, path: &str, mut ask: Value) -> (Vec<Value>, usize) {
        let (mut items, mut pages) = (Vec::new(), 0);
        loop {
            let page = self.call(Method::POST, path, Some(ask.clone())).await;
            assert_eq!(page.status, 200, "{path}: {:?}", page.body);
            items.extend(page.body.as_array().expect("a bare array").iter().cloned());
            pages += 1;
            assert!(pages < 100, "the pages do not end");
            match page.header("zep-next-cursor") {
                Some(cursor) => ask["cursor"] = cursor.into(),
                None => return (items, pages),
            }
        }
    }

    /// Stops the emulator and waits for its end.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.served)
            .await
            .expect("it stops")
            .unwrap()
            .unwrap();
    }
}

/// The texts of an array.
pub fn strings(array: &Value) -> Vec<String> {
    let items = array.as_array().expect("an array").iter();
    items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// One field of each item.
pub fn column(items: &[Value], field: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}
