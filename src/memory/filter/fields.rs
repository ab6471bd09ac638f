//! Fields with ids, times, categories and text as values.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Node;
use super::condition::{Condition, Ids, TimeOf, Times};
use super::error::{Path, quote};
use super::parse::{Asked, MAX_TEXT_CHARS, Operator, Parsed, Parser, WILDCARD, wrong_operator};
use super::values::Moment;
use crate::zep::InvalidId;

const TIMES: &str = "a time such as \"2024-07-31T10:00:00Z\", or a day such as \"2024-07-31\"";

impl Parser {
    pub(super) fn ids(
        &mut self,
        value: &Value,
        path: &Path<'_>,
        field: fn(Ids) -> Condition,
        check: fn(&str) -> Result<String, InvalidId>,
    ) -> Parsed<Node> {
        self.operations(value, path, |parser, asked, path| {
            Ok(Node::Is(field(match asked {
                Asked::Present => Ids::Present,
                Asked::Absent => Ids::Absent,
                Asked::Operation(Operator::Eq, id) => Ids::Among(parser.one(id, path, check)?),
                Asked::Operation(Operator::Ne, id) => Ids::NotAmong(parser.one(id, path, check)?),
                Asked::Operation(Operator::In, ids) => Ids::Among(parser.set(ids, path, check)?),
                Asked::Operation(..) => {
                    return Err(wrong_operator(
                        path,
                        "`eq`, `ne`, `in`, a plain id or \"*\"",
                    ));
                }
            })))
        })
    }

    fn one(
        &mut self,
        value: &Value,
        path: &Path<'_>,
        check: fn(&str) -> Result<String, InvalidId>,
    ) -> Parsed<BTreeSet<String>> {
        self.id(value, path, check).map(|id| BTreeSet::from([id]))
    }

    fn id(
        &mut self,
        value: &Value,
        path: &Path<'_>,
        check: fn(&str) -> Result<String, InvalidId>,
    ) -> Parsed<String> {
        let id = self.string(value, path)?;
        check(id).map_err(|invalid| path.refuse_id(invalid))
    }

    /// The ids of an `in`.
    fn set(
        &mut self,
        value: &Value,
        path: &Path<'_>,
        check: fn(&str) -> Result<String, InvalidId>,
    ) -> Parsed<BTreeSet<String>> {
        let mut set = BTreeSet::new();
        for (index, item) in self.list(value, path)?.iter().enumerate() {
            let path = &path.item(index);
            if item.as_str() == Some(WILDCARD) {
                return Err(path.refuse(
                    "\"*\" stands in a list",
                    "write \"*\" in the place of the list to mean any value",
                ));
            }
            set.insert(self.id(item, path, check)?);
        }
        Ok(set)
    }

    pub(super) fn times(&mut self, value: &Value, path: &Path<'_>, of: TimeOf) -> Parsed<Node> {
        self.operations(value, path, |parser, asked, path| {
            let times = match asked {
                Asked::Present => Times::Present,
                Asked::Absent => Times::Absent,
                Asked::Operation(Operator::In, value) => {
                    let moments: Parsed<Vec<Moment>> = parser
                        .list(value, path)?
                        .iter()
                        .enumerate()
                        .map(|(index, item)| moment(item, &path.item(index)))
                        .collect();
                    Times::During(moments?)
                }
                Asked::Operation(operator, value) => {
                    let time = |asked: fn(Moment) -> Times| moment(value, path).map(asked);
                    match operator {
                        Operator::Eq => time(|moment| Times::During(vec![moment])),
                        Operator::Ne => time(|moment| Times::NotDuring(vec![moment])),
                        Operator::Gt => time(Times::After),
                        Operator::Gte => time(Times::From),
                        Operator::Lt => time(Times::Before),
                        Operator::Lte => time(Times::Until),
                        Operator::In | Operator::Contains | Operator::Icontains => {
                            Err(wrong_operator(
                                path,
                                "`gt`, `gte`, `lt`, `lte`, `eq`, `ne`, `in`, a plain time or \"*\"",
                            ))
                        }
                    }?
                }
            };
            Ok(Node::Is(Condition::Time(of, times)))
        })
    }

    pub(super) fn categories(&mut self, value: &Value, path: &Path<'_>) -> Parsed<Node> {
        let as_it_is = |category: &str| Ok(category.to_owned());
        self.operations(value, path, |parser, asked, path| {
            Ok(Node::Is(Condition::Category(match asked {
                Asked::Present => Ids::Present,
                Asked::Absent => Ids::Absent,
                Asked::Operation(Operator::Eq, value) => {
                    Ids::Among(parser.one(value, path, as_it_is)?)
                }
                Asked::Operation(Operator::Ne, value) => {
                    Ids::NotAmong(parser.one(value, path, as_it_is)?)
                }
                Asked::Operation(Operator::In, value) => {
                    Ids::Among(parser.set(value, path, as_it_is)?)
                }
                Asked::Operation(Operator::Contains | Operator::Icontains, value) => {
                    let part = parser.string(value, path)?;
                    return Ok(Node::Is(Condition::CategoryContains(part.to_owned())));
                }
                Asked::Operation(..) => {
                    return Err(wrong_operator(
                        path,
                        "`in`, `contains`, `eq`, `ne`, a plain category or \"*\"",
                    ));
                }
            })))
        })
    }

    pub(super) fn text(&mut self, value: &Value, path: &Path<'_>) -> Parsed<Node> {
        if value.as_str() == Some(WILDCARD) {
            self.count(path)?;
            return Ok(Node::All(Vec::new()));
        }
        let plain = value.is_string();
        self.operations(value, path, |parser, asked, path| match asked {
            Asked::Operation(operator, value)
                if plain || matches!(operator, Operator::Contains | Operator::Icontains) =>
            {
                let part = parser.string(value, path)?;
                Ok(Node::Is(Condition::Text(part.to_owned(), operator.case())))
            }
            _ => Err(wrong_operator(
                path,
                "`contains` (regarding case) or `icontains` with a text",
            )),
        })
    }
}

/// The condition on one time.
fn moment(value: &Value, path: &Path<'_>) -> Parsed<Moment> {
    value
        .as_str()
        .filter(|text| text.len() <= MAX_TEXT_CHARS)
        .and_then(Moment::parse)
        .ok_or_else(|| {
            path.refuse(
                format!("{} is no time", quote(value)),
                format!("write {TIMES}"),
            )
        })
}
