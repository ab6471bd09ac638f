//! Comparing what is stored at one place. Blocks.

use std::collections::HashMap;
use std::sync::Arc;

use super::compare::compare;
use super::findings::{Findings, of_place};
use super::result::{CheckName, Difference};
use super::verdict::Tally;
use crate::memory::import::{PartOf, part_of};
use crate::memory::model::Place;
use crate::memory::records::{Assembled, StoredPart, assemble};
use crate::migration::plan::{Order, PlannedPlace, Result, State};
use crate::zep::PartNo;

/// How many missing records are read from the plan at a time.
const PAGE: usize = 256;

/// The comparison of a place while it is read, page by page.
pub(super) struct PlaceComparison {
    findings: Arc<Findings>,
    place: PlannedPlace,
    /// Records with parts that were not read yet.
    pending: HashMap<String, Vec<(PartNo, StoredPart)>>,
    /// The last record in the source's order that was read; `None` where order does not matter.
    last: Option<Order>,
    tally: Tally,
    /// Whether what is not planned is left alone, since only a part is compared.
    is_sample: bool,
    is_read_again: bool,
}

impl PlaceComparison {
    pub(super) fn new(findings: Arc<Findings>, place: PlannedPlace) -> Self {
        let is_sample = findings.found().is_sample();
        Self {
            findings,
            pending: HashMap::new(),
            last: matches!(place.place, Place::Session(..)).then_some(Order::START),
            tally: Tally {
                expected: place.planned,
                ..Tally::default()
            },
            is_sample,
            is_read_again: false,
            place,
        }
    }

    /// The same for records that are looked up one by one, which says nothing of their order.
    pub(super) fn without_order(mut self) -> Self {
        self.last = None;
        self
    }

    /// From now on the same records may be read a second time.
    pub(super) fn again(mut self) -> Self {
        self.is_read_again = true;
        self
    }

    /// Compares the next page.
    pub(super) fn page(&mut self, parts: Vec<StoredPart>) -> Result<()> {
        parts.into_iter().try_for_each(|part| self.part(part))
    }

    /// Compares what is left: records that lack a part, and records that are missing.
    pub(super) fn finish(mut self) -> Result<()> {
        // Their place in the order was passed.
        self.last = None;
        let mut incomplete = Vec::new();
        for (_, parts) in std::mem::take(&mut self.pending) {
            let record = self.record(parts.into_iter().map(|(_, part)| part).collect())?;
            incomplete.extend(record);
        }
        self.missing()?;
        // A repair sends what they lack.
        let plan = &self.findings.plan;
        plan.set_states(&incomplete, State::Planned)?;
        let mut found = self.findings.found();
        found.end_place(&self.place, self.tally, true);
        Ok(())
    }

    fn part(&mut self, part: StoredPart) -> Result<()> {
        let Some(PartOf {
            record: id,
            number,
            instead_of,
            ..
        }) = part_of(&part)
        else {
            return self.record(vec![part]).map(drop);
        };
        match self.findings.plan.state_of(&self.place, &id)? {
            // The record was complete before.
            Some((_, State::There)) if self.is_read_again => return Ok(()),
            Some((_, State::There)) => {
                self.doubled(&id);
                return Ok(());
            }
            None if self.is_sample && instead_of.is_none() => return Ok(()),
            _ if number.total == 1 => return self.record(vec![part]).map(drop),
            _ => {}
        }
        let parts = self.pending.entry(id.clone()).or_default();
        if parts.iter().any(|(noted, _)| *noted == number) {
            self.doubled(&id);
            return Ok(());
        }
        parts.push((number, part));
        let of_this_split = parts
            .iter()
            .filter(|(noted, _)| noted.total == number.total);
        if of_this_split.count() == number.total as usize {
            let parts = self.pending.remove(&id).unwrap_or_default();
            let parts = parts.into_iter().map(|(_, part)| part).collect();
            return self.record(parts).map(drop);
        }
        Ok(())
    }

