//! A change as a person sees it before they say yes.

use std::path::Path;

use diff::Result::{Both, Left, Right};
use serde_json::{Value, json};
use zep_mcp_server::hosts::document::Syntax;
use zep_mcp_server::hosts::mask;
use zep_mcp_server::hosts::plan::Planned;

use super::find::{Source, Target};
use crate::output::{Page, Style, on_one_line};

/// Shows the file, and the entry line by line: what goes, what comes, what stays.
///
/// # Errors
/// If stdout is closed.
pub fn change(
    page: &Page,
    source: &Source,
    target: &Target,
    planned: &Planned,
) -> anyhow::Result<()> {
    page.heading(&format!(
        "{}: {}",
        source.place.owner(),
        path(&source.place.path)
    ))?;
    if target.path.len() > 2 {
        let outer = &target.path[..target.path.len() - 1];
        page.line(&page.styled(
            Style::Dim,
            &format!("  in {}", on_one_line(&outer.join(" › "))),
        ))?;
    }
    let syntax = source.place.syntax;
    let before = written(syntax, target.name(), &mask::masked(&target.entry))?;
    let after = written(syntax, target.name(), &mask::masked(&planned.entry))?;
    lines(page, &before, &after)?;
    if let Some((at, value)) = &planned.beside {
        let added = value.as_array().and_then(|all| all.last());
        let inputs = mask::masked(&json!({ at.join("."): [added] }));
        lines(page, "", &serde_json::to_string_pretty(&inputs)?)?;
    }
    Ok(())
}

/// A comma at the end of a line is there for the line after it, and no difference.
fn lines(page: &Page, before: &str, after: &str) -> std::io::Result<()> {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let (old_bare, new_bare) = (without_commas(&old), without_commas(&new));
    let (mut old, mut new) = (old.iter(), new.iter());
    for line in diff::slice(&old_bare, &new_bare) {
        let shown = match line {
            Left(_) => old
                .next()
                .map(|line| page.styled(Style::Bad, &format!("  - {line}"))),
            Right(_) => new
                .next()
                .map(|line| page.styled(Style::Good, &format!("  + {line}"))),
            Both(..) => {
                old.next();
                new.next().map(|line| format!("    {line}"))
            }
        };
        if let Some(shown) = shown {
            page.line(&shown)?;
        }
    }
    Ok(())
}

fn without_commas<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines
        .iter()
        .map(|line| line.trim_end_matches(','))
        .collect()
}

/// The entry in the manner of its file.
fn written(syntax: Syntax, name: &str, entry: &Value) -> anyhow::Result<String> {
    let Value::Object(members) = entry else {
        return Ok(String::new());
    };
    Ok(match syntax {
        Syntax::Json => serde_json::to_string_pretty(&json!({ name: entry }))?,
        Syntax::Toml => Syntax::toml_entry(name, members),
    })
}

/// A path as people read it.
pub fn path(path: &Path) -> String {
    on_one_line(&path.display())
}
