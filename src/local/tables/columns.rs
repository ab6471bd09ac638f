//! The values of columns.

use rusqlite::types::Type;
use serde_json::{Map, Value};
use uuid::Uuid as Raw;

use crate::zep::{DataType, Role};

/// A column that holds an id.
pub(crate) fn uuid(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Raw> {
    row.get::<_, [u8; 16]>(column).map(Raw::from_bytes)
}

/// A column that holds a JSON object or nothing.
pub(crate) fn json_object(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<Map<String, Value>>> {
    row.get_ref(column)?
        .as_str_or_null()?
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
        })
}

/// The value of a JSON column; `None` for an empty object.
pub(crate) fn object_text(object: &Map<String, Value>) -> Option<String> {
    (!object.is_empty()).then(|| Value::Object(object.clone()).to_string())
}

/// An owner's display name, from the five columns kind, name, first name, last name and title: the
/// id where no other name is set.
pub(super) fn display_name(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<String> {
    let id: String = row.get(from + 1)?;
    let words: [Option<String>; 3] = [row.get(from + 2)?, row.get(from + 3)?, row.get(from + 4)?];
    let name = words
        .iter()
        .flatten()
        .map(|word| word.trim())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Ok(if name.is_empty() { id } else { name })
}

/// Whether two names are equal, ignoring case.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

const ROLES: [Role; 6] = [
    Role::NoRole,
    Role::User,
    Role::Assistant,
    Role::System,
    Role::Function,
    Role::Tool,
];

/// A role's number in the file.
pub(super) fn role_number(role: Role) -> i64 {
    ROLES
        .iter()
        .position(|known| *known == role)
        .map_or(0, |place| place as i64)
}

pub(super) fn role_of(number: i64) -> Role {
    usize::try_from(number)
        .ok()
        .and_then(|place| ROLES.get(place).copied())
        .unwrap_or(Role::NoRole)
}

/// A data type's number in the file.
pub(super) fn source_number(source: DataType) -> i64 {
    match source {
        DataType::Text => 0,
        DataType::Message => 1,
        DataType::Json => 2,
    }
}

pub(super) fn source_of(number: i64) -> DataType {
    match number {
        1 => DataType::Message,
        2 => DataType::Json,
        _ => DataType::Text,
    }
}
