//! rmcp's sessions at `/mcp`, within our bounds.

use std::sync::Arc;

use axum::http::request::Parts;
use futures::Stream;
use futures::future::Either;
use rmcp::model::{ClientJsonRpcMessage, GetExtensions, ServerJsonRpcMessage};
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};
use rmcp::transport::streamable_http_server::session::{
    ServerSseMessage, SessionId, SessionManager,
};

use super::access::Subject;
use super::calls::CountedTransport;
use super::mcp_sessions::McpSessions;
use super::replay::ReplayBuffer;
use super::shares::{Account, Exceeded};

tokio::task_local! {
    /// The subject of the request that opens a session.
    pub(super) static OPENER: Subject;
}

/// rmcp's sessions, registered in [`McpSessions`] and with responses kept for reconnecting clients.
pub(super) struct BoundedSessions {
    pub(super) inner: LocalSessionManager,
    pub(super) sessions: Arc<McpSessions>,
    pub(super) replay: Arc<ReplayBuffer>,
}

/// Errors of sessions.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// There are too many.
    #[error("there are too many sessions: {0:?}")]
    Exceeded(Exceeded),
    /// The request carries no subject or no account.
    #[error("the caller is not known")]
    NoCaller,
    /// rmcp's own.
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
}

/// The account of a request, which rmcp passes on with it.
fn account_of(message: &ClientJsonRpcMessage) -> Option<Account> {
    let ClientJsonRpcMessage::Request(request) = message else {
        return None;
    };
    let parts = request.request.extensions().get::<Parts>()?;
    parts.extensions.get::<Account>().cloned()
}

impl SessionManager for BoundedSessions {
    type Error = SessionError;
    type Transport = CountedTransport<WorkerTransport<LocalSessionWorker>>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let holder = OPENER.try_with(Subject::clone);
        let holder = holder.map_err(|_| SessionError::NoCaller)?;
        let (id, transport) = self.inner.create_session().await?;
        match self.sessions.open(Arc::clone(&id), holder) {
            Ok(session) => Ok((id, CountedTransport::new(transport, session))),
            Err(exceeded) => {
                self.inner.close_session(&id).await?;
                Err(SessionError::Exceeded(exceeded))
            }
        }
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.sessions.end(id);
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let account = account_of(&message).ok_or(SessionError::NoCaller)?;
        let events = self.inner.create_stream(id, message).await?;
        Ok(self.replay.record(Arc::clone(id), account, events))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(self.inner.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        Ok(match self.replay.resume(id, &last_event_id) {
            Some(events) => Either::Left(events),
            None => Either::Right(self.inner.resume(id, last_event_id).await?),
        })
    }
}
