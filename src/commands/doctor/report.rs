//! The report, as text or JSON.

use std::io;
use std::path::PathBuf;

use serde::Serialize;
use zep_mcp_server::config::{Config, Setting};

use super::checks::{Check, State};
use crate::output::{Page, Style};

/// The results of `doctor`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether nothing failed.
    pub ok: bool,
    version: &'static str,
    backend: &'static str,
    dotenv: Option<PathBuf>,
    settings: Vec<Line>,
    warnings: Vec<String>,
    checks: Vec<Check>,
}

/// An effective setting.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    value: String,
    source: &'static str,
}

impl Report {
    /// A report of the configuration and these checks.
    pub(crate) fn new(config: &Config, checks: Vec<Check>) -> Self {
        let settings = Setting::ALL
            .iter()
            .filter_map(|setting| {
                config
                    .in_force
                    .iter()
                    .find(|found| found.setting == *setting)
            })
            .map(|found| Line {
                name: found.setting.name(),
                value: found.value.clone(),
                source: found.origin.as_str(),
            })
            .collect();
        Self {
            ok: checks.iter().all(|check| check.state != State::Failed),
            version: env!("CARGO_PKG_VERSION"),
            backend: config.backend.name(),
            dotenv: config.dotenv.clone(),
            settings,
            warnings: config.warnings.clone(),
            checks,
        }
    }

    /// Prints it as text.
    pub(crate) fn print(&self, page: &Page) -> io::Result<()> {
        page.line(&page.styled(Style::Bold, &format!("zep-mcp-server {}", self.version)))?;
        page.line(&match &self.dotenv {
            Some(path) => format!(".env: {}", path.display()),
            None => ".env: none in the working directory".to_owned(),
        })?;
        page.line(&format!("\n{}", page.styled(Style::Bold, "Settings")))?;
        let width = self
            .settings
            .iter()
            .map(|line| line.value.chars().count())
            .max();
        let width = width.unwrap_or_default();
        for Line {
            name,
            value,
            source,
        } in &self.settings
        {
            let source = page.styled(Style::Dim, source);
            page.line(&format!("  {name:<20}  {value:<width$}  {source}"))?;
        }
        for warning in &self.warnings {
            page.line(&format!(
                "  {} {warning}",
                page.styled(Style::Warning, "note:")
            ))?;
        }
        page.line(&format!("\n{}", page.styled(Style::Bold, "Checks")))?;
        for check in &self.checks {
            let (word, style) = match check.state {
                State::Ok => ("ok", Style::Good),
                State::NotMeasured => ("-", Style::Dim),
                State::Failed => ("FAILED", Style::Bad),
            };
            let word = page.styled(style, &format!("{word:<6}"));
            page.line(&format!("  {word}  {:<14}  {}", check.name, check.detail))?;
            if let Some(advice) = &check.advice {
                page.line(&format!("{:26}→ {advice}", ""))?;
            }
        }
        Ok(())
    }
}
