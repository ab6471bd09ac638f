//! Entries as CSV (RFC 4180), for spreadsheets.

use super::entry::{Line, Proof};

/// The names of the columns.
pub const HEADER: &str =
    "seq,at,who,role,auth,door,call,action,owners,sessions,ids,outcome,micros,request,count";

/// An entry as a line of CSV, without a line break. Lists are separated by spaces.
pub fn csv_line(line: &Line) -> String {
    let Line { seq, at, entry } = line;
    let owners: Vec<_> = entry
        .owners
        .iter()
        .map(|touched| {
            let (kind, id) = touched.owner.parts();
            format!("{kind}:{id}={}", touched.right.as_str())
        })
        .collect();
    let fields = [
        seq.to_string(),
        format!("{at:.6}"),
        entry.who.as_deref().unwrap_or_default().to_owned(),
        entry.role.as_deref().unwrap_or_default().to_owned(),
        entry.auth.map_or("", Proof::as_str).to_owned(),
        entry.door.as_str().to_owned(),
        entry.call.to_string(),
        entry.action.as_str().to_owned(),
        owners.join(" "),
        entry.sessions.join(" "),
        entry.ids.join(" "),
        entry.outcome.to_string(),
        entry.micros.to_string(),
        entry.request.clone().unwrap_or_default(),
        entry.count.max(1).to_string(),
    ];
    let fields: Vec<_> = fields.iter().map(|field| escaped(field)).collect();
    fields.join(",")
}

/// A field in quotes, if it needs them. A spreadsheet would carry out what begins like a formula, and ids
/// are chosen by agents: such a field gets an apostrophe in front.
fn escaped(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || field.contains([',', '"', '\n', '\r']) {
        return format!("\"{guard}{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}
