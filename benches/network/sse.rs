//! A client of the older transport: a stream, read or not, and messages posted beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{INITIALIZED, Line, PATIENCE, check, hello, post};

/// An open stream after its first event.
pub(crate) struct Opened {
    /// Keeps the connection open.
    _line: Line,
    body: Incoming,
    text: String,
    /// The path for messages.
    pub(crate) endpoint: String,
}

impl Opened {
    /// Opens a stream over this connection.
    pub(crate) async fn over(stream: TcpStream, address: SocketAddr) -> Result<Self, String> {
        let mut line = Line::over(stream, address).await?;
        let open = Request::get("/sse")
            .header("accept", "text/event-stream")
            .body(Full::default())
            .expect("it is a request");
        let response = line.send(open).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("no stream: {}", response.status()));
        }
        let mut opened = Self {
            _line: line,
            body: response.into_body(),
            text: String::new(),
            endpoint: String::new(),
        };
        let first = opened
            .next()
            .await
            .ok_or("the stream ended before its first event")?;
        let endpoint = first
            .split_once("data: ")
            .ok_or("the first event has no endpoint")?
            .1;
        opened.endpoint = endpoint.to_owned();
        Ok(opened)
    }

    /// The next raw event or comment; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let mut event = std::mem::replace(&mut self.text, rest);
                event.truncate(end);
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            let data = frame.into_data().unwrap_or_default();
            self.text.push_str(str::from_utf8(&data).ok()?);
        }
    }
}

/// Posts a message to a session.
pub(crate) async fn post_message(
    line: &mut Line,
    endpoint: &str,
    message: String,
) -> Result<(), String> {
    let posted = async {
        let response = line.send(post(endpoint, message)).await?;
        let status = response.status();
        let body = response.into_body().collect().await;
        body.map_err(|error| format!("broken off: {error}"))?;
        match status {
            StatusCode::ACCEPTED => Ok(()),
            status => Err(format!("a message was answered {status}")),
        }
    };
    timeout(PATIENCE, posted)
        .await
        .map_err(|_| "a message was not accepted in time".to_owned())?
}

/// A client that reads its stream continuously.
pub(crate) struct Listener {
    address: SocketAddr,
    endpoint: String,
    comments: Arc<AtomicUsize>,
    events: mpsc::UnboundedReceiver<String>,
    /// The reader; ends with the stream.
    reader: JoinHandle<()>,
}

impl Listener {
    /// Opens a stream and initialises the session.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| format!("no connection: {error}"))?;
        let mut opened = Opened::over(stream, address).await?;
        let endpoint = opened.endpoint.clone();
        let comments = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&comments);
        let (sender, events) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            while let Some(event) = opened.next().await {
                if event.starts_with(':') {
                    counted.fetch_add(1, Ordering::Relaxed);
                } else if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let mut listener = Self {
            address,
            endpoint,
            comments,
            events,
            reader,
        };
        let mut line = Line::open(address).await?;
        post_message(&mut line, &listener.endpoint, hello()).await?;
        listener.answer(0).await?;
        post_message(&mut line, &listener.endpoint, INITIALIZED.to_owned()).await?;
        Ok(listener)
    }

    async fn answer(&mut self, id: u64) -> Result<(), String> {
        let event = timeout(PATIENCE, self.events.recv()).await;
        let event = event.map_err(|_| "dropped: no answer in time")?;
        check(event.ok_or("the stream has ended")?.as_bytes(), id)
    }

    /// Posts a call on a new connection and waits for its answer on the stream.
    pub(crate) async fn call(&mut self, id: u64, message: String) -> Result<(), String> {
        let mut line = Line::open(self.address).await?;
        post_message(&mut line, &self.endpoint, message).await?;
        self.answer(id).await
    }

    /// Whether the stream is open.
    pub(crate) fn is_connected(&self) -> bool {
        !self.reader.is_finished()
    }

    /// Number of received comments.
    pub(crate) fn comments(&self) -> usize {
        self.comments.load(Ordering::Relaxed)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
