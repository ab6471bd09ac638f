//! The filters of searches and listings, checked once and then asked row by row.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid as Raw;

use super::check::invalid;
use super::ids;
use super::query::{DateFilter, Filters, MetadataCondition, MetadataFilter};
use super::rows::Row;
use super::time;
use crate::zep::{Error, Metadata, RecordMark, Uuid, limits};

/// How deep conditions may stand within conditions, and how many there may be. Ours: Zep documents
/// neither.
const MAX_DEPTH: usize = 8;
const MAX_CONDITIONS: usize = 256;

/// Restrictions on rows, seen as facts or as episodes: since each episode is its own fact, they
/// mean the same.
#[derive(Debug, Default)]
pub(super) struct Restriction {
    facts: Option<HashSet<Raw>>,
    episodes: Option<HashSet<Raw>>,
    dates: Vec<Vec<DateTest>>,
    metadata: Option<MetadataFilter>,
}

/// What is asked of a time, and the time to compare with.
type DateTest = (Operator, Option<Timestamp>);

/// Which time `created_at` filters mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Facts were created when they were drawn.
    AsFact,
    /// Episodes were created when they happened.
    AsEpisode,
}

impl Restriction {
    pub fn new(filters: &Filters) -> Result<Self, Error> {
        let facts = set("edge_uuids", filters.edge_uuids.as_deref())?;
        Self {
            facts: facts.map(|facts| facts.into_iter().filter_map(ids::episode_of).collect()),
            episodes: set("episode_uuids", filters.episode_uuids.as_deref())?,
            dates: dates(filters.created_at.as_deref().unwrap_or_default())?,
            metadata: None,
        }
        .with_metadata(filters.episode_metadata_filters.as_ref())
    }

    /// Nothing but these episodes, or the facts drawn from them.
    pub fn to_episodes(only: HashSet<Raw>) -> Self {
        Self {
            episodes: Some(only),
            ..Self::default()
        }
    }

    /// Adds a condition on metadata.
    pub fn with_metadata(mut self, filter: Option<&MetadataFilter>) -> Result<Self, Error> {
        if let Some(filter) = filter {
            check_filter(filter, MAX_DEPTH, &mut 0)?;
            self.metadata = Some(filter.clone());
        }
        Ok(self)
    }

    /// The only rows that can pass, by their episodes' ids, if there is such a list.
    pub fn known(&self) -> Option<&HashSet<Raw>> {
        self.facts.as_ref().or(self.episodes.as_ref())
    }

    /// The record that every row that passes belongs to, if there is one.
    pub fn record(&self) -> Option<&str> {
        let filter = self.metadata.as_ref()?;
        if !is_and(filter) {
            return None;
        }
        filter
            .filters
            .iter()
            .find(|one| {
                one.property_name == RecordMark::RECORD_KEY && one.comparison_operator == "="
            })?
            .property_value
            .as_str()
    }

    /// Whether a row passes.
    pub fn admits(&self, row: &Row, seen: Seen) -> bool {
        self.admits_episode(row)
            && self.admits_time(match seen {
                Seen::AsFact => row.ingested_at.and_then(time::at),
                Seen::AsEpisode => row.happened_at(),
            })
    }

    /// Whether a row passes all but the restriction of time.
    pub fn admits_episode(&self, row: &Row) -> bool {
        let within =
            |set: &Option<HashSet<Raw>>| set.as_ref().is_none_or(|set| set.contains(&row.uuid));
        within(&self.facts)
            && within(&self.episodes)
            && self
                .metadata
                .as_ref()
                .is_none_or(|filter| matches(filter, row.metadata.as_ref()))
    }

    /// Whether something of this time passes: any of the lists, all conditions of a list.
    pub fn admits_time(&self, time: Option<Timestamp>) -> bool {
        self.dates.is_empty()
            || self
                .dates
                .iter()
                .any(|all| all.iter().all(|(op, date)| op.holds(time, date.as_ref())))
    }
}

/// A list of ids as a set. What is no id of ours is in no graph of ours, and so finds nothing.
fn set(field: &str, list: Option<&[Uuid]>) -> Result<Option<HashSet<Raw>>, Error> {
    let Some(list) = list else { return Ok(None) };
    check_length(field, list.len())?;
    Ok(Some(list.iter().filter_map(ids::parse).collect()))
}

/// At most 256 entries.
pub(super) fn check_length(field: &str, length: usize) -> Result<(), Error> {
    if length > limits::FILTER_UUIDS {
        return Err(invalid(format!(
            "{field}: at most {} entries are allowed, got {length}",
            limits::FILTER_UUIDS
        )));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    IsNull,
    IsNotNull,
    Contains,
    In,
}

impl Operator {
    /// As in zep-cloud 3.30.0, `ComparisonOperator` and `EpisodeMetadataFilter`.
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "=" => Self::Equal,
            "<>" => Self::Unequal,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" => Self::GreaterOrEqual,
            "<=" => Self::LessOrEqual,
            "IS NULL" | "is_null" => Self::IsNull,
            "IS NOT NULL" => Self::IsNotNull,
            "CONTAINS" => Self::Contains,
            "IN" => Self::In,
            _ => return None,
        })
    }

    /// Compares what there is with what is asked for. What is absent compares with nothing.
    fn holds<T: Ord>(self, there: Option<T>, asked: Option<&T>) -> bool {
        match self {
            Self::IsNull => there.is_none(),
            Self::IsNotNull => there.is_some(),
            _ => match (there, asked) {
                (Some(there), Some(asked)) => self.accepts(Some(there.cmp(asked))),
                _ => false,
            },
        }
    }

    fn accepts(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Unequal => order != Some(Ordering::Equal),
            Self::Greater => order == Some(Ordering::Greater),
            Self::Less => order == Some(Ordering::Less),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::IsNull | Self::IsNotNull | Self::Contains | Self::In => false,
        }
    }
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
    let needed = !matches!(operator, Operator::IsNull | Operator::IsNotNull);
    if needed && date.is_none() {
        return Err(invalid("created_at: date is required"));
    }
    Ok((operator, date))
}

