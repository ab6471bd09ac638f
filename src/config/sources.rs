//! Where values come from: flags, the environment, `.env`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::dotenv::DotEnv;
use super::{Flags, HttpFlags, Origin, Setting};

/// What each source says.
pub(super) struct Sources {
    flags: Flags,
    http: HttpFlags,
    environment: HashMap<Setting, Result<SecretString, NotText>>,
    /// The `.env` of the working directory.
    pub dotenv: DotEnv,
}

/// A value that is no Unicode text.
struct NotText;

/// What the sources say of a setting: the first that says anything.
pub(super) struct Stated {
    /// Where it stands.
    pub origin: Origin,
    /// The value, trimmed and not empty; or what is wrong with it, whatever the setting.
    pub value: Result<SecretString, String>,
}

impl Sources {
    /// Reads the environment and the `.env` of the working directory.
    pub fn read(flags: Flags) -> Self {
        let environment = Setting::ALL
            .into_iter()
            .filter_map(|setting| Some((setting, std::env::var_os(setting.name())?)));
        Self::new(flags, environment, DotEnv::read(Path::new(".env")))
    }

    /// Sources with these contents.
    pub fn new(
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

    /// The same with these flags of `serve --http`.
    pub fn with_http(mut self, http: HttpFlags) -> Self {
        self.http = http;
        self
    }

    /// What is said of a setting; empty values say nothing.
    pub fn stated(&self, setting: Setting) -> Option<Stated> {
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
                    "stands on a line that cannot be read; write NAME='value' on a line of its own"
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
            _ => "is a placeholder that nobody replaced; write the value itself",
        }
        .to_owned())
    } else {
        Ok(value.into())
    };
    Some(Stated { origin, value })
}
