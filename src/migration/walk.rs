//! Going through a plan, a page at a time.

use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::loading::{PlannedOwner, PlannedPlace};
use super::plan::Plan;
use super::spool::{Result, SpoolError};

/// All owners, in the order in which the source names them.
pub(super) fn owners(plan: &Plan) -> impl Stream<Item = Result<PlannedOwner>> {
    pages(|after| plan.owners_after(after), |owner| owner.n)
}

/// All places of an owner.
pub(super) fn places(plan: &Plan, owner: i64) -> impl Stream<Item = Result<PlannedPlace>> {
    pages(
        move |after| plan.places_after(owner, after),
        |place| place.n,
    )
}

fn pages<T>(
    page_after: impl Fn(i64) -> Result<Vec<T>>,
    number: impl Fn(&T) -> i64,
) -> impl Stream<Item = Result<T>> {
    stream::try_unfold(
        (0, page_after, number),
        async |(after, page_after, number)| {
            let page = page_after(after)?;
            Ok::<_, SpoolError>(page.last().map(&number).map(|last| {
                let items = stream::iter(page).map(Ok::<_, SpoolError>);
                (items, (last, page_after, number))
            }))
        },
    )
    .try_flatten()
}
