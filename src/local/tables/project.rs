//! The project, which is the file itself.

use super::columns::uuid;
use crate::local::sqlite::{Step, Work};
use crate::local::{timestamps, uuids};
use crate::zep::Project;

pub(crate) fn get(w: &Work<'_>) -> Step<Project> {
    Ok(w.tx
        .query_row("SELECT uuid, created_at FROM store", [], |row| {
            Ok(Project {
                uuid: Some(uuids::to_zep(uuid(row, 0)?)),
                name: Some("local".into()),
                created_at: timestamps::from_micros(row.get(1)?),
            })
        })?)
}