fn check_filter(filter: &MetadataFilter, depth: usize, seen: &mut usize) -> Result<(), Error> {
    const FIELD: &str = "episode_metadata_filters";
    *seen += filter.filters.len() + filter.groups.len();
    if depth == 0 || *seen > MAX_CONDITIONS {
        return Err(invalid(format!("{FIELD}: too many conditions")));
    }
    if !is_and(filter) && !filter.kind.eq_ignore_ascii_case("or") {
        return Err(invalid(format!("{FIELD}: type must be and or or")));
    }
    for one in &filter.filters {
        if Operator::parse(&one.comparison_operator).is_none() {
            return Err(invalid(format!(
                "{FIELD}: comparison_operator must be one of =, <>, >, <, >=, <=, IS NULL, \
                 IS NOT NULL, IN, CONTAINS"
            )));
        }
        if one.property_name.trim().is_empty() {
            return Err(invalid(format!("{FIELD}: property_name is required")));
        }
    }
    filter
        .groups
        .iter()
        .try_for_each(|group| check_filter(group, depth - 1, seen))
}

fn is_and(filter: &MetadataFilter) -> bool {
    filter.kind.eq_ignore_ascii_case("and")
}

fn matches(filter: &MetadataFilter, metadata: Option<&Metadata>) -> bool {
    let mut answers = filter
        .filters
        .iter()
        .map(|one| holds(one, metadata))
        .chain(filter.groups.iter().map(|group| matches(group, metadata)));
    if is_and(filter) {
        answers.all(|holds| holds)
    } else {
        answers.any(|holds| holds)
    }
}

fn holds(condition: &MetadataCondition, metadata: Option<&Metadata>) -> bool {
    let Some(operator) = Operator::parse(&condition.comparison_operator) else {
        return false;
    };
    let there = metadata.and_then(|all| all.get(&condition.property_name));
    let asked = &condition.property_value;
    match (operator, there) {
        (Operator::IsNull, there) => there.is_none(),
        (Operator::IsNotNull, there) => there.is_some(),
        (_, None) => false,
        (Operator::Contains, Some(there)) => contains(there, asked),
        (Operator::In, Some(there)) => contains(asked, there),
        (operator, Some(there)) => operator.accepts(compare(there, asked)),
    }
}

/// Whether an array holds a value, or a text holds another.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Array(items), part) => items
            .iter()
            .any(|item| compare(item, part) == Some(Ordering::Equal)),
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        _ => false,
    }
}

/// Values of different kinds are neither equal nor in any order.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        (one, other) => (one == other).then_some(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passes(filter: Value, metadata: Value) -> bool {
        let filter: MetadataFilter = serde_json::from_value(filter).unwrap();
        check_filter(&filter, MAX_DEPTH, &mut 0).unwrap();
        matches(&filter, metadata.as_object())
    }

    fn one(operator: &str, value: Value, metadata: Value) -> bool {
        let condition = json!({
            "comparison_operator": operator, "property_name": "k", "property_value": value
        });
        passes(json!({"type": "and", "filters": [condition]}), metadata)
    }

    #[test]
    fn every_operator_compares_values_of_one_kind_and_nothing_with_what_is_absent() {
        assert!(one("=", json!("a"), json!({"k": "a"})));
        assert!(one("=", json!(1), json!({"k": 1.0})));
        assert!(!one("=", json!("1"), json!({"k": 1})));
        assert!(one("<>", json!("a"), json!({"k": "b"})));
        assert!(!one("<>", json!("a"), json!({})));
        assert!(one(">", json!(1), json!({"k": 2})));
        assert!(one("<=", json!("b"), json!({"k": "a"})));
        assert!(!one(">=", json!("b"), json!({"k": 7})));
        assert!(one("CONTAINS", json!("b"), json!({"k": ["a", "b"]})));
        assert!(one("CONTAINS", json!("ell"), json!({"k": "hello"})));
        assert!(one("IN", json!(["a", "b"]), json!({"k": "b"})));
        assert!(one("IS NULL", json!(null), json!({})));
        assert!(one("IS NOT NULL", json!(null), json!({"k": false})));
    }

    #[test]
    fn groups_combine_with_and_and_or() {
        let is = |key: &str, value: i64| json!({"comparison_operator": "=", "property_name": key, "property_value": value});
        let filter = json!({"type": "and", "filters": [is("a", 1)], "groups": [
            {"type": "or", "filters": [is("b", 1), is("b", 2)]}
        ]});
        assert!(passes(filter.clone(), json!({"a": 1, "b": 2})));
        assert!(!passes(filter.clone(), json!({"a": 1, "b": 3})));
        assert!(!passes(filter, json!({"a": 2, "b": 2})));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let refused = |filter: Value| {
            let filter: MetadataFilter = serde_json::from_value(filter).unwrap();
            check_filter(&filter, MAX_DEPTH, &mut 0).is_err()
        };
        assert!(refused(json!({"type": "xor"})));
        assert!(refused(json!({"type": "and", "filters": [
            {"comparison_operator": "~", "property_name": "k", "property_value": 1}]})));
        let mut deep = json!({"type": "and"});
        for _ in 0..20 {
            deep = json!({"type": "and", "groups": [deep]});
        }
        assert!(refused(deep));
    }
}
