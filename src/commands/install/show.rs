//! Shows a change before the user confirms it.

use diff::Result::{Both, Left, Right};
use serde_json::{Value, json};
use zep_mcp_server::agent_hosts::document::Syntax;
use zep_mcp_server::agent_hosts::mask;
use zep_mcp_server::agent_hosts::plan::Planned;

use super::find::{ConfigFile, Target};
use crate::output::{Page, Style, on_one_line};

/// Shows the file, and the entry as a line diff.
///
/// # Errors
/// If stdout is closed.
pub(super) fn change(
    page: &Page,
    file: &ConfigFile,
    target: &Target,
    planned: &Planned,
) -> anyhow::Result<()> {
    let title = file.location.title();
    page.heading(&format!("{title}: {}", file.shown_path()))?;
    if target.path.len() > 2 {
        let outer = &target.path[..target.path.len() - 1];
        page.line(&page.styled(
            Style::Dim,
            &format!("  in {}", on_one_line(&outer.join(" › "))),
        ))?;
    }
    let syntax = file.location.syntax;
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

/// A line diff that ignores trailing commas, which depend on the next line.
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

/// The entry in the language of its file.
fn written(syntax: Syntax, name: &str, entry: &Value) -> anyhow::Result<String> {
    let Value::Object(members) = entry else {
        return Ok(String::new());
    };
    Ok(syntax.rendered(name, members))
}
