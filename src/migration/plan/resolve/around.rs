//! What the containers around an item say of it.

use rusqlite::OptionalExtension;

use super::Resolver;
use crate::migration::plan::spool::kept;
use crate::sources::{ContainerId, Gone, Names};

/// What the containers around an item say of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// All of them, the innermost first.
    pub(super) containers: Vec<ContainerId>,
    /// Why nothing in one of them must be shown any more.
    pub(super) gone: Option<Gone>,
    pub(super) names: Names,
    /// Microseconds since 1970.
    pub(super) exported_at: Option<i64>,
    /// The field of the innermost that leaves open what it names.
    pub(super) unsure: Option<String>,
    /// The user of the records that name nobody.
    pub(super) user_of_rest: Option<String>,
}

impl Resolver<'_> {
    /// What a container and those around it say of an item.
    pub(super) fn surroundings(
        &mut self,
        container: Option<ContainerId>,
    ) -> rusqlite::Result<Surroundings> {
        let Some(innermost) = container else {
            return Ok(Surroundings::default());
        };
        if let Some((known, surroundings)) = &self.surroundings
            && *known == innermost
        {
            return Ok(surroundings.clone());
        }
        let mut around = Surroundings::default();
        let mut next = container;
        while let Some(container) = next {
            around.containers.push(container);
            let found: Option<(Option<ContainerId>, Surroundings)> = self
                .db
                .prepare_cached(
                    "SELECT parent, names, exported_at, unsure, user_of_rest, gone FROM container
                     WHERE id = ?1",
                )?
                .query_row([container], |row| {
                    let surroundings = Surroundings {
                        names: kept(row, 1)?,
                        exported_at: row.get(2)?,
                        unsure: row.get(3)?,
                        user_of_rest: row.get(4)?,
                        gone: row.get::<_, Option<i64>>(5)?.map(|gone| match gone {
                            gone if gone == Gone::Deleted as i64 => Gone::Deleted,
                            _ => Gone::Retired,
                        }),
                        containers: Vec::new(),
                    };
                    Ok((row.get(0)?, surroundings))
                })
                .optional()?;
            // A container that was cut off is not there.
            let Some((parent, outer)) = found else {
                break;
            };
            around.names = around.names.or(&outer.names);
            around.exported_at = around.exported_at.or(outer.exported_at);
            around.unsure = around.unsure.or(outer.unsure);
            around.user_of_rest = around.user_of_rest.or(outer.user_of_rest);
            around.gone = around.gone.max(outer.gone);
            next = parent;
        }
        self.surroundings = Some((innermost, around.clone()));
        Ok(around)
    }
}
