//! Deleting doubles: a write whose answer was lost, that was looked for, not found and sent again, may
//! have landed after all.

use std::collections::HashSet;

use super::loading::PlannedPlace;
use super::patience::patiently;
use super::report::Trouble;
use super::task::Task;
use super::write::{Run, lock};
use crate::memory::import::part_of;
use crate::memory::model::{Place, SessionId};
use crate::memory::{self};
use crate::zep::Uuid;

/// Looks through the places in which something was sent again. Of each part that is stored twice,
/// the first is kept.
pub(super) async fn sweep(run: &Run<'_>) {
    let places = std::mem::take(&mut *lock(&run.doubtful));
    for place in places.into_values() {
        if let Err(error) = sweep_place(run, &place).await {
            run.report().trouble(Trouble {
                owner: Some(place.place.owner().to_string()),
                session: place.place.session().map(SessionId::to_string),
                ..Trouble::of_run(format!(
                    "whether a late write left doubles could not be looked up: {error}; run \
                     `validate`"
                ))
            });
        }
    }
}

async fn sweep_place(run: &Run<'_>, place: &PlannedPlace) -> memory::Result<()> {
    let doubles = patiently(&run.stop, || doubles(run, place)).await?;
    if doubles.is_empty() {
        return Ok(());
    }
    let owner = place.place.owner();
    patiently(&run.stop, || {
        let Task {
            service, caller, ..
        } = run.task;
        service.delete_doubles(caller, &owner, &doubles)
    })
    .await?;
    let left = patiently(&run.stop, || self::doubles(run, place))
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

/// The ids of parts of which an equal one stands before them.
async fn doubles(run: &Run<'_>, place: &PlannedPlace) -> memory::Result<Vec<Uuid>> {
    let mut seen = HashSet::new();
    let mut doubles = Vec::new();
    let thread;
    let owner = place.place.owner();
    let mut scan = match &place.place {
        Place::Session(user, session) => {
            let Some(sessions) = run.task.service.sessions_of(run.task.caller, user).await? else {
                return Ok(doubles);
            };
            let Some(found) = run.task.service.thread_among(user, session, &sessions) else {
                return Ok(doubles);
            };
            thread = found;
            run.task
                .service
                .scan_thread(run.task.caller, user, &thread)?
        }
        Place::Graph(_) => run.task.service.scan_graph(run.task.caller, &owner)?,
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
