//! The settings of logging, and colours on a terminal.

use std::io::IsTerminal;

use super::reader::Reader;
use super::sources::Sources;
use super::words::words;
use super::{ConfigError, Flags, Setting};

words!(
    /// How important a message must be to be logged.
    pub LogLevel {
        /// Only failures.
        Error = "error",
        /// Also what is doubtful.
        Warn = "warn",
        /// Also what happens once a run, such as the choice of the backend.
        Info = "info",
        /// Also every call, without its content.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
);
words!(
    /// How log messages are written.
    pub LogFormat {
        /// One readable line each.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
);

/// What is logged to stderr, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// The least important messages that are still logged.
    pub level: LogLevel,
    /// How they are written.
    pub format: LogFormat,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

impl Logging {
    /// The settings of logging alone, for commands that need no backend.
    ///
    /// # Errors
    /// [`ConfigError`] with every value of these settings that is wrong.
    pub fn load(flags: Flags) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(Sources::read(flags));
        let logging = read(&mut reader);
        reader.finish()?;
        Ok(logging.unwrap_or_default())
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<Logging> {
    let level = reader.value(Setting::LogLevel, LogLevel::parse, ToString::to_string);
    let format = reader.value(Setting::LogFormat, LogFormat::parse, ToString::to_string);
    Some(Logging {
        level: level?,
        format: format?,
    })
}

/// Whether to write colours to this stream: only to a terminal that shows them, and not if
/// `NO_COLOR` is set (<https://no-color.org>).
pub fn colours(stream: &impl IsTerminal) -> bool {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    stream.is_terminal() && !objects && !dumb
}
