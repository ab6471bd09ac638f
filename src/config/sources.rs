//! Where values come from: flags, the environment, `.env`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::dotenv::DotEnv;
use super::{Flags, HttpFlags, Setting};

/// Where a value comes from: the first of these that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment of the process.
    Environment,
    /// The file `.env` in the working directory.
    DotEnv,
    /// None of them sets it.
    Default,
}

impl Origin {
    /// The origin in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::DotEnv => ".env",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What each source says.
pub(super) struct Sources {
    flags: Flags,
    http: HttpFlags,
    environment: HashMap<Setting, Result<SecretString, NotText>>,
    /// The `.env` of the working directory.
    pub(super) dotenv: DotEnv,
}

/// A value that is not Unicode text.
struct NotText;

/// What the first source that sets a setting says.
pub(super) struct Stated {
    pub(super) origin: Origin,
    /// The value, trimmed and not empty; or what is wrong with it, whatever the setting.
    pub(super) value: Result<SecretString, String>,
}

impl Sources {
    /// Reads the environment and the `.env` of the working directory.
    pub(super) fn read(flags: Flags) -> Self {
        let environment = Setting::ALL
            .into_iter()
            .filter_map(|setting| Some((setting, std::env::var_os(setting.name())?)));
        Self::new(flags, environment, DotEnv::read(Path::new(".env")))
    }

    /// Sources with these contents.
    pub(super) fn new(
        flags: Flags,
        environment: impl Iterator<Item = (Setting, OsString)>,
        dotenv: DotEnv,
    ) -> Self {
        let environment = environment
            .map(|(setting, value)| {
                let value = value.into_string().map(SecretString::from);
                (setting, value.map_err(|_| NotText))
            })
            .collect();
        Self {
            flags,
            http: HttpFlags::default(),
            environment,
            dotenv,
        }
    }

    /// The same with the flags of `serve --http`.
    pub(super) fn with_http(mut self, http: HttpFlags) -> Self {
        self.http = http;
        self
    }

    /// The same with a key of Zep that was typed.
    pub(super) fn with_key(mut self, key: SecretString) -> Self {
        self.environment.insert(Setting::ApiKey, Ok(key));
        self
    }

    /// What the sources say of a setting; an empty value counts as not set.
    pub(super) fn stated(&self, setting: Setting) -> Option<Stated> {
        self.flag(setting)
            .or_else(|| self.variable(setting))
            .or_else(|| self.line(setting))
    }

    fn flag(&self, setting: Setting) -> Option<Stated> {
        let flag = self.flags.get(setting).or_else(|| self.http.get(setting));
        stated(Origin::Flag, flag?)
    }

    fn variable(&self, setting: Setting) -> Option<Stated> {
        match self.environment.get(&setting)? {
            Ok(value) => stated(Origin::Environment, value.expose_secret()),
            Err(NotText) => Some(Stated {
                origin: Origin::Environment,
                value: Err("is not UTF-8 text; write it in UTF-8".to_owned()),
            }),
        }
    }

    fn line(&self, setting: Setting) -> Option<Stated> {
        if self.dotenv.broken.contains(&setting) {
            return Some(Stated {
                origin: Origin::DotEnv,
                value: Err(
                    "is on a line that cannot be read; write NAME='value' on a line of its own"
                        .to_owned(),
                ),
            });
        }
        stated(
            Origin::DotEnv,
            self.dotenv.values.get(&setting)?.expose_secret(),
        )
    }
}

fn stated(origin: Origin, raw: &str) -> Option<Stated> {
    let value = raw.trim();
    if value.is_empty() {
        return None;
    }
    let value = if value.starts_with("${") && value.ends_with('}') {
        Err(match origin {
            Origin::DotEnv => {
                "is a placeholder, but `$` is not replaced in .env; write the value itself"
            }
            _ => "is a placeholder that was not replaced; write the value itself",
        }
        .to_owned())
    } else {
        Ok(value.into())
    };
    Some(Stated { origin, value })
}
