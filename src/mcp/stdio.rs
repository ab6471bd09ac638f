//! MCP over stdin and stdout.

use rmcp::{ServiceExt, service::QuitReason};

use super::{handshake::InitializeFirst, lines::Lines, server::MemoryServer};

/// Serves one client until stdin ends, then finishes pending writes.
///
/// # Errors
/// If the handshake fails or a task of the server dies.
pub async fn serve_stdio(server: MemoryServer) -> Result<(), StdioError> {
    let memories = server.memories().clone();
    let runs = server.moves().runs().clone();
    let (input, output) = rmcp::transport::stdio_pipes();
    let transport = InitializeFirst::new(Lines::new(input, output));
    let outcome = match server.serve(transport).await {
        Ok(running) => running
            .waiting()
            .await
            .map_err(StdioError::Died)
            .map(|reason| {
                if let QuitReason::JoinError(error) = reason {
                    tracing::error!(%error, "a task of the server died");
                }
            }),
        // stdin ended before the first message.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(StdioError::Handshake(Box::new(error))),
    };
    runs.stop().await;
    memories.settle().await;
    outcome
}

/// Why serving over stdio failed.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The client's first messages were not a valid MCP handshake.
    #[error("the MCP handshake failed: {0}")]
    Handshake(Box<rmcp::service::ServerInitializeError>),
    /// The server's own task ended with an error.
    #[error("the server stopped: {0}")]
    Died(tokio::task::JoinError),
}
