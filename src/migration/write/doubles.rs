//! Deleting doubles: a write whose answer was lost, and that was sent again because it was not found,
//! may have arrived late.

use std::collections::HashSet;

use super::Run;
use crate::memory;
use crate::memory::import::part_of;
use crate::memory::model::{Place, SessionId};
use crate::migration::context::Context;
use crate::migration::lock;
use crate::migration::plan::PlannedPlace;
use crate::migration::report::Trouble;
use crate::migration::retry::with_retries;
use crate::zep::Uuid;

/// Deletes doubles from the places in which something was sent again. The first of equal parts stays.
pub(super) async fn delete_doubles(run: &Run<'_>) {
    let places = std::mem::take(&mut *lock(&run.doubtful));
    for place in places.into_values() {
        if let Err(error) = delete_at(run, &place).await {
            run.report().trouble(Trouble {
                owner: Some(place.place.owner().to_string()),
                session: place.place.session().map(SessionId::to_string),
                ..Trouble::of_run(format!(
                    "it is not known whether a late write left doubles: {error}; run `validate`"
                ))
            });
        }
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
