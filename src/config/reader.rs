//! Reads settings one by one and collects all that is wrong with them.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::sources::{Sources, Stated};
use super::{ConfigError, InForce, Origin, Problem, Setting, ZEP_CLOUD};
use crate::zep::{check_key, check_url};

/// Reads settings, and remembers what it found.
pub(super) struct Reader {
    sources: Sources,
    problems: Vec<Problem>,
    in_force: Vec<InForce>,
    warnings: Vec<String>,
}

/// What a reader found where nothing was wrong.
pub(super) struct Findings {
    /// See [`super::Config::in_force`].
    pub in_force: Vec<InForce>,
    /// See [`super::Config::warnings`].
    pub warnings: Vec<String>,
    /// See [`super::Config::dotenv`].
    pub dotenv: Option<PathBuf>,
}

/// What is known of the key.
pub(super) enum Key {
    /// Nobody set one.
    NotSet,
    /// One that can be used.
    Usable(SecretString, Origin),
    /// One that cannot; the problem is reported.
    Wrong(Origin),
}

impl Key {
    /// Whether somebody set one, right or wrong.
    pub fn is_set(&self) -> bool {
        !matches!(self, Self::NotSet)
    }

    /// Where it stands.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            Self::NotSet => None,
            Self::Usable(_, origin) | Self::Wrong(origin) => Some(*origin),
        }
    }
}

impl Reader {
    /// A reader of these sources.
    pub fn new(sources: Sources) -> Self {
        let mut warnings = Vec::new();
        if let (Some(path), 1..) = (&sources.dotenv.path, sources.dotenv.skipped) {
            warnings.push(format!(
                "{} has lines that cannot be read ({}); they do not count",
                path.display(),
                sources.dotenv.skipped
            ));
        }
        Self {
            sources,
            problems: Vec::new(),
            in_force: Vec::new(),
            warnings,
        }
    }

    /// One setting: what `parse` makes of its value, or the default. `None` if either failed, which
    /// is then reported.
    pub fn value<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: impl FnOnce() -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let (origin, value) = match self.sources.stated(setting) {
            Some(Stated { origin, value }) => {
                (origin, value.and_then(|raw| parse(raw.expose_secret())))
            }
            None => (Origin::Default, default()),
        };
        match value {
            Ok(value) => {
                self.note(setting, show(&value), origin);
                Some(value)
            }
            Err(message) => {
                self.problem(setting, origin, message);
                None
            }
        }
    }

    /// The key, of which nothing but its being set is ever shown.
    pub fn key(&mut self) -> Key {
        let Some(Stated { origin, value }) = self.sources.stated(Setting::ApiKey) else {
            self.note(Setting::ApiKey, "not set".to_owned(), Origin::Default);
            return Key::NotSet;
        };
        match value.and_then(|key| check_key(&key).map(|()| key)) {
            Ok(key) => {
                self.note(Setting::ApiKey, "set".to_owned(), origin);
                Key::Usable(key, origin)
            }
            Err(message) => {
                self.problem(Setting::ApiKey, origin, message);
                Key::Wrong(origin)
            }
        }
    }

    /// The key where the backend cannot do without.
    pub fn required_key(&mut self, key: Key) -> Option<SecretString> {
        match key {
            Key::Usable(key, _) => Some(key),
            Key::Wrong(_) => None,
            Key::NotSet => {
                self.problem(
                    Setting::ApiKey,
                    Origin::Default,
                    "is needed, since MEMORY_BACKEND is `zep`; set it in the environment or in \
                     .env (keys: https://app.getzep.com), or set MEMORY_BACKEND to `local`"
                        .to_owned(),
                );
                None
            }
        }
    }

    /// Says that a setting is needed that nobody set.
    pub fn missing(&mut self, setting: Setting, why: &str) {
        self.problem(setting, Origin::Default, why.to_owned());
    }

    /// Zep's address. One from `.env` counts only if the key stands there too: whoever wrote the
    /// file could otherwise have somebody else's key sent to a host of theirs.
    pub fn url(&mut self, key: Option<Origin>) -> Option<String> {
        let stated = self.sources.stated(Setting::ApiUrl);
        let foreign = stated.is_some_and(|stated| stated.origin == Origin::DotEnv)
            && key != Some(Origin::DotEnv);
        if foreign {
            self.warnings.push(format!(
                "{} in .env does not count, since {} does not come from that file; set it in the \
                 environment or with --api-url",
                Setting::ApiUrl,
                Setting::ApiKey
            ));
            self.note(Setting::ApiUrl, ZEP_CLOUD.to_owned(), Origin::Default);
            return Some(ZEP_CLOUD.to_owned());
        }
        self.value(
            Setting::ApiUrl,
            check_url,
            || Ok(ZEP_CLOUD.to_owned()),
            Clone::clone,
        )
    }

    /// Whether a setting stands in `.env`, where it does not count: whoever wrote the file could
    /// otherwise open this machine's files to agents. Warns if so.
    pub fn not_from_dotenv(&mut self, setting: Setting) -> bool {
        let stated = self.sources.stated(setting);
        let foreign = stated.is_some_and(|stated| stated.origin == Origin::DotEnv);
        if foreign {
            self.warnings.push(format!(
                "{setting} in .env does not count, since such a file may be somebody else's; set \
                 it in the environment or on the command line"
            ));
            self.note(setting, "not set".to_owned(), Origin::Default);
        }
        foreign
    }

    /// Says what becomes of a `.env` that cannot be read: an error if it could have said where
    /// memories go, else a warning.
    pub fn backend_decided(&mut self, decided: bool) {
        let dotenv = &self.sources.dotenv;
        let (Some(path), Some(reason)) = (&dotenv.path, &dotenv.unreadable) else {
            return;
        };
        let unreadable = format!("{} cannot be read: {reason}", path.display());
        if decided {
            self.warnings.push(unreadable);
        } else {
            self.problem(
                Setting::Backend,
                Origin::Default,
                format!(
                    "could be in .env, but {unreadable}; make it readable or remove it, or set \
                     MEMORY_BACKEND in the environment"
                ),
            );
        }
    }

    /// What was found.
    ///
    /// # Errors
    /// [`ConfigError`] if anything was wrong.
    pub fn finish(self) -> Result<Findings, ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError {
                problems: self.problems,
            });
        }
        Ok(Findings {
            in_force: self.in_force,
            warnings: self.warnings,
            dotenv: self.sources.dotenv.path,
        })
    }

    fn note(&mut self, setting: Setting, value: String, origin: Origin) {
        self.in_force.push(InForce {
            setting,
            value,
            origin,
        });
    }

    fn problem(&mut self, setting: Setting, origin: Origin, message: String) {
        self.problems.push(Problem {
            setting,
            origin,
            message,
        });
    }
}
