//! Entries of histories: what a memory became, and the turns that it was made from.

use serde_json::{Map, Value};

use super::fields::{Fields, id_text};
use super::gone::gone;
use super::interpret::{Meaning, RUN, change, memory, missing, turn};
use super::turn::make_turn;
use crate::sources::{Conversation, Defect, Gone, Origin, SourceRecord};

/// What an entry of a history is that neither holds a text nor deletes one.
const UNSAID: &str = "an entry of a history without a text";

/// An entry of a history that tells what the memory became.
pub(super) fn logged(
    mut fields: Fields,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<Meaning, Defect> {
    let deletes = gone(&fields.0) == Some(Gone::Deleted);
    fields.take("id");
    fields.take("event");
    fields.take("is_deleted");
    fields.take("old_memory");
    let text = fields.take("new_memory").filter(|text| !text.is_null());
    let Some(text) = text.or_else(|| deletes.then(|| Value::String("deleted".to_owned()))) else {
        return Ok(Meaning::LeftOut(UNSAID));
    };
    fields.0.insert("memory".to_owned(), text);
    let record = memory(fields, origin, warnings)?;
    if record.id.is_none() {
        return Err(missing("memory_id"));
    }
    Ok(change(deletes, record))
}

pub(super) fn history(
    mut fields: Fields,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<Conversation, Defect> {
    let of_turns = Origin {
        part_of: fields.0.get("id").and_then(id_text),
        ..origin.clone()
    };
    let names = fields.names(&RUN)?;
    let created_at = fields.created_at(warnings);
    let turns = match fields.take("input") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(turns)) => turns,
        Some(_) => return Err(Defect::of("input", "is not a list of turns")),
    };
    let turns: Result<Vec<_>, _> = turns
        .into_iter()
        .enumerate()
        .filter(|(_, turn)| !says_nothing(turn))
        .map(|(index, value)| {
            let path = format!("input[{index}]");
            let Value::Object(fields) = value else {
                return Err(Defect::of(path, "is not an object"));
            };
            let turn =
                turn(Fields(made(fields)), of_turns.clone(), warnings).map_err(|defect| {
                    Defect {
                        field: defect.field.map(|field| format!("{path}.{field}")),
                        ..defect
                    }
                })?;
            Ok(SourceRecord {
                id: None,
                names: turn.names.or(&names),
                created_at: turn.created_at.or(created_at),
                ..turn
            })
        })
        .collect();
    Ok(Conversation {
        origin,
        turns: turns?,
    })
}

/// Whether a turn is a role alone: there is nothing in it to lose.
fn says_nothing(turn: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    match turn {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| name == "role" || is_empty(value)),
        _ => false,
    }
}

/// The fields of a turn of a history, as `role` and `content`.
fn made(mut fields: Map<String, Value>) -> Map<String, Value> {
    make_turn(&mut fields, true);
    fields
}
