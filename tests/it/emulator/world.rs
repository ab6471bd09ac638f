//! A running emulator and a plain HTTP client for it.

use std::net::SocketAddr;

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::emulator::{EmulatorError, Options, serve};

use crate::common::PATIENCE;

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

    /// An error's message; the body must have Zep's form.
    pub fn message(&self) -> &str {
        let fields = self.body.as_object().expect("an object");
        assert_eq!(fields.len(), 1, "{:?}", self.body);
        fields["message"].as_str().expect("a text")
    }
}

impl World {
    /// An empty emulator on a free port, with temporary data.
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let stop = CancellationToken::new();
        let (told, bound) = oneshot::channel();
        let served = tokio::spawn(serve(
            Options { port: 0, ..options },
            stop.clone(),
            move |address| told.send(address).unwrap(),
        ));
        Self {
            address: bound.await.expect("the emulator to start"),
            client: crate::common::http().timeout(PATIENCE).build().unwrap(),
            stop,
            served,
        }
    }

    /// With a user `u-1`, their thread `s-1`, and a graph `agent-a1`.
    pub async fn with_data() -> Self {
        Self::with_data_and(Options::default()).await
    }

    /// The same with these options, which must allow creating the data.
    pub async fn with_data_and(options: Options) -> Self {
        let world = Self::with(options).await;
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

    /// Adds messages to a thread and returns their ids.
    pub async fn say(&self, thread: &str, texts: &[&str]) -> Vec<String> {
        let messages: Vec<_> = texts
            .iter()
            .map(|text| json!({"role": "user", "content": text}))
            .collect();
        let path = format!("/threads/{thread}/messages");
        let added = self.post(&path, json!({"messages": messages})).await;
        strings(&added["message_uuids"])
    }

    /// A call of the control route.
    pub async fn control(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, &format!("/_emulator{path}"));
        Self::send(request.body(body.to_string())).await
    }

    /// Changes the plan.
    pub async fn plan(&self, patch: Value) {
        let answer = self.control(Method::PATCH, "/faults", patch).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Orders a fault for the next calls.
    pub async fn order(&self, fault: Value) {
        let answer = self.control(Method::POST, "/faults/next", fault).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// A count of the control route, by its JSON pointer.
    pub async fn count(&self, pointer: &str) -> u64 {
        let stats = self.control(Method::GET, "/stats", json!({})).await.body;
        stats
            .pointer(pointer)
            .map_or(0, |count| count.as_u64().unwrap())
    }

    /// A keep-alive connection with one call sent on it.
    pub async fn dial(&self, method: &str, path: &str, body: Value) -> TcpStream {
        let body = body.to_string();
        let call = format!(
            "{method} /api/v2{path} HTTP/1.1\r\nHost: zep\r\nAuthorization: Api-Key z_any\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(call.as_bytes()).await.unwrap();
        stream
    }

    /// Everything received for one call until the emulator closes the connection.
    pub async fn until_closed(&self, method: &str, path: &str, body: Value) -> String {
        heard(self.dial(method, path, body).await).await
    }

    /// The messages of a thread, oldest first.
    pub async fn said(&self, thread: &str) -> Vec<String> {
        let page = self.get(&format!("/threads/{thread}/messages")).await.body;
        column(page["messages"].as_array().expect("messages"), "content")
    }

    /// Every item of a list, by the cursor in each answer's header, and the number of pages.
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

/// Everything received on a connection until the other end closes it.
pub async fn heard(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Closed or reset: both end it.
    let _ = end.expect("the connection to be closed");
    String::from_utf8(bytes).unwrap()
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
