//! Settles writes whose answer was lost: looks for their marks, and sends what is missing. Content is
//! never compared: people say "ok" twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ConstantBuilder, Retryable};

use crate::zep::error::{Error, Outcome, Result};
use crate::zep::ids::Uuid;
use crate::zep::types::RecordMark;

/// How often missing items are sent again, each time after looking for them. Ours.
const ROUNDS: usize = 2;
/// The pauses between the looks of one round, since a late write may still arrive: these, or less if
/// the time-out is short ([`SHARES`]). Ours: about what a gateway's own retry takes, then as long as
/// two rounds allow; what arrives after the last look is stored twice.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_millis(1_500),
    Duration::from_millis(3_000),
    Duration::from_millis(4_000),
    Duration::from_millis(4_000),
];
/// The largest share of the time for settling that each pause may take: 1/60, 1/20 … Two rounds
/// leave a sixth of the time for sending.
const SHARES: [u32; 5] = [60, 20, 10, 8, 8];

/// The marks of a write, if all items have different ones: otherwise it cannot be settled.
pub(super) fn distinct<'a>(
    marks: impl IntoIterator<Item = Option<&'a RecordMark>>,
) -> Option<Vec<RecordMark>> {
    let marks = marks
        .into_iter()
        .map(Option::<&RecordMark>::cloned)
        .collect::<Option<Vec<_>>>()?;
    let different: HashSet<&RecordMark> = marks.iter().collect();
    (different.len() == marks.len()).then_some(marks)
}

/// A write whose answer was lost.
#[async_trait]
pub(super) trait InDoubt: Send + Sync {
    /// What is stored of it.
    async fn look(&self) -> Result<HashMap<RecordMark, Uuid>>;
    /// Sends these of its items, in order. Answers their ids.
    async fn send(&self, items: &[usize]) -> Result<Vec<Uuid>>;
}

/// Makes sure that every item is stored once and answers their ids, in order. Takes `time` at most.
///
/// # Errors
/// `doubt`, where it could not be settled.
pub(super) async fn settle(
    write: &dyn InDoubt,
    marks: &[RecordMark],
    doubt: Error,
    time: Duration,
) -> Result<Vec<Uuid>> {
    let rounds = (|| round(write, marks, time))
        .retry(
            ConstantBuilder::default()
                .with_delay(Duration::ZERO)
                .with_max_times(ROUNDS - 1),
        )
        .when(|error: &Error| error.outcome() == Outcome::Unknown);
    match tokio::time::timeout(time, rounds).await {
        Ok(Ok(uuids)) => Ok(uuids),
        Ok(Err(_)) | Err(_) => Err(doubt),
    }
}

enum Look {
    Missing(HashMap<RecordMark, Uuid>),
    Failed(Error),
}

/// Looks until all items are found or the pauses are used up, then sends what is missing.
async fn round(write: &dyn InDoubt, marks: &[RecordMark], time: Duration) -> Result<Vec<Uuid>> {
    let look = async || {
        let found = write.look().await.map_err(Look::Failed)?;
        in_order(marks, &found).ok_or(Look::Missing(found))
    };
    let pauses = PAUSES
        .into_iter()
        .zip(SHARES)
        .map(move |(pause, share)| pause.min(time / share));
    let mut found = match look
        .retry(pauses)
        .when(|look| matches!(look, Look::Missing(_)))
        .await
    {
        Ok(uuids) => return Ok(uuids),
        Err(Look::Failed(error)) => return Err(error),
        Err(Look::Missing(found)) => found,
    };
    let missing: Vec<usize> = (0..marks.len())
        .filter(|&index| !found.contains_key(&marks[index]))
        .collect();
    tracing::debug!(
        missing = missing.len(),
        of = marks.len(),
        "a write without an answer was not found; sending what is missing"
    );
    let sent = write.send(&missing).await?;
    if sent.len() == missing.len() {
        found.extend(missing.iter().map(|&index| marks[index].clone()).zip(sent));
    } else {
        found = write.look().await?;
    }
    in_order(marks, &found).ok_or_else(|| Error::BadAnswer {
        message: "what was sent again was accepted, but cannot be found".into(),
    })
}

/// The ids of all marks, if all were found.
pub(super) fn in_order(
    marks: &[RecordMark],
    found: &HashMap<RecordMark, Uuid>,
) -> Option<Vec<Uuid>> {
    marks.iter().map(|mark| found.get(mark).cloned()).collect()
}
