//! Looking at a place: what there is of a run, and what of others.

use super::{Stopped, Undo};
use crate::memory::import::{Scan, part_of};
use crate::memory::model::{Place, SessionId, Uuid};
use crate::memory::records::StoredPart;
use crate::memory::undo::{Origin, Touched, origin};
use crate::migration::ledger::WrittenPlace;
use crate::migration::undo::receipt::KeptRecord;

/// What there is at a place.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Parts that the run wrote, and that are to be removed.
    pub(super) parts: u64,
    /// The records that begin with one of them.
    pub(super) records: u64,
    /// Whether there is anything that stays.
    pub(super) others: bool,
    /// Messages that were removed as far as Zep allows.
    pub(super) hidden: u64,
}

/// A part to remove.
#[derive(Debug)]
pub(super) struct ToRemove {
    /// Zep's id.
    pub(super) uuid: Uuid,
    /// The record that it is of.
    pub(super) record: String,
    /// Whether the record begins with it.
    pub(super) is_first: bool,
}

/// What a page of a place has for removal.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) to_remove: Vec<ToRemove>,
    /// Messages that were marked, and whose episodes may be left.
    pub(super) marked: Vec<Uuid>,
}

impl Undo<'_> {
    /// Looks at all parts of a place. `each` gets what is to be removed of each page, before the next one
    /// is read.
    pub(super) async fn look<F>(
        &self,
        at: &WrittenPlace,
        touched: &Touched,
        mut scan: Scan<'_>,
        mut each: impl FnMut(Page) -> F,
    ) -> Result<Looked, Stopped>
    where
        F: Future<Output = Result<(), Stopped>>,
    {
        let mut looked = Looked::default();
        loop {
            self.go_on()?;
            let Some(parts) = scan.next().await? else {
                return Ok(looked);
            };
            let mut page = Page::default();
            for part in &parts {
                self.part(at, touched, part, &mut looked, &mut page).await?;
            }
            looked.parts += page.to_remove.len() as u64;
            looked.records += page.to_remove.iter().filter(|part| part.is_first).count() as u64;
            each(page).await?;
        }
    }

    async fn part(
        &self,
        at: &WrittenPlace,
        touched: &Touched,
        part: &StoredPart,
        looked: &mut Looked,
        page: &mut Page,
    ) -> Result<(), Stopped> {
        let record = match origin(part, &self.run_id, self.begun_at) {
            Origin::Run { record } if !touched.records.contains(&record) => record,
            Origin::Undone => {
                looked.hidden += 1;
                page.marked.extend(part.uuid.clone());
                return Ok(());
            }
            Origin::Hidden => return Ok(()),
            Origin::Other => {
                looked.others = true;
                return Ok(());
            }
            Origin::Run { record } | Origin::Changed { record } => {
                if !self.options.include_changed {
                    self.keep(at, record, "was changed after the run");
                    looked.others = true;
                    return Ok(());
                }
                record
            }
            Origin::Replacement { record } => {
                let place = at.n;
                let id = record.clone();
                let is_ours = self.ledger(move |run| run.wrote(place, &id)).await?;
                if is_ours && !self.options.include_changed {
                    self.keep(
                        at,
                        record.clone(),
                        "was replaced by another text after the run",
                    );
                }
                if !is_ours || !self.options.include_changed {
                    looked.others = true;
                    return Ok(());
                }
                record
            }
        };
        let Some(uuid) = part.uuid.clone() else {
            looked.others = true;
            return Ok(());
        };
        let is_first = part_of(part).is_none_or(|part| part.number.is_first());
        page.to_remove.push(ToRemove {
            uuid,
            record,
            is_first,
        });
        Ok(())
    }

    fn keep(&self, at: &WrittenPlace, record: String, reason: &str) {
        self.receipt().kept(KeptRecord {
            owner: at.place.owner().to_string(),
            session: match &at.place {
                Place::Session(_, session) => Some(SessionId::to_string(session)),
                Place::Graph(_) => None,
            },
            record,
            reason: reason.to_owned(),
        });
    }
}
