//! Where the matches of a filter can be: supersets, so that nothing else needs to be read.
//!
//! Each is the same walk over the tree: conditions state what they know, `AND` intersects, `OR`
//! unites, and `NOT` swaps the two and asks each condition for its opposite.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Node;
use super::condition::{Condition, Ids, TimeOf, Times};
use crate::memory::model::{AgentId, GraphId, Owner, UserId};

/// The owners to look into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// These owners, named by the filter.
    pub owners: BTreeSet<Owner>,
    /// All users besides.
    pub all_users: bool,
    /// All agents' own graphs besides.
    pub all_agents: bool,
}

impl Reach {
    /// Whether to look into this owner. A graph is taken for an agent's.
    pub fn contains(&self, owner: &Owner) -> bool {
        self.owners.contains(owner)
            || match owner {
                Owner::User(_) => self.all_users,
                Owner::Graph(_) => self.all_agents,
            }
    }

    /// Whether no owner remains: the filter contradicts itself and finds nothing.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && !self.all_users && !self.all_agents
    }
}

/// What is known of all matches of a part of a filter.
trait Known: Sized {
    /// Nothing is known.
    fn nothing() -> Self;
    /// There is no match.
    fn no_match() -> Self;
    /// Knowledge of the matches of both.
    fn both(self, other: Self) -> Self;
    /// Knowledge of the matches of either.
    fn either(self, other: Self) -> Self;
}

/// What is known of the matches of a node, or with `negated` of all others.
fn known<K: Known>(node: &Node, negated: bool, of: &impl Fn(&Condition, bool) -> K) -> K {
    match node {
        Node::Not(node) => known(node, !negated, of),
        Node::Is(condition) => of(condition, negated),
        Node::All(nodes) | Node::Any(nodes) => {
            let parts = nodes.iter().map(|node| known(node, negated, of));
            if matches!(node, Node::All(_)) == negated {
                parts.fold(K::no_match(), K::either)
            } else {
                parts.fold(K::nothing(), K::both)
            }
        }
    }
}

fn turned(asked: &Ids, negated: bool) -> Ids {
    if negated {
        asked.opposite()
    } else {
        asked.clone()
    }
}

pub(super) fn reach(root: &Node, default_user: &UserId) -> Reach {
    let Sides { users, agents } = known(root, false, &Sides::of);
    let mut owners: BTreeSet<Owner> = users.named.into_iter().map(Owner::User).collect();
    if users.unsaid {
        owners.insert(Owner::User(default_user.clone()));
    }
    owners.extend(agents.named.into_iter().map(Owner::Graph));
    Reach {
        owners,
        all_users: users.all,
        all_agents: agents.all,
    }
}

pub(super) fn sessions(root: &Node) -> Option<BTreeSet<String>> {
    known(root, false, &|condition, negated| match condition {
        Condition::Run(asked) => SessionSet(among(&turned(asked, negated))),
        _ => SessionSet::nothing(),
    })
    .0
}

pub(super) fn ids(root: &Node) -> Option<BTreeSet<String>> {
    known(root, false, &|condition, negated| match condition {
        Condition::Memory(asked) => MemoryIds(among(&turned(asked, negated))),
        _ => MemoryIds::nothing(),
    })
    .0
}

fn among(asked: &Ids) -> Option<BTreeSet<String>> {
    match asked {
        Ids::Among(ids) => Some(ids.clone()),
        Ids::Present | Ids::Absent | Ids::NotAmong(_) => None,
    }
}

pub(super) fn created_between(root: &Node) -> (Option<Timestamp>, Option<Timestamp>) {
    let between = known(root, false, &|condition, negated| match condition {
        Condition::Time(TimeOf::Creation, asked) => Between::of(asked, negated),
        _ => Between::nothing(),
    });
    (between.first, between.last)
}

/// The users and agents' graphs that can hold a match.
struct Sides {
    users: Side<UserId>,
    agents: Side<GraphId>,
}

/// Some of the owners of one kind.
struct Side<T> {
    named: BTreeSet<T>,
    /// All of them, since the filter mentions them.
    all: bool,
    /// Those meant by default, where the filter does not mention them.
    unsaid: bool,
}

impl<T: Ord + Clone> Side<T> {
    fn none() -> Self {
        Self::named(BTreeSet::new())
    }

    fn named(named: BTreeSet<T>) -> Self {
        Self {
            named,
            all: false,
            unsaid: false,
        }
    }

    fn all() -> Self {
        Self {
            all: true,
            ..Self::none()
        }
    }

    fn unsaid() -> Self {
        Self {
            unsaid: true,
            ..Self::none()
        }
    }

    /// Defaults give way to what the other side states.
    fn both(self, other: Self) -> Self {
        let open = |side: &Self| side.all || side.unsaid;
        let in_both = |id: &T| {
            (open(&self) || self.named.contains(id)) && (open(&other) || other.named.contains(id))
        };
        Self {
            named: self
                .named
                .union(&other.named)
                .filter(|id| in_both(id))
                .cloned()
                .collect(),
            all: (self.all && open(&other)) || (other.all && open(&self)),
            unsaid: self.unsaid && other.unsaid,
        }
    }

