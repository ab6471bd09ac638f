//! Changes one value in a YAML text and keeps its comments and layout.
//!
//! The parser gives the position of each value. A change replaces lines or a value on its line; all
//! other bytes are copied. No library writes YAML without rewriting some of the rest.

mod edit;
mod node;

use serde_json::{Map, Value};

use super::error::DocumentError;
use edit::{Edits, render};
use node::{Member, Reader};

/// Parses the text.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, DocumentError> {
    match Reader::of(text).document()?.value() {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        _ => Err(not_a_mapping("the file".to_owned())),
    }
}

/// The text with `new` at `path`.
pub(super) fn set(text: &str, path: &[String], new: &Value) -> Result<String, DocumentError> {
    let root = Reader::of(text).document()?;
    let mut edits = Edits::of(text);
    let mut node = &root;
    let mut holder: Option<&Member> = None;
    for (depth, name) in path.iter().enumerate() {
        if node.is_shared {
            return Err(DocumentError::Unsafe);
        }
        match node.member(name) {
            Some(member) => {
                node = &member.value;
                holder = Some(member);
            }
            None => {
                let nested = path[depth + 1..]
                    .iter()
                    .rev()
                    .fold(new.clone(), |inner, name| {
                        Value::Object(Map::from_iter([(name.clone(), inner)]))
                    });
                edits.add(holder, node, name, &nested)?;
                return Ok(edits.applied());
            }
        }
    }
    let member = holder.ok_or(DocumentError::Unsafe)?;
    edits.change(member, new)?;
    Ok(edits.applied())
}

/// One entry as YAML text.
pub(super) fn rendered(name: &str, entry: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    render(0, name, &Value::Object(entry.clone()), &mut lines);
    lines.join("\n")
}

fn not_a_mapping(at: String) -> DocumentError {
    DocumentError::WrongKind {
        at,
        expected: "a mapping",
    }
}
