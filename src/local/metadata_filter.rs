//! Conditions on metadata, and the comparison operators of all filters.

use std::cmp::Ordering;

use serde_json::Value;

use super::check::invalid;
use super::query::{MetadataCondition, MetadataFilter};
use crate::zep::{Error, Metadata, RecordMark};

const FIELD: &str = "episode_metadata_filters";

/// How deep groups may nest, and how many conditions a filter may have. Ours: Zep documents no
/// limits.
const MAX_DEPTH: usize = 8;
pub(super) const MAX_CONDITIONS: usize = 256;

/// A checked filter: conditions, and groups that require all or any of theirs.
#[derive(Debug)]
pub(super) struct MetadataPredicate {
    needs_all: bool,
    conditions: Vec<Condition>,
    groups: Vec<Self>,
}

impl MetadataPredicate {
    pub(super) fn new(filter: &MetadataFilter) -> Result<Self, Error> {
        Self::parse(filter, MAX_DEPTH, &mut 0)
    }

    fn parse(filter: &MetadataFilter, depth: usize, seen: &mut usize) -> Result<Self, Error> {
        *seen += filter.filters.len() + filter.groups.len();
        if depth == 0 || *seen > MAX_CONDITIONS {
            return Err(invalid(format!("{FIELD}: too many conditions")));
        }
        let needs_all = match filter.kind.to_ascii_lowercase().as_str() {
            "and" => true,
            "or" => false,
            _ => return Err(invalid(format!("{FIELD}: type must be and or or"))),
        };
        let conditions = filter.filters.iter().map(Condition::parse);
        let conditions = conditions.collect::<Result<_, _>>()?;
        let groups = filter.groups.iter();
        let groups = groups.map(|group| Self::parse(group, depth - 1, seen));
        Ok(Self {
            needs_all,
            conditions,
            groups: groups.collect::<Result<_, _>>()?,
        })
    }

    /// Whether metadata passes.
    pub(super) fn matches(&self, metadata: Option<&Metadata>) -> bool {
        let mut answers = self
            .conditions
            .iter()
            .map(|one| one.holds(metadata))
            .chain(self.groups.iter().map(|group| group.matches(metadata)));
        if self.needs_all {
            answers.all(|holds| holds)
        } else {
            answers.any(|holds| holds)
        }
    }

    /// The record id that all matching metadata has, if the filter requires one.
    pub(super) fn record(&self) -> Option<&str> {
        let mut conditions = self.conditions.iter().filter(|_| self.needs_all);
        conditions
            .find(|one| one.key == RecordMark::RECORD_KEY && one.operator == Operator::Equal)?
            .value
            .as_str()
    }
}

#[derive(Debug)]
struct Condition {
    operator: Operator,
    key: String,
    value: Value,
}

impl Condition {
    fn parse(condition: &MetadataCondition) -> Result<Self, Error> {
        let operator = Operator::parse(&condition.comparison_operator).ok_or_else(|| {
            invalid(format!(
                "{FIELD}: comparison_operator must be one of =, <>, >, <, >=, <=, IS NULL, \
                 IS NOT NULL, IN, CONTAINS"
            ))
        })?;
        if condition.property_name.trim().is_empty() {
            return Err(invalid(format!("{FIELD}: property_name is required")));
        }
        Ok(Self {
            operator,
            key: condition.property_name.clone(),
            value: condition.property_value.clone(),
        })
    }

    fn holds(&self, metadata: Option<&Metadata>) -> bool {
        let stored = metadata.and_then(|all| all.get(&self.key));
        match (self.operator, stored) {
            (Operator::IsNull, stored) => stored.is_none(),
            (Operator::IsNotNull, stored) => stored.is_some(),
            (_, None) => false,
            (Operator::Contains, Some(stored)) => contains(stored, &self.value),
            (Operator::In, Some(stored)) => contains(&self.value, stored),
            (operator, Some(stored)) => operator.accepts(compare(stored, &self.value)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
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
    pub(super) fn parse(word: &str) -> Option<Self> {
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

    /// Compares a stored value with the wanted one. An absent value matches only `IS NULL`.
    pub(super) fn holds<T: Ord>(self, stored: Option<T>, wanted: Option<&T>) -> bool {
        match self {
            Self::IsNull => stored.is_none(),
            Self::IsNotNull => stored.is_some(),
            _ => match (stored, wanted) {
                (Some(stored), Some(wanted)) => self.accepts(Some(stored.cmp(wanted))),
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

/// Whether an array has an item, or a text contains another.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Array(items), part) => items
            .iter()
            .any(|item| compare(item, part) == Some(Ordering::Equal)),
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        _ => false,
    }
}

/// Values of different types are neither equal nor ordered.
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

    fn parse(filter: Value) -> Result<MetadataPredicate, Error> {
        MetadataPredicate::new(&serde_json::from_value(filter).unwrap())
    }

    fn passes(filter: Value, metadata: Value) -> bool {
        parse(filter).unwrap().matches(metadata.as_object())
    }

    fn one(operator: &str, value: Value, metadata: Value) -> bool {
        let condition = json!({
            "comparison_operator": operator, "property_name": "k", "property_value": value
        });
        passes(json!({"type": "and", "filters": [condition]}), metadata)
    }

    #[test]
    fn every_operator_compares_values_of_one_type_and_none_matches_an_absent_value() {
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
    fn an_unknown_operator_or_type_and_too_deep_groups_are_refused() {
        assert!(parse(json!({"type": "xor"})).is_err());
        assert!(
            parse(json!({"type": "and", "filters": [
                {"comparison_operator": "~", "property_name": "k", "property_value": 1}]}))
            .is_err()
        );
        let mut deep = json!({"type": "and"});
        for _ in 0..20 {
            deep = json!({"type": "and", "groups": [deep]});
        }
        assert!(parse(deep).is_err());
    }
}
