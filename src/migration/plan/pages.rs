//! The owners and places of a plan, and what its records name, page by page.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::Plan;
use super::named::Named;
use super::records::{PAGE, PlannedOwner, PlannedPlace};
use super::spool::{Result, SpoolError};

/// All owners, in the order in which the source names them.
pub(in crate::migration) fn owners(plan: &Arc<Plan>) -> impl Stream<Item = Result<PlannedOwner>> {
    pages(plan, Plan::owners_after, |owner| owner.n)
}

/// The agents and apps that were collected.
pub(in crate::migration) fn named(plan: &Arc<Plan>) -> impl Stream<Item = Result<Named>> {
    pages(plan, Plan::named_after, |named| named.n)
}

/// All places of an owner.
pub(in crate::migration) fn places(
    plan: &Arc<Plan>,
    owner: i64,
) -> impl Stream<Item = Result<PlannedPlace>> {
    let page_after = move |plan: &Plan, after| plan.places_after(owner, after);
    pages(plan, page_after, |place| place.n)
}

fn pages<T: Send + 'static>(
    plan: &Arc<Plan>,
    page_after: impl Fn(&Plan, i64) -> Result<Vec<T>> + Copy + Send + 'static,
    number: impl Fn(&T) -> i64 + Copy,
) -> impl Stream<Item = Result<T>> {
    stream::try_unfold(Some(0), move |after| {
        let plan = plan.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = plan.step(move |plan| page_after(plan, after)).await?;
            let next = (page.len() == PAGE)
                .then(|| page.last().map(number))
                .flatten();
            let items = stream::iter(page).map(Ok::<_, SpoolError>);
            Ok::<_, SpoolError>(Some((items, next)))
        }
    })
    .try_flatten()
}
