//! The file `.env` of the working directory, which may be somebody else's.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::Setting;

/// The largest `.env` that is read, in bytes: more than any real one has.
const MAX_BYTES: u64 = 1 << 20;

/// What `.env` says of our settings. None of it enters the environment of the process.
#[derive(Default)]
pub(super) struct DotEnv {
    /// The file, if there is one.
    pub(super) path: Option<PathBuf>,
    /// The values. Of several for one setting the last counts, as in a shell.
    pub(super) values: HashMap<Setting, SecretString>,
    /// Settings on lines that cannot be read.
    pub(super) broken: Vec<Setting>,
    /// How many entries cannot be read, including those of other programs.
    pub(super) skipped: usize,
    /// Why the file as a whole cannot be read.
    pub(super) unreadable: Option<String>,
}

impl DotEnv {
    /// Reads a file. A missing file and a directory (Python environments are often called `.env`)
    /// set nothing.
    pub(super) fn read(path: &Path) -> Self {
        let text = match read_text(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Self::default(),
            Err(reason) => {
                return Self {
                    path: Some(shown(path)),
                    unreadable: Some(reason),
                    ..Self::default()
                };
            }
        };
        Self {
            path: Some(shown(path)),
            ..Self::parse(&text)
        }
    }

    /// Leaves out what it says of a setting.
    pub(super) fn remove(&mut self, setting: Setting) {
        self.values.remove(&setting);
        self.broken.retain(|broken| *broken != setting);
    }

    fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let (text, stand_in) = without_substitution(text);
        let mut read: HashMap<Setting, usize> = HashMap::new();
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            // The error repeats the line, which may hold a secret: only the count is kept.
            let Ok((name, value)) = entry else {
                file.skipped += 1;
                continue;
            };
            if let Some(setting) = Setting::named(&name) {
                let value = value.replace(stand_in, "$");
                file.values.insert(setting, value.into());
                *read.entry(setting).or_default() += 1;
            }
        }
        if file.skipped > 0 {
            let mut named: HashMap<Setting, usize> = HashMap::new();
            for setting in text.lines().filter_map(name_on) {
                *named.entry(setting).or_default() += 1;
            }
            file.broken = named
                .into_iter()
                .filter(|(setting, times)| read.get(setting) < Some(times))
                .map(|(setting, _)| setting)
                .collect();
        }
        file
    }
}

/// The text of a file; `None` if there is no such file.
fn read_text(path: &Path) -> Result<Option<String>, String> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    Ok(Some(text.trim_start_matches('\u{feff}').to_owned()))
}

fn shown(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Replaces every `$` that the parser would expand from the environment by a character that does not
/// occur in the text. Otherwise a foreign `.env` could read any secret of the environment and have
/// it sent to an address of its own.
fn without_substitution(text: &str) -> (String, char) {
    let stand_in = ('\u{e000}'..='\u{f8ff}')
        .find(|c| !text.contains(*c))
        .unwrap_or(char::REPLACEMENT_CHARACTER);
    let mut escaped = false;
    let text = text
        .chars()
        .map(|c| {
            let literal = escaped;
            escaped = c == '\\' && !escaped;
            if c == '$' && !literal { stand_in } else { c }
        })
        .collect();
    (text, stand_in)
}

/// The setting that the beginning of a line names.
fn name_on(line: &str) -> Option<Setting> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    Setting::named(line.split('=').next()?.trim())
}
