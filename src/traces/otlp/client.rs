//! How the exporter sends: with this program's HTTP client, on the exporter's own thread.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::header::HeaderMap;
use tokio::runtime::Runtime;

use super::settings::Settings;
use crate::outgoing::{self, root_cause};

/// How long connecting may take at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes. Ours: it holds a count and a sentence.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How often a failure is logged. Ours: spans are sent every five seconds.
const SILENCE: Duration = Duration::from_secs(600);

/// The collector.
#[derive(Debug)]
pub(super) struct Collector {
    settings: Settings,
    /// Made for the first spans, so that starting up takes no longer.
    sender: OnceLock<Result<Sender, String>>,
    /// When a failure was logged last.
    logged: Mutex<Option<Instant>>,
}

/// A client, and a runtime for it: the program's own may have one thread, which is busy, and ends before
/// the last spans are sent.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Runtime,
}

impl Collector {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            sender: OnceLock::new(),
            logged: Mutex::default(),
        }
    }

    fn sender(&self) -> Result<&Sender, String> {
        let sender = self.sender.get_or_init(|| {
            let connecting = CONNECT_TIMEOUT.min(self.settings.timeout);
            let client = outgoing::client(&self.settings.url, HeaderMap::new(), connecting)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            Ok(Sender { client, runtime })
        });
        sender.as_ref().map_err(Clone::clone)
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let Sender { client, runtime } = self.sender()?;
        let (head, body) = request.into_parts();
        let sending = client
            .post(self.settings.url.clone())
            .headers(head.headers)
            .body(body)
            .timeout(self.settings.timeout);
        // The exporter polls this on a thread of its own, which has nothing else to do.
        runtime.block_on(async {
            let mut answer = sending.send().await.map_err(|error| root_cause(&error))?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|error| root_cause(&error))? {
                if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            let mut response = Response::new(Bytes::from(body));
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            Ok(response)
        })
    }

    /// Logs a failure, unless one was logged just now.
    fn log(&self, why: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| logged.elapsed() > SILENCE) {
            *logged = Some(Instant::now());
            tracing::warn!("traces cannot be sent, and are lost meanwhile: {why}");
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.send(request) {
            Ok(response) => {
                if !response.status().is_success() {
                    self.log(&format!("the collector answered {}", response.status()));
                }
                Ok(response)
            }
            Err(why) => {
                self.log(&why);
                Err(why.into())
            }
        }
    }
}
