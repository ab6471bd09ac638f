//! Settles writes whose answer was lost: looks for their record ids, and sends what is missing.
//!
//! Never by comparing content: people say "ok" twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ConstantBuilder, Retryable};

use crate::zep::{Error, Metadata, Outcome, RECORD_PART_KEY, Result, Uuid, record_id};

/// How often what is missing is sent again, looking before each time. Ours.
const ROUNDS: usize = 2;
/// The pauses between the looks of one round, since a late write may still land: these, or less
/// where the time-out is short ([`SHARES`]). Ours: about what a gateway's own retry takes, and then
/// as long as there is time for two rounds: what lands after the last look is there twice.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_millis(1_500),
    Duration::from_millis(3_000),
    Duration::from_millis(4_000),
    Duration::from_millis(4_000),
];
/// The largest part of the time for settling that each pause may take: one in so many. Two
/// rounds of them leave a sixth of it for sending.
const SHARES: [u32; 5] = [60, 20, 10, 8, 8];

/// What identifies one stored item: its record id, and which part of the record it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) record: String,
    number: Option<String>,
}

impl Part {
    /// Absent where the item carries no record id.
    pub(super) fn of(metadata: Option<&Metadata>) -> Option<Self> {
        Some(Self {
            record: record_id(metadata)?.to_owned(),
            number: metadata?
                .get(RECORD_PART_KEY)
                .and_then(|part| part.as_str())
                .map(str::to_owned),
        })
    }

    /// How many parts the record has, as this one says (`2/3`).
    pub(super) fn of_how_many(&self) -> usize {
        self.number
            .as_deref()
            .and_then(|number| number.split_once('/')?.1.parse().ok())
            .unwrap_or(1)
    }
}

/// The parts of a write, if they tell its items apart: without that it cannot be settled.
pub(super) fn distinct<'a>(items: impl IntoIterator<Item = &'a Metadata>) -> Option<Vec<Part>> {
    let parts = items
        .into_iter()
        .map(|metadata| Part::of(Some(metadata)))
        .collect::<Option<Vec<_>>>()?;
    let different: HashSet<&Part> = parts.iter().collect();
    (different.len() == parts.len()).then_some(parts)
}

/// A write whose answer was lost.
#[async_trait]
pub(super) trait InDoubt: Send + Sync {
    /// What is stored of it.
    async fn look(&self) -> Result<HashMap<Part, Uuid>>;
    /// Sends these of its items, in order. Answers their ids.
    async fn send(&self, items: &[usize]) -> Result<Vec<Uuid>>;
}

/// Makes sure that every part is stored once and answers their ids, in order. Takes `time` at most.
///
/// # Errors
/// `doubt`, where it could not be settled.
pub(super) async fn settle(
    write: &dyn InDoubt,
    parts: &[Part],
    doubt: Error,
    time: Duration,
) -> Result<Vec<Uuid>> {
    let rounds = (|| round(write, parts, time))
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
    Missing(HashMap<Part, Uuid>),
    Failed(Error),
}

/// Looks until everything is there or the pauses are used up, then sends what is missing.
async fn round(write: &dyn InDoubt, parts: &[Part], time: Duration) -> Result<Vec<Uuid>> {
    let look = async || {
        let found = write.look().await.map_err(Look::Failed)?;
        in_order(parts, &found).ok_or(Look::Missing(found))
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
    let missing: Vec<usize> = (0..parts.len())
        .filter(|&index| !found.contains_key(&parts[index]))
        .collect();
    tracing::debug!(
        missing = missing.len(),
        of = parts.len(),
        "a write without an answer was not found; sending what is missing"
    );
    let sent = write.send(&missing).await?;
    if sent.len() == missing.len() {
        found.extend(missing.iter().map(|&index| parts[index].clone()).zip(sent));
    } else {
        found = write.look().await?;
    }
    in_order(parts, &found).ok_or_else(|| Error::BadAnswer {
        message: "what was sent again was accepted, but cannot be found".into(),
    })
}

/// The ids of all parts, if all are there.
pub(super) fn in_order(parts: &[Part], found: &HashMap<Part, Uuid>) -> Option<Vec<Uuid>> {
    parts.iter().map(|part| found.get(part).cloned()).collect()
}
