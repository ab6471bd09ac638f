//! Direct access to the emulator: what it holds, and which faults it plays.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::common::program::{API_KEY, World};
use crate::common::{PATIENCE, wait_until};

/// A plain HTTP client of the emulator.
pub struct Service {
    runtime: tokio::runtime::Runtime,
    client: Client,
    base: Url,
}

impl Service {
    pub fn of(world: &World) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            // A connection for each call: the emulator cuts them when it restarts.
            client: super::http().pool_max_idle_per_host(0).build().unwrap(),
            base: Url::parse(world.address()).unwrap(),
        }
    }

    /// Sends a request; gives the status, the next page's cursor and the body.
    fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> (u16, Option<String>, Value) {
        let mut url = self.base.clone();
        url.path_segments_mut().unwrap().clear().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .client
            .request(method, url)
            .timeout(PATIENCE)
            .header("authorization", format!("Api-Key {API_KEY}"));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let begun = Instant::now();
        self.runtime.block_on(async {
            loop {
                // Every request of this client may be repeated: the emulator is away while it restarts.
                match answer(request.try_clone().unwrap()).await {
                    Ok(answer) => return answer,
                    Err(error) => assert!(begun.elapsed() < PATIENCE, "it is gone: {error}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    fn must(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> (Option<String>, Value) {
        let (status, cursor, answer) = self.send(method, path, query, body);
        assert!(status < 300, "{path:?}: {status} {answer}");
        (cursor, answer)
    }

    /// Sends a request to Zep's API, as another client does; gives the status and the body.
    pub fn call(&self, method: &str, path: &[&str], body: Option<&Value>) -> (u16, Value) {
        let path: Vec<&str> = ["api", "v2"].iter().chain(path).copied().collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (status, _, answer) = self.send(method, &path, &[], body);
        (status, answer)
    }

    /// Plays these faults from now on, and no others.
    pub fn plan(&self, faults: &Value) {
        self.must(Method::PUT, &["_emulator", "faults"], &[], Some(faults));
    }

    /// Plays these faults on the next matching calls.
    pub fn next(&self, order: &Value) {
        let path = ["_emulator", "faults", "next"];
        self.must(Method::POST, &path, &[], Some(order));
    }

    /// How often each fault happened.
    pub fn counted(&self) -> Value {
        self.stats()["faults"].clone()
    }

    fn stats(&self) -> Value {
        self.must(Method::GET, &["_emulator", "stats"], &[], None).1
    }

    /// Resets the counts.
    pub fn count_anew(&self) {
        self.must(Method::POST, &["_emulator", "reset-stats"], &[], None);
    }

    /// Ends all faults, and waits until the last late write landed.
    pub fn calm(&self) {
        self.plan(&json!({}));
        wait_until("the last late write lands", || {
            self.stats()["late_writes_waiting"] == 0
        });
    }

    /// The ids of all threads and of their users.
    pub fn threads(&self) -> Vec<(String, String)> {
        let query = [
            ("page_number", "1".to_owned()),
            ("page_size", "1000".to_owned()),
        ];
        let (_, page) = self.must(Method::GET, &["api", "v2", "threads"], &query, None);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let threads = page["threads"].as_array().cloned().unwrap_or_default();
        assert_eq!(json!(threads.len()), page["total_count"]);
        threads
            .iter()
            .map(|thread| (text(&thread["thread_id"]), text(&thread["user_id"])))
            .collect()
    }

    /// All messages of a thread, in order.
    pub fn messages(&self, thread: &str) -> Vec<Value> {
        let query = [("lastn", "1000000".to_owned())];
        let path = ["api", "v2", "threads", thread, "messages"];
        let (_, page) = self.must(Method::GET, &path, &query, None);
        let messages = page["messages"].as_array().cloned().unwrap_or_default();
        assert_eq!(json!(messages.len()), page["total_count"]);
        messages
    }

    /// All users.
    pub fn users(&self) -> Vec<String> {
        let query = [
            ("pageNumber", "1".to_owned()),
            ("pageSize", "1000".to_owned()),
        ];
        let (_, page) = self.must(Method::GET, &["api", "v2", "users-ordered"], &query, None);
        page["users"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|user| user["user_id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// All episodes of a user that are not messages.
    pub fn texts(&self, user: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut listing = json!({"limit": 100});
        loop {
            let path = ["api", "v2", "graph", "episodes", "user", user];
            let (cursor, page) = self.must(Method::POST, &path, &[], Some(&listing));
            let page = page.as_array().cloned().unwrap_or_default();
            all.extend(
                page.into_iter()
                    .filter(|episode| episode["source"] == "text"),
            );
            match cursor {
                Some(cursor) => listing["cursor"] = cursor.into(),
                None => return all,
            }
        }
    }

    /// Deletes a thread, unless it is gone already.
    pub fn delete_thread(&self, thread: &str) {
        let path = ["api", "v2", "threads", thread];
        let (status, _, answer) = self.send(Method::DELETE, &path, &[], None);
        assert!(status < 300 || status == 404, "{status} {answer}");
    }

    /// Deletes a user, unless they are gone already.
    pub fn delete_user(&self, user: &str) {
        let path = ["api", "v2", "users", user];
        let (status, _, answer) = self.send(Method::DELETE, &path, &[], None);
        assert!(status < 300 || status == 404, "{status} {answer}");
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<(u16, Option<String>, Value)> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let cursor = answer
        .headers()
        .get("zep-next-cursor")
        .map(|cursor| cursor.to_str().unwrap().to_owned())
        .filter(|cursor| !cursor.is_empty());
    let body = answer.bytes().await?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok((status, cursor, body))
}
