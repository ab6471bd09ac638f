//! The chapters on settings at the end of `--help`.

use zep_mcp_server::config::{Setting, without_flags};

/// The end of the long help. The flags above it name their variables.
pub(super) fn environment() -> String {
    let network = Setting::HTTP.map(Setting::name);
    let network: Vec<_> = network.chunks(4).map(|line| line.join(", ")).collect();
    format!(
        "\
Environment:
  Each setting is looked up on the command line, then in the environment, then in a file called
  .env in the working directory. The first value that is not empty counts; `doctor` shows which.
  The flags above name their variables in brackets. These have no flag:

{general}
  `serve --http` has further settings, none of them from .env; `serve --help` describes them:
  {network}

  HTTPS_PROXY and NO_PROXY are honoured for calls to Zep, NO_COLOR for what you read.
  In .env, a value is taken literally: `$` is not replaced.

Exit codes:
  0  all is well        1  something failed        2  the command line or a setting is wrong

In an agent host (`zep-mcp-server install` writes it for you):
  {{\"mcpServers\": {{\"mem0\": {{\"command\": \"zep-mcp-server\", \"env\": {{\"ZEP_API_KEY\": \"…\"}}}}}}}}
  Keep the entry's old name, and your agents find their tools under the names they know.",
        network = network.join(",\n  "),
        general = without_flags(&Setting::GENERAL),
    )
}

/// The end of the long help of `serve`.
pub(super) fn network_environment() -> String {
    format!(
        "On a network, without a flag:\n{}",
        without_flags(&Setting::HTTP)
    )
}
