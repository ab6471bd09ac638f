//! Reads settings one by one and collects everything that is wrong with them.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::setting::Fallback;
use super::sources::{Sources, Stated};
use super::words::words;
use super::{ConfigError, InForce, Origin, Problem, Setting};

words!(
    Truth {
        True = "true",
        False = "false",
    }
);

/// Reads settings, and remembers what it found.
pub(super) struct Reader {
    sources: Sources,
    problems: Vec<Problem>,
    in_force: Vec<InForce>,
    warnings: Vec<String>,
}

/// What a reader found if nothing was wrong.
pub(super) struct Findings {
    /// See [`super::Config::in_force`].
    pub(super) in_force: Vec<InForce>,
    /// See [`super::Config::warnings`].
    pub(super) warnings: Vec<String>,
    /// See [`super::Config::dotenv`].
    pub(super) dotenv: Option<PathBuf>,
}

impl Reader {
    pub(super) fn new(sources: Sources) -> Self {
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

    /// A setting whose default is a value in the table. `None` if it is wrong, which is then
    /// reported; the same holds for the other readings.
    pub(super) fn value<T>(
        &mut self,
        setting: Setting,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let default = || match setting.default() {
            Fallback::Value(default) => parse(default),
            Fallback::Described(_) => unreachable!("{setting} has no default value"),
        };
        self.value_or(setting, &parse, default, show)
    }

    /// A setting that need not be set.
    pub(super) fn optional<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<Option<T>> {
        self.value_or(
            setting,
            |raw| parse(raw).map(Some),
            || Ok(None),
            |value| value.as_ref().map_or_else(|| "not set".to_owned(), show),
        )
    }

    /// A setting that is true or false.
    pub(super) fn truth(&mut self, setting: Setting) -> Option<bool> {
        let parse = |raw: &str| match raw.to_ascii_lowercase().as_str() {
            "1" | "on" | "yes" => Ok(Truth::True),
            "0" | "off" | "no" => Ok(Truth::False),
            word => Truth::parse(word),
        };
        let value = self.value(setting, parse, ToString::to_string)?;
        Some(value == Truth::True)
    }

    /// A setting that other programs read too: what cannot be used does not count, with a warning.
    pub(super) fn if_usable(
        &mut self,
        setting: Setting,
        show: impl Fn(&str) -> String,
    ) -> Option<SecretString> {
        let mut value = None;
        if let Some(Stated {
            value: Err(why), ..
        }) = self.sources.stated(setting)
        {
            self.warnings
                .push(format!("{setting} does not count: it {why}"));
        } else {
            let read = self.optional(
                setting,
                |raw| Ok(SecretString::from(raw)),
                |raw| show(raw.expose_secret()),
            );
            value = read.flatten();
        }
        value
    }

    /// A setting whose default is computed.
    pub(super) fn value_or<T>(
        &mut self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: impl FnOnce() -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        if self.origin(setting) == Some(Origin::DotEnv) && !setting.counts_in_dotenv() {
            self.ignore(
                setting,
                "since such a file may be somebody else's; set it in the environment or on the \
                 command line",
            );
        }
        let (origin, value) = match self.sources.stated(setting) {
            Some(Stated { origin, value }) => {
                (origin, value.and_then(|raw| parse(raw.expose_secret())))
            }
            None => (Origin::Default, default()),
        };
        match value {
            Ok(value) => {
                self.in_force.push(InForce {
                    setting,
                    value: show(&value),
                    origin,
                });
                Some(value)
            }
            Err(message) => {
                self.problem(setting, origin, message);
                None
            }
        }
    }

    /// The source that sets it; `None` if none does.
    pub(super) fn origin(&self, setting: Setting) -> Option<Origin> {
        self.sources.stated(setting).map(|stated| stated.origin)
    }

    /// Leaves out what `.env` says of a setting, with a warning that says why.
    pub(super) fn ignore(&mut self, setting: Setting, why: &str) {
        self.warnings
            .push(format!("{setting} in .env does not count, {why}"));
        self.sources.dotenv.remove(setting);
    }

    /// Reports a needed setting that is not set.
    pub(super) fn missing(&mut self, setting: Setting, why: &str) {
        self.problem(setting, Origin::Default, why.to_owned());
    }

    /// Reports a `.env` that cannot be read: as an error if it could have decided where memories go,
    /// else as a warning.
    pub(super) fn report_unreadable_dotenv(&mut self, backend_is_decided: bool) {
        let dotenv = &self.sources.dotenv;
        let (Some(path), Some(reason)) = (&dotenv.path, &dotenv.unreadable) else {
            return;
        };
        let unreadable = format!("{} cannot be read: {reason}", path.display());
        if backend_is_decided {
            self.warnings.push(unreadable);
        } else {
            self.missing(
                Setting::Backend,
                &format!(
                    "could be in .env, but {unreadable}; make it readable or remove it, or set \
                     MEMORY_BACKEND in the environment"
                ),
            );
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ConfigError`] if anything was wrong.
    pub(super) fn finish(self) -> Result<Findings, ConfigError> {
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

    fn problem(&mut self, setting: Setting, origin: Origin, message: String) {
        self.problems.push(Problem {
            setting,
            origin,
            message,
        });
    }
}