    fn either(mut self, other: Self) -> Self {
        self.named.extend(other.named);
        Self {
            named: self.named,
            all: self.all || other.all,
            unsaid: self.unsaid || other.unsaid,
        }
    }
}

impl Sides {
    fn of(condition: &Condition, negated: bool) -> Self {
        let (users, agents) = match condition {
            Condition::User(asked) => match turned(asked, negated) {
                Ids::Among(ids) => (Side::named(users(&ids)), Side::none()),
                Ids::Present => (Side::all(), Side::none()),
                // Agents' graphs have no user, which `ne` matches.
                Ids::NotAmong(_) => (Side::all(), Side::all()),
                Ids::Absent => (Side::none(), Side::all()),
            },
            // A user's memories can carry an agent's mark, or none.
            Condition::Agent(asked) => match turned(asked, negated) {
                Ids::Among(ids) => (Side::unsaid(), Side::named(graphs(&ids))),
                Ids::Present => (Side::unsaid(), Side::all()),
                Ids::NotAmong(_) => (Side::unsaid(), Side::unsaid()),
                Ids::Absent => (Side::unsaid(), Side::none()),
            },
            // Agents' graphs have no sessions.
            Condition::Run(asked) => match turned(asked, negated) {
                Ids::Among(_) | Ids::Present => (Side::unsaid(), Side::none()),
                Ids::NotAmong(_) | Ids::Absent => (Side::unsaid(), Side::unsaid()),
            },
            _ => (Side::unsaid(), Side::unsaid()),
        };
        Self { users, agents }
    }
}

/// Each id was checked when the filter was parsed.
fn users(ids: &BTreeSet<String>) -> BTreeSet<UserId> {
    ids.iter().filter_map(|id| UserId::new(id).ok()).collect()
}

fn graphs(ids: &BTreeSet<String>) -> BTreeSet<GraphId> {
    ids.iter()
        .filter_map(|id| AgentId::new(id).ok())
        .map(|agent| agent.graph())
        .collect()
}

impl Known for Sides {
    fn nothing() -> Self {
        Self {
            users: Side::unsaid(),
            agents: Side::unsaid(),
        }
    }

    fn no_match() -> Self {
        Self {
            users: Side::none(),
            agents: Side::none(),
        }
    }

    fn both(self, other: Self) -> Self {
        Self {
            users: self.users.both(other.users),
            agents: self.agents.both(other.agents),
        }
    }

    fn either(self, other: Self) -> Self {
        Self {
            users: self.users.either(other.users),
            agents: self.agents.either(other.agents),
        }
    }
}

/// A memory is in one session at most: matches of both sets are in their intersection.
struct SessionSet(Option<BTreeSet<String>>);

/// A memory has several ids: one that matches both sets may have no id in both.
struct MemoryIds(Option<BTreeSet<String>>);

fn united(
    one: Option<BTreeSet<String>>,
    other: Option<BTreeSet<String>>,
) -> Option<BTreeSet<String>> {
    let (mut one, other) = (one?, other?);
    one.extend(other);
    Some(one)
}

impl Known for SessionSet {
    fn nothing() -> Self {
        Self(None)
    }

    fn no_match() -> Self {
        Self(Some(BTreeSet::new()))
    }

    fn both(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
            (one, other) => one.or(other),
        })
    }

    fn either(self, other: Self) -> Self {
        Self(united(self.0, other.0))
    }
}

impl Known for MemoryIds {
    fn nothing() -> Self {
        Self(None)
    }

    fn no_match() -> Self {
        Self(Some(BTreeSet::new()))
    }

    fn both(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Some(one), Some(other)) if other.len() < one.len() => Some(other),
            (one, other) => one.or(other),
        })
    }

    fn either(self, other: Self) -> Self {
        Self(united(self.0, other.0))
    }
}

/// A range of times, both ends included; if either end is known, matches have a time.
struct Between {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Between {
    fn of(asked: &Times, negated: bool) -> Self {
        let (first, last) = match (asked, negated) {
            (Times::After(moment) | Times::From(moment), false) => (Some(moment.first), None),
            (Times::Before(moment), false) => (None, Some(moment.first)),
            (Times::Until(moment), false) => (None, Some(moment.last)),
            (Times::During(moments), false) | (Times::NotDuring(moments), true) => {
                return moments.iter().fold(Self::no_match(), |all, moment| {
                    all.either(Self {
                        first: Some(moment.first),
                        last: Some(moment.last),
                    })
                });
            }
            // Matches without a time, or all with one.
            _ => (None, None),
        };
        Self { first, last }
    }
}

impl Known for Between {
    fn nothing() -> Self {
        Self {
            first: None,
            last: None,
        }
    }

    fn no_match() -> Self {
        Self {
            first: Some(Timestamp::MAX),
            last: Some(Timestamp::MIN),
        }
    }

    fn both(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: match (self.last, other.last) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        }
    }

    fn either(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: match (self.last, other.last) {
                (Some(one), Some(other)) => Some(one.max(other)),
                _ => None,
            },
        }
    }
}