    /// Compares one record, all of whose parts were read. Answers its number in the plan, unless it is
    /// not planned, or hidden.
    fn record(&mut self, parts: Vec<StoredPart>) -> Result<Option<i64>> {
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        let uuid = first.uuid.as_ref().map(ToString::to_string);
        let part = part_of(first);
        let found = assemble(parts).records.pop();
        let plan = &self.findings.plan;
        // A record that was changed here is compared with the one that it took the place of, unless the
        // source has it in its new form.
        let ids = part.map(|part| [Some(part.record), part.instead_of]);
        let ids = ids.into_iter().flatten().flatten();
        let (mut id, mut planned) = (None, None);
        for next in ids {
            planned = plan.record_of(&self.place, &next)?;
            id = Some(next);
            if planned.is_some() {
                break;
            }
        }
        if let Some(planned) = &planned {
            plan.set_states(&[planned.n], State::There)?;
        }
        let owner = self.place.place.owner();
        let mut findings = self.findings.found();
        let Some(planned) = planned else {
            // A hidden record is gone as far as Zep allows.
            if let Some(Assembled { record, .. }) = found.as_ref().filter(|_| !self.is_sample) {
                findings.stored(&owner, record);
                self.tally.additional += 1;
                findings.differs(Difference {
                    record: id.or(uuid),
                    ..self.record_differs("is there, and not in the source")
                });
            }
            return Ok(None);
        };
        if let Some(Assembled { record, .. }) = &found {
            findings.stored(&owner, record);
        }
        self.tally.found += 1;
        let differs = |check, field: &str, detail: &str| Difference {
            record: id.clone(),
            position: Some(planned.position.to_string()),
            ..of_place(check, &self.place, field, detail)
        };
        let Some(found) = found else {
            self.tally.changed += 1;
            findings.differs(differs(
                CheckName::Content,
                "content",
                "is marked as deleted, or lacks its beginning",
            ));
            return Ok(None);
        };
        let is_session = matches!(self.place.place, Place::Session(..));
        let differences = compare(&planned.record, &found, is_session);
        let mut is_changed = !differences.is_empty();
        for check in [
            CheckName::Content,
            CheckName::Timestamps,
            CheckName::Metadata,
        ] {
            let alike = differences.iter().all(|(of, ..)| *of != check);
            findings.count(&owner, check, 1, u64::from(alike));
        }
        for (check, field, detail) in differences {
            findings.differs(differs(check, field, detail));
        }
        if let Some(last) = self.last {
            let in_order = planned.order >= last;
            findings.count(&owner, CheckName::Order, 1, u64::from(in_order));
            if in_order {
                self.last = Some(planned.order);
            } else {
                is_changed = true;
                findings.differs(differs(
                    CheckName::Order,
                    "order",
                    "is stored after a record that follows it in the source",
                ));
            }
        }
        drop(findings);
        self.tally.changed += u64::from(is_changed);
        self.findings.progress(1);
        Ok(Some(planned.n))
    }

    /// Names the records that were not found.
    fn missing(&mut self) -> Result<()> {
        let mut after = Order::START;
        loop {
            let plan = &self.findings.plan;
            let page = plan.planned_after(&self.place, after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.order;
            let missing = page.len() as u64;
            self.tally.missing += missing;
            let mut findings = self.findings.found();
            for record in page {
                findings.differs(Difference {
                    record: Some(record.record.id.to_string()),
                    position: Some(record.position.to_string()),
                    ..self.record_differs("is missing")
                });
            }
            drop(findings);
            self.findings.progress(missing);
        }
    }

    fn doubled(&mut self, id: &str) {
        self.tally.doubled += 1;
        self.findings.found().differs(Difference {
            record: Some(id.to_owned()),
            ..self.record_differs("is stored twice")
        });
    }

    fn record_differs(&self, detail: &str) -> Difference {
        of_place(CheckName::MessageCount, &self.place, "record", detail)
    }
}
