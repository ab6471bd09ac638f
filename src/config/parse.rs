//! Parsers that several settings share. Each error says what the value may be.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

use super::error::quoted;
use crate::outgoing::is_this_machine;

/// A whole number in a range, of a unit that the error names.
pub(super) fn number<T>(raw: &str, range: RangeInclusive<T>, unit: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    raw.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = range.into_inner();
            format!(
                "{} is not a whole number of {unit} from {least} to {most}",
                quoted(raw)
            )
        })
}

/// Items separated by commas.
pub(super) fn list<T: FromStr<Err = String>>(raw: &str) -> Result<Vec<T>, String> {
    let items = raw.split(',').map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::parse)
        .collect()
}

/// A path, made absolute.
fn path(raw: &str) -> Result<PathBuf, String> {
    if raw.starts_with('~') {
        return Err(
            "begins with `~`, which only a shell replaces; write the whole path".to_owned(),
        );
    }
    std::path::absolute(Path::new(raw))
        .map_err(|error| format!("cannot be made an absolute path: {error}"))
}

/// The path of a file, made absolute. The file need not exist.
pub(super) fn file(raw: &str) -> Result<PathBuf, String> {
    let file = path(raw)?;
    if file.is_dir() {
        return Err("is a directory; it must be a file".to_owned());
    }
    Ok(file)
}

/// The path of a directory, made absolute. The directory need not exist.
pub(super) fn directory(raw: &str) -> Result<PathBuf, String> {
    let directory = path(raw)?;
    if directory.exists() && !directory.is_dir() {
        return Err("is a file; it must be a directory".to_owned());
    }
    Ok(directory)
}

/// An http or https address.
pub(super) fn url(raw: &str) -> Result<Url, String> {
    Url::parse(raw)
        .ok()
        .filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none()
        })
        .ok_or_else(|| "is not an address, like https://memory.example.com/mcp".to_owned())
}

/// An address for which [`is_secure`] holds.
pub(super) fn secure_url(raw: &str) -> Result<Url, String> {
    Url::parse(raw).ok().filter(is_secure).ok_or_else(|| {
        "is not an https address, like https://login.example.com (http is allowed to this machine \
         only)"
            .to_owned()
    })
}

/// Whether answers from this address cannot be replaced on the way: https, or http to this machine.
pub(crate) fn is_secure(url: &Url) -> bool {
    let no_password = url.username().is_empty() && url.password().is_none();
    let protected = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url));
    url.has_host() && no_password && protected
}
