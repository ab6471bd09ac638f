//! Messages as lines, as MCP sends them over stdin and stdout.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::incoming::Incoming;
use super::jsonrpc::{Connection, Refusal, Refused};

/// The longest line that is read, in bytes: room for a call with the longest content, escaped twice.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// A connection that carries one message a line.
pub(super) struct Lines<R, W> {
    input: BufReader<R>,
    line: Line,
    output: Arc<Mutex<W>>,
    connection: Arc<Connection>,
    /// Messages of a batch, and refusals, that were read and not delivered yet.
    read: VecDeque<Result<ClientJsonRpcMessage, Refused>>,
    /// Writes the answer to a refused message. Nothing more is read until then.
    answering: Option<JoinHandle<()>>,
}

/// A line that is being read.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
    length: usize,
    incoming: Incoming,
}

impl Line {
    fn push(&mut self, piece: &[u8]) {
        self.length += piece.len();
        let accepted = self.incoming.feed(piece);
        if !accepted || self.length > MAX_LINE_BYTES {
            self.text = Vec::new();
        } else {
            self.text.extend_from_slice(piece);
        }
    }

    /// The messages in the line.
    fn read(self, connection: &Connection) -> VecDeque<Result<ClientJsonRpcMessage, Refused>> {
        if self.length > MAX_LINE_BYTES {
            let refused = Refused::of(self.incoming.id(), Refusal::TooLong);
            return [Err(refused)].into();
        }
        let is_blank = self.text.iter().all(u8::is_ascii_whitespace);
        match self.incoming.finish(self.text.into()) {
            Err(refused) => [Err(refused)].into(),
            Ok(_) if is_blank => VecDeque::new(),
            Ok((text, inline)) => {
                let mut read = connection.read(&text);
                if let (Some(inline), Some(Ok(message))) = (inline, read.first_mut()) {
                    message.insert_extension(inline);
                }
                read.into()
            }
        }
    }
}

impl<R: AsyncRead + Unpin, W> Lines<R, W> {
    pub(super) fn new(input: R, output: W) -> Self {
        Self {
            input: BufReader::new(input),
            line: Line::default(),
            output: Arc::new(Mutex::new(output)),
            connection: Arc::default(),
            read: VecDeque::new(),
            answering: None,
        }
    }

    /// Reads a line; false at the end. A call that is dropped loses nothing.
    async fn read_line(&mut self) -> io::Result<bool> {
        loop {
            let available = self.input.fill_buf().await?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(available.len());
            self.line.push(&available[..length]);
            let is_last = available.is_empty();
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
            if is_last {
                // The last line may end without a line feed.
                return Ok(self.line.length > 0);
            }
        }
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (connection, output) = (Arc::clone(&self.connection), Arc::clone(&self.output));
        async move { write(&connection, &output, &message).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answering) = &mut self.answering {
                // Fails only if the process is ending.
                let _ = answering.await;
                self.answering = None;
            }
            match self.read.pop_front() {
                Some(Ok(message)) => return Some(message),
                Some(Err(refused)) => {
                    let sent = self.send(refused.into_answer());
                    self.answering = Some(tokio::spawn(async move {
                        // Fails if the client is gone, which ends the input too.
                        let _ = sent.await;
                    }));
                }
                None => match self.read_line().await {
                    Ok(true) => self.read = mem::take(&mut self.line).read(&self.connection),
                    Ok(false) => return None,
                    Err(error) => {
                        tracing::error!(%error, "stdin cannot be read");
                        return None;
                    }
                },
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.lock().await.shutdown().await
    }
}

async fn write<W: AsyncWrite + Unpin>(
    connection: &Connection,
    output: &Mutex<W>,
    message: &ServerJsonRpcMessage,
) -> io::Result<()> {
    let text = connection.encode(message)?;
    let mut output = output.lock().await;
    output.write_all(&text).await?;
    output.write_all(b"\n").await?;
    output.flush().await
}
