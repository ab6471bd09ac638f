//! Records that have changed in the source since they were migrated: reported, or replaced on request.
//!
//! A replaced record keeps its id, so the old one is deleted before the new one is written. That it is
//! being replaced is noted before: a run that is killed in between is completed by the next one, asked for
//! or not.

use super::error::Unfinished;
use super::{Run, Target};
use crate::memory::import::ImportTurn;
use crate::memory::model::{Place, SessionId};
use crate::migration::book;
use crate::migration::ledger::{Mark, PlaceNo, RecordState};
use crate::migration::plan::{Plan, PlannedPlace, PlannedRecord, SpoolError};
use crate::migration::report::Trouble;
use crate::migration::retry::with_retries;

impl Run<'_> {
    /// Replaces the changed records of a place, or reports them.
    pub(super) async fn replace_changed(
        &self,
        place: &PlannedPlace,
        at: PlaceNo,
        turn: Option<&ImportTurn>,
    ) -> Result<(), Unfinished> {
        let mut after = 0;
        loop {
            let page = self.changed(place, after).await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = last.n;
            for (record, begun) in page {
                match (&place.place, turn) {
                    _ if !self.request.update && !begun => self.tell(place, &record, UPDATE),
                    (Place::Session(..), _) => self.tell(place, &record, TURN),
                    (Place::Graph(_), None) => {}
                    (Place::Graph(_), Some(turn)) => {
                        self.replace(place, at, turn, record, begun).await?;
                    }
                }
            }
        }
    }

    /// Reports the changed records of a place.
    pub(super) async fn tell_changed(&self, place: &PlannedPlace) -> Result<(), SpoolError> {
        let mut after = 0;
        loop {
            let page = self.changed(place, after).await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = last.n;
            for (record, _) in &page {
                self.tell(place, record, UPDATE);
            }
        }
    }

    async fn changed(
        &self,
        place: &PlannedPlace,
        after: i64,
    ) -> Result<Vec<(PlannedRecord, bool)>, SpoolError> {
        let changed = move |plan: &Plan, place: &_| plan.changed_after(place, after);
        self.context.plan.step_at(place, changed).await
    }

    async fn replace(
        &self,
        place: &PlannedPlace,
        at: PlaceNo,
        turn: &ImportTurn,
        record: PlannedRecord,
        begun: bool,
    ) -> Result<(), Unfinished> {
        let owner = place.place.owner();
        let id = record.record.id.clone();
        let replacing = book::records(at, vec![id.to_string()], RecordState::Replacing);
        self.book.note(vec![replacing]).await?;
        let deleted = with_retries(&self.stop, || {
            self.context
                .service
                .delete_imported(self.context.caller, &owner, &id)
        })
        .await?;
        if deleted == 0 && !begun {
            let stored = book::records(at, vec![id.to_string()], RecordState::Confirmed);
            self.book.note(vec![stored]).await?;
            self.tell(place, &record, GONE);
            return Ok(());
        }
        let to = Target {
            place,
            at: Some(at),
            turn: Some(turn),
            seen: true,
        };
        let n = record.n;
        self.import(&to, std::slice::from_ref(&record)).await?;
        let bytes = self
            .context
            .plan
            .step(move |plan| plan.digest_of(n))
            .await?;
        let id = id.to_string();
        self.book
            .with(move |run| {
                let digest = run.digest(&bytes);
                run.note([Mark::Updated {
                    place: at,
                    id,
                    digest,
                }])
            })
            .await?;
        let mut report = self.report();
        report.updated += 1;
        Ok(())
    }

    fn tell(&self, place: &PlannedPlace, record: &PlannedRecord, what: &str) {
        self.report().trouble(Trouble {
            position: Some(record.position.to_string()),
            record: Some(record.record.id.to_string()),
            owner: Some(place.place.owner().to_string()),
            session: place.place.session().map(SessionId::to_string),
            ..Trouble::of_run(what.to_owned())
        });
    }
}

const UPDATE: &str = "has changed in the source since it was migrated, and stays as it was; --update \
    (`update`) replaces it";
const TURN: &str = "has changed in the source since it was migrated, and stays as it was: Zep cannot \
    change what was said in a session; delete the session there and run again with --rebuild-ledger";
const GONE: &str = "has changed in the source since it was migrated, and was changed or deleted in Zep, \
    too: it stays as it is there";
