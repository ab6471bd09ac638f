//! `key`: makes keys, and encrypts with them what is on the disk.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use secrecy::ExposeSecret;
use zep_mcp_server::config::{Config, Flags};
use zep_mcp_server::queue::WriteQueue;
use zep_mcp_server::seal::{self, SealKey};

use crate::cli::{KeyArgs, KeyCommand};
use crate::output::{Misuse, Page, shown_path};

/// Runs the subcommand.
///
/// # Errors
/// If the settings are wrong, or a file cannot be read or written; nothing is changed then.
pub(crate) fn run(settings: Flags, args: KeyArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        KeyCommand::New { file } => {
            let key = SealKey::generate()?;
            let page = Page::stdout();
            match file {
                Some(file) => {
                    let named = shown_path(&file);
                    seal::write_key(&file, &key)
                        .with_context(|| format!("{named} cannot be made"))?;
                    page.line(&format!(
                        "The key is in {named}. Keep a copy elsewhere: without it, what is encrypted \
                         is lost."
                    ))?;
                }
                None => page.line(key.expose_secret())?,
            }
            Ok(ExitCode::SUCCESS)
        }
        KeyCommand::Convert => {
            let config = Config::load(settings)?;
            let Some(key) = config.encryption_key.clone() else {
                return Err(no_key().into());
            };
            anew(&config, None, key)
        }
        KeyCommand::Rotate { to } => {
            let config = Config::load(settings)?;
            let Some(from) = config.encryption_key.clone() else {
                return Err(no_key().into());
            };
            let to = SealKey::of_file(&to).map_err(|why| Misuse(format!("--to {why}")))?;
            anew(&config, Some(from), Arc::new(to))
        }
    }
}

fn no_key() -> Misuse {
    Misuse("set ZEP_MCP_ENCRYPTION_KEY_FILE to the file of the present key".into())
}

fn anew(config: &Config, from: Option<Arc<SealKey>>, to: Arc<SealKey>) -> anyhow::Result<ExitCode> {
    let Some(directory) = config.data_dir.as_deref() else {
        return Err(Misuse("there is no data directory: set ZEP_MCP_DATA_DIR".into()).into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let queue = WriteQueue::new(directory, String::new(), std::time::Duration::ZERO);
    let done = runtime.block_on(queue.seal_anew(from, to))?;
    let page = Page::stdout();
    match done {
        None => page.line("There is no queue yet: nothing was to be encrypted.")?,
        Some(done) => page.line(&format!(
            "{} entries are encrypted. The file as it was is kept in {}.",
            done.entries,
            shown_path(&done.backup)
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
