//! Filters of searches and listings, parsed once and then applied row by row.

use std::collections::HashSet;

use jiff::Timestamp;
use uuid::Uuid as Raw;

use super::check::{self, invalid};
use super::metadata_filter::{MAX_CONDITIONS, MetadataPredicate, Operator};
use super::query::{DateFilter, Filters, MetadataFilter};
use super::tables::episode_row::EpisodeRow;
use super::{timestamps, uuids};
use crate::zep::{Error, Uuid};

/// A filter of rows, shown as facts or as episodes: because each episode is its own fact, both have
/// the same filters.
#[derive(Debug, Default)]
pub(super) struct RowFilter {
    facts: Option<HashSet<Raw>>,
    episodes: Option<HashSet<Raw>>,
    /// Any of the lists must pass, with all its tests.
    dates: Vec<Vec<DateTest>>,
    metadata: Option<MetadataPredicate>,
}

/// An operator, and the date to compare with.
type DateTest = (Operator, Option<Timestamp>);

/// What a row is shown as, which decides what its `created_at` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownAs {
    /// A fact's `created_at` is the time of its extraction.
    Fact,
    /// An episode's `created_at` is the time when it happened.
    Episode,
}

impl RowFilter {
    pub(super) fn new(filters: &Filters) -> Result<Self, Error> {
        let facts = uuid_set("edge_uuids", filters.edge_uuids.as_deref())?;
        Ok(Self {
            facts: facts.map(|facts| facts.into_iter().filter_map(uuids::episode_of).collect()),
            episodes: uuid_set("episode_uuids", filters.episode_uuids.as_deref())?,
            dates: dates(filters.created_at.as_deref().unwrap_or_default())?,
            ..Self::metadata(filters.episode_metadata_filters.as_ref())?
        })
    }

    /// Only these episodes, or their facts.
    pub(super) fn episodes(only: HashSet<Raw>) -> Self {
        Self {
            episodes: Some(only),
            ..Self::default()
        }
    }

    /// Conditions on metadata only.
    pub(super) fn metadata(filter: Option<&MetadataFilter>) -> Result<Self, Error> {
        Ok(Self {
            metadata: filter.map(MetadataPredicate::new).transpose()?,
            ..Self::default()
        })
    }

    /// The episodes that can pass, if the filter lists them.
    pub(super) fn listed(&self) -> Option<&HashSet<Raw>> {
        self.facts.as_ref().or(self.episodes.as_ref())
    }

    /// The record that all passing rows belong to, if the filter requires one.
    pub(super) fn record(&self) -> Option<&str> {
        self.metadata.as_ref()?.record()
    }

    /// Whether a row passes.
    pub(super) fn admits(&self, row: &EpisodeRow, shown_as: ShownAs) -> bool {
        self.admits_episode(row)
            && self.admits_time(match shown_as {
                ShownAs::Fact => row.ingested_at.and_then(timestamps::from_micros),
                ShownAs::Episode => row.happened_at(),
            })
    }

    /// Whether a row passes regardless of its time.
    pub(super) fn admits_episode(&self, row: &EpisodeRow) -> bool {
        let within =
            |set: &Option<HashSet<Raw>>| set.as_ref().is_none_or(|set| set.contains(&row.uuid));
        let metadata = self.metadata.as_ref();
        within(&self.facts)
            && within(&self.episodes)
            && metadata.is_none_or(|predicate| predicate.matches(row.metadata.as_ref()))
    }

    /// Whether a `created_at` passes.
    pub(super) fn admits_time(&self, time: Option<Timestamp>) -> bool {
        self.dates.is_empty()
            || self
                .dates
                .iter()
                .any(|all| all.iter().all(|(op, date)| op.holds(time, date.as_ref())))
    }
}

/// A list of ids as a set. Text that is not a UUID cannot be an id of ours, and matches nothing.
fn uuid_set(field: &str, list: Option<&[Uuid]>) -> Result<Option<HashSet<Raw>>, Error> {
    let Some(list) = list else { return Ok(None) };
    check::filter_entries(field, list.len())?;
    Ok(Some(list.iter().filter_map(uuids::parse).collect()))
}

fn dates(lists: &[Vec<DateFilter>]) -> Result<Vec<Vec<DateTest>>, Error> {
    if lists.iter().map(|list| list.len().max(1)).sum::<usize>() > MAX_CONDITIONS {
        return Err(invalid("created_at: too many conditions"));
    }
    lists
        .iter()
        .map(|list| list.iter().map(date).collect())
        .collect()
}

fn date(filter: &DateFilter) -> Result<DateTest, Error> {
    let operator = match Operator::parse(&filter.comparison_operator) {
        None | Some(Operator::Contains | Operator::In) => {
            return Err(invalid(
                "created_at: comparison_operator must be one of =, <>, >, <, >=, <=, IS NULL, \
                 IS NOT NULL",
            ));
        }
        Some(operator) => operator,
    };
    let date = filter
        .date
        .as_deref()
        .map(|text| {
            text.parse()
                .map_err(|_| invalid("created_at: date must be an RFC 3339 time"))
        })
        .transpose()?;
    let needs_date = !matches!(operator, Operator::IsNull | Operator::IsNotNull);
    if needs_date && date.is_none() {
        return Err(invalid("created_at: date is required"));
    }
    Ok((operator, date))
}
