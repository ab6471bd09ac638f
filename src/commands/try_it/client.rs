//! An MCP client of a server that it starts itself.

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
    JsonObject, ServerPeerInfo, Tool,
};
use rmcp::service::{RoleClient, RunningService, ServiceExt};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How many lines from the end of the server's stderr an error repeats.
const STDERR_LINES: usize = 5;
/// How long to wait for the exit status of a server that failed.
const EXIT_WITHIN: Duration = Duration::from_secs(3);

/// A connection to a server process, which is killed when this is dropped.
pub(super) struct Client {
    service: RunningService<RoleClient, ClientConfig>,
    server: Server,
    patience: Duration,
}

impl Client {
    /// Starts the server and initialises the connection. `patience` limits each answer and the
    /// shutdown.
    ///
    /// # Errors
    /// If the server cannot be started or does not initialise.
    pub(super) async fn start(command: Command, patience: Duration) -> anyhow::Result<Self> {
        let (mut server, stdout, stdin) = Server::start(command)?;
        let client = Implementation::new("zep-mcp-server try", env!("CARGO_PKG_VERSION"));
        let info = ClientConfig::new(ClientCapabilities::default(), client);
        let started = info.serve((stdout, stdin));
        let service = server.answered("initialize", patience, started).await?;
        Ok(Self {
            service,
            server,
            patience,
        })
    }

    /// What the server said of itself.
    ///
    /// # Errors
    /// Never, once initialised.
    pub(super) fn server_info(&self) -> anyhow::Result<ServerPeerInfo> {
        let info = self.service.peer_info().context("not initialised")?;
        Ok((*info).clone())
    }

    /// All tools.
    ///
    /// # Errors
    /// If the server refuses, ends, or does not answer in time.
    pub(super) async fn tools(&mut self) -> anyhow::Result<Vec<Tool>> {
        let asked = self.service.list_all_tools();
        self.server
            .answered("tools/list", self.patience, asked)
            .await
    }

    /// The structured answer of a tool.
    ///
    /// # Errors
    /// If the tool reports an error, or the server refuses, ends, or does not answer in time.
    pub(super) async fn call(
        &mut self,
        tool: &'static str,
        arguments: JsonObject,
    ) -> anyhow::Result<Value> {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let asked = self.service.call_tool(params);
        structured(self.server.answered(tool, self.patience, asked).await?)
    }

    /// Closes the server's stdin, and returns how long it took to end.
    ///
    /// # Errors
    /// If it does not end in time, or ends with a failure.
    pub(super) async fn close(mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.service.close().await?;
        let Ok(status) = timeout(self.patience, self.server.child.wait()).await else {
            bail!(
                "the server did not end within {:?} after its stdin closed",
                self.patience
            );
        };
        let took = started.elapsed();
        match status? {
            status if status.success() => Ok(took),
            status => Err(self.server.ended(status).await),
        }
    }
}

/// A server process.
struct Server {
    child: Child,
    stderr: JoinHandle<Vec<u8>>,
}

