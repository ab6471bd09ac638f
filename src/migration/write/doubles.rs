//! Deleting doubles: a write whose answer was lost, and that was sent again because it was not found,
//! may have arrived late, and so may the last writes of a process that was killed.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::Run;
use crate::memory;
use crate::memory::import::part_of;
use crate::memory::model::{Place, SessionId};
use crate::migration::context::Context;
use crate::migration::ledger::Mark;
use crate::migration::lock;
use crate::migration::plan::PlannedPlace;
use crate::migration::report::Trouble;
use crate::migration::retry::with_retries;
use crate::zep::Uuid;

/// Where something may be stored twice.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// The places, by their number.
    places: HashMap<i64, PlannedPlace>,
    /// When the last write that may be late has arrived.
    arrived: Option<Timestamp>,
}

impl Doubts {
    /// Something is stored twice at a place already.
    pub(super) fn stored_twice(&mut self, place: &PlannedPlace) {
        self.places.insert(place.n, place.clone());
    }

    /// Whether there is a doubt about a place.
    pub(super) fn has(&self, place: &PlannedPlace) -> bool {
        self.places.contains_key(&place.n)
    }

    /// Something was sent again to a place.
    pub(super) fn sent_again(&mut self, place: &PlannedPlace, arrives: Option<Timestamp>) {
        self.arrived = self.arrived.max(arrives);
        self.stored_twice(place);
    }
}

/// Waits until late writes have arrived, and deletes doubles from the places where there may be any.
/// The first of equal parts stays.
pub(super) async fn delete_doubles(run: &Run<'_>) {
    let Doubts { places, arrived } = std::mem::take(&mut *lock(&run.doubts));
    if let Some(arrived) = arrived {
        let wait = arrived.duration_since(Timestamp::now());
        let wait = std::time::Duration::try_from(wait).unwrap_or_default();
        run.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
    for place in places.into_values() {
        // The next run finds what is not looked at now.
        if run.stop.is_cancelled() {
            return;
        }
        delete_from(run, &place).await;
    }
}

async fn delete_from(run: &Run<'_>, place: &PlannedPlace) {
    let settled = match delete_at(run, place).await {
        Ok(()) => run.settled_at(place).await,
        Err(error) => Err(format!(
            "it is not known whether a late write left doubles: {error}; run `validate`"
        )),
    };
    if let Err(problem) = settled {
        run.report().trouble(Trouble {
            owner: Some(place.place.owner().to_string()),
            session: place.place.session().map(SessionId::to_string),
            ..Trouble::of_run(problem)
        });
    }
}

impl Run<'_> {
    /// Notes that nothing is on its way to a place any more.
    async fn settled_at(&self, place: &PlannedPlace) -> Result<(), String> {
        let place = place.place.clone();
        let settled = self.book.with(move |run| {
            let place = run.place(&place)?;
            run.note([Mark::Settled(place)])
        });
        settled.await.map(drop).map_err(|error| error.to_string())
    }
}

async fn delete_at(run: &Run<'_>, place: &PlannedPlace) -> memory::Result<()> {
    let doubles = with_retries(&run.stop, || doubles(run, place)).await?;
    if doubles.is_empty() {
        return Ok(());
    }
    let owner = place.place.owner();
    with_retries(&run.stop, || {
        let Context {
            service, caller, ..
        } = run.context;
        service.delete_doubles(caller, &owner, &doubles)
    })
    .await?;
    let left = with_retries(&run.stop, || self::doubles(run, place))
        .await?
        .len();
    let mut report = run.report();
    report.doubles_removed += doubles.len().saturating_sub(left) as u64;
    if left > 0 {
        report.note(format!(
            "{left} doubled messages of {owner} stay in their thread, since Zep cannot delete a \
             single message; their facts are gone, and readers here show each message once"
        ));
    }
    Ok(())
}

/// The ids of parts that repeat an earlier one.
async fn doubles(run: &Run<'_>, place: &PlannedPlace) -> memory::Result<Vec<Uuid>> {
    let mut seen = HashSet::new();
    let mut doubles = Vec::new();
    let thread;
    let owner = place.place.owner();
    let mut scan = match &place.place {
        Place::Session(user, session) => {
            let Some(sessions) = run
                .context
                .service
                .sessions_of(run.context.caller, user)
                .await?
            else {
                return Ok(doubles);
            };
            let Some(found) = run.context.service.thread_among(user, session, &sessions) else {
                return Ok(doubles);
            };
            thread = found;
            run.context
                .service
                .scan_thread(run.context.caller, user, &thread)?
        }
        Place::Graph(_) => run.context.service.scan_graph(run.context.caller, &owner)?,
    };
    while let Some(parts) = scan.next().await? {
        for part in parts {
            let (Some(id), Some(uuid)) = (part_of(&part), part.uuid) else {
                continue;
            };
            if !seen.insert((id.record, id.number)) {
                doubles.push(uuid);
            }
        }
    }
    Ok(doubles)
}
