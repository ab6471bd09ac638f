//! Finds entries.

use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;

use super::entry::{Action, Line, Owner};
use super::error::ReadError;
use super::snapshot::Snapshot;

/// Which entries. Each condition that is there must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose memories.
    pub owner: Option<Owner>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// The caller's name.
    pub who: Option<String>,
    /// The tool, route or command.
    pub call: Option<String>,
    /// What was done.
    pub action: Option<Action>,
    /// `ok`, or the code of an error.
    pub outcome: Option<String>,
    /// The id of a memory or a session, or of the request.
    pub id: Option<String>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// How many entries were found.
    pub entries: u64,
    /// How many entries would have been found, but for an owner or an id that they may have left out,
    /// since they have more than an entry holds.
    pub uncertain: u64,
    /// How many lines could not be read.
    pub unreadable: u64,
}

/// Calls `each` with the entries that pass the filter, and their lines, in order. Its memory does not
/// depend on the trail's size.
///
/// # Errors
/// [`ReadError`], also that of `each`.
pub fn search(
    directory: &Path,
    filter: &Filter,
    mut each: impl FnMut(&Line, &[u8]) -> std::io::Result<()>,
) -> Result<Found, ReadError> {
    let snapshot = Snapshot::take(directory)?;
    let needles = filter.needles();
    let mut found = Found::default();
    let mut failed = None;
    snapshot.read(|place| {
        // Most lines are passed over without being parsed.
        let is_cut = || contains(place.line, b"_more\":");
        if !needles.iter().all(|it| contains(place.line, it)) && !is_cut() {
            return ControlFlow::Continue(());
        }
        let Some(line) = serde_json::from_slice::<Line>(place.line)
            .ok()
            .filter(|_| place.is_whole)
        else {
            if place.is_whole || !place.is_in_last_file {
                found.unreadable += 1;
            }
            return ControlFlow::Continue(());
        };
        match filter.holds(&line) {
            Some(true) => found.entries += 1,
            Some(false) => return ControlFlow::Continue(()),
            None => {
                found.uncertain += 1;
                return ControlFlow::Continue(());
            }
        }
        match each(&line, place.line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    match failed {
        Some(error) => Err(ReadError::Output(error)),
        None => Ok(found),
    }
}

fn contains(line: &[u8], needle: &[u8]) -> bool {
    // Both are UTF-8 in our lines; what is not is told as unreadable.
    match (str::from_utf8(line), str::from_utf8(needle)) {
        (Ok(line), Ok(needle)) => line.contains(needle),
        _ => true,
    }
}

/// A text as it stands in JSON, quotes included.
fn quoted(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_default()
}

impl Filter {
    /// What the bytes of a line must contain.
    fn needles(&self) -> Vec<Vec<u8>> {
        let mut needles = Vec::new();
        if let Some(owner) = &self.owner {
            let (kind, id) = owner.parts();
            needles.push([&quoted(kind), &b":"[..], &quoted(id)].concat());
        }
        for text in [&self.who, &self.call, &self.outcome, &self.id] {
            needles.extend(text.as_deref().map(quoted));
        }
        if let Some(action) = self.action {
            needles.push(quoted(action.as_str()));
        }
        needles
    }

    /// Whether an entry passes; `None` if it may, as it left owners or ids out.
    fn holds(&self, Line { at, entry, .. }: &Line) -> Option<bool> {
        let is =
            |wanted: &Option<String>, there: &str| wanted.as_ref().is_none_or(|it| it == there);
        let passes = self.since.is_none_or(|since| *at >= since)
            && self.until.is_none_or(|until| *at < until)
            && is(&self.who, entry.who.as_deref().unwrap_or_default())
            && is(&self.call, &entry.call)
            && self.action.is_none_or(|action| entry.action == action)
            && is(&self.outcome, &entry.outcome);
        if !passes {
            return Some(false);
        }
        let of_owner = self.owner.as_ref().is_none_or(|wanted| {
            let mut owners = entry.owners.iter();
            owners.any(|there| there.owner == *wanted)
        });
        let with_id = self.id.as_ref().is_none_or(|wanted| {
            entry.request.as_ref() == Some(wanted)
                || entry.ids.contains(wanted)
                || entry.sessions.contains(wanted)
        });
        match (of_owner, with_id) {
            (true, true) => Some(true),
            _ if (!of_owner && entry.owners_more == 0) || (!with_id && entry.ids_more == 0) => {
                Some(false)
            }
            _ => None,
        }
    }
}