impl Server {
    fn start(
        mut command: Command,
    ) -> anyhow::Result<(
        Self,
        tokio::process::ChildStdout,
        tokio::process::ChildStdin,
    )> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                let program: &OsStr = command.as_std().get_program();
                format!("{program:?} cannot be started")
            })?;
        let stdin = child.stdin.take().context("the server has no stdin")?;
        let stdout = child.stdout.take().context("the server has no stdout")?;
        let mut stderr = child.stderr.take().context("the server has no stderr")?;
        let stderr = tokio::spawn(async move {
            let mut written = Vec::new();
            // What was read until an error is still worth showing.
            let _ = stderr.read_to_end(&mut written).await;
            written
        });
        Ok((Self { child, stderr }, stdout, stdin))
    }

    /// Waits for an answer for a limited time. An error says whether the server has ended.
    async fn answered<T, E: Into<anyhow::Error>>(
        &mut self,
        request: &str,
        patience: Duration,
        answer: impl Future<Output = Result<T, E>>,
    ) -> anyhow::Result<T> {
        let Ok(answer) = timeout(patience, answer).await else {
            bail!("no answer to {request} within {patience:?}");
        };
        match answer.map_err(Into::into) {
            Ok(answer) => Ok(answer),
            Err(error) => match timeout(EXIT_WITHIN, self.child.wait()).await {
                Ok(Ok(status)) => Err(error.context(self.ended(status).await)),
                _ => Err(error.context(format!("{request} failed"))),
            },
        }
    }

    /// The error that the server has ended, with the end of its stderr.
    async fn ended(&mut self, status: ExitStatus) -> anyhow::Error {
        let written = (&mut self.stderr).await.unwrap_or_default();
        let written = String::from_utf8_lossy(&written);
        let lines: Vec<_> = written.lines().collect();
        let last = &lines[lines.len().saturating_sub(STDERR_LINES)..];
        anyhow::anyhow!("the server ended ({status}): {}", last.join(" / "))
    }
}

fn structured(result: CallToolResult) -> anyhow::Result<Value> {
    if result.is_error == Some(true) {
        let text = result.content.first().and_then(|block| block.as_text());
        let text = text.map_or("(no text)", |block| &block.text);
        bail!("the tool returned an error: {text}");
    }
    let answer = result.structured_content.filter(Value::is_object);
    answer.context("the tool returned no structuredContent")
}

#[cfg(all(test, unix))]
mod tests {
    use rmcp::model::ContentBlock;
    use serde_json::json;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A shell script as a server.
    async fn start(script: &str) -> anyhow::Result<Client> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Client::start(command, PATIENCE).await
    }

    /// A server that initialises, then runs the script.
    async fn initialised(script: &str) -> Client {
        let result = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "serverInfo": { "name": "scripted", "version": "1" },
        });
        let answer = json!({ "jsonrpc": "2.0", "id": 0, "result": result });
        start(&format!(
            "read request; echo '{answer}'; read notification; {script}"
        ))
        .await
        .unwrap()
    }

    async fn ask(script: &str, patience: Duration) -> anyhow::Error {
        let mut client = initialised(script).await;
        client.patience = patience;
        client.call("ask", JsonObject::new()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_refusal_is_an_error_with_its_reason() {
        let error = ask(
            r#"read x; echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}'; cat"#,
            PATIENCE,
        )
        .await;
        assert!(format!("{error:#}").contains("no such method"), "{error:#}");
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up() {
        let error = ask("read x; exec sleep 600", Duration::from_millis(100)).await;
        assert!(error.to_string().contains("no answer to ask"), "{error:#}");
    }

    #[tokio::test]
    async fn a_server_that_ends_is_reported_with_its_last_words() {
        for error in [
            ask("read x; echo 'the disk is full' >&2; exit 3", PATIENCE).await,
            start("echo 'the disk is full' >&2; exit 3")
                .await
                .err()
                .unwrap(),
        ] {
            let text = error.to_string();
            assert!(
                text.contains("the disk is full") && text.contains('3'),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn a_server_that_outlives_its_stdin_is_an_error() {
        let mut client = initialised("exec sleep 600").await;
        client.patience = Duration::from_millis(100);
        let error = client.close().await.unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_client_leaves_no_child_behind() {
        let client = initialised("exec sleep 600").await;
        let id = client.server.child.id().unwrap().to_string();
        drop(client);
        let is_alive = async || {
            let mut kill = Command::new("kill");
            kill.args(["-0", &id]).stderr(Stdio::null());
            kill.status().await.unwrap().success()
        };
        let gone = async {
            while is_alive().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, gone).await.unwrap();
    }

    #[test]
    fn a_tools_error_is_not_taken_for_an_answer() {
        let refused = CallToolResult::error(vec![ContentBlock::text("no such user")]);
        let error = structured(refused).unwrap_err();
        assert!(error.to_string().contains("no such user"));
        structured(CallToolResult::success(vec![])).unwrap_err();
    }
}
