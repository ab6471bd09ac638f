//! A stand-in for a collector: what arrives is kept and read.

use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};

use super::protobuf::{Span, spans};
use crate::common::wait_until;

/// A request that arrived.
struct Arrived {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A collector. It runs until the tests end, since it has a runtime of its own.
pub struct Collector {
    pub url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let kept = arrived.clone();
        let app = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let path = uri.path().to_owned();
            kept.lock().unwrap().push(Arrived {
                path,
                headers,
                body,
            });
        });
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await
            })
        });
        Self { url, arrived }
    }

    /// Sends the traces of a program here, soon after they are made.
    pub fn of<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url)
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let arrived = self.arrived.lock().unwrap();
        let bodies = arrived.iter().map(|request| {
            assert_eq!(request.path, "/v1/traces");
            assert_eq!(request.headers["content-type"], "application/x-protobuf");
            spans(&request.body)
        });
        bodies.flatten().collect()
    }

    /// The first span of this name, once it has arrived.
    pub fn wait_for(&self, name: &str) -> Span {
        self.wait_for_all(name, 1).remove(0)
    }

    /// The spans of this name, once so many have arrived.
    pub fn wait_for_all(&self, name: &str, count: usize) -> Vec<Span> {
        let named = || {
            let spans = self.spans().into_iter();
            spans.filter(|span| span.name == name).collect::<Vec<_>>()
        };
        wait_until(&format!("{count} spans {name}"), || named().len() >= count);
        named()
    }

    /// The first span that is meant, once it has arrived.
    pub fn wait_for_one(&self, meant: impl Fn(&Span) -> bool) -> Span {
        let find = || self.spans().into_iter().find(&meant);
        wait_until("a span arrives", || find().is_some());
        find().unwrap()
    }

    /// The spans right below one.
    pub fn below(&self, span: &Span) -> Vec<Span> {
        let spans = self.spans().into_iter();
        spans.filter(|child| child.parent == span.id).collect()
    }

    /// A header of the first request.
    pub fn header(&self, name: &str) -> String {
        let arrived = self.arrived.lock().unwrap();
        arrived[0].headers[name].to_str().unwrap().to_owned()
    }

    /// Everything that arrived, heads included, must not hold these texts.
    #[track_caller]
    pub fn holds_none_of(&self, secrets: &[&str]) {
        let arrived = self.arrived.lock().unwrap();
        assert!(!arrived.is_empty());
        for request in arrived.iter() {
            let all = format!(
                "{} {:?} {}",
                request.path,
                request.headers,
                String::from_utf8_lossy(&request.body)
            );
            for secret in secrets {
                assert!(!all.contains(secret), "{secret}: {all}");
            }
        }
    }
}
