//! Simplifies a filter by what the owner of a memory already decides.

use super::Node;
use super::condition::{Condition, Ids};
use crate::memory::model::{AgentId, GraphId, Owner};

/// The rest of a tree once the owner is known. An empty `All` is true, an empty `Any` is false, and
/// neither remains inside another node.
pub(super) fn settle(node: &Node, owner: &Owner) -> Node {
    match node {
        Node::All(nodes) => all(nodes.iter().map(|node| settle(node, owner))),
        Node::Any(nodes) => any(nodes.iter().map(|node| settle(node, owner))),
        Node::Not(node) => match settle(node, owner) {
            Node::All(rest) if rest.is_empty() => decided(false),
            Node::Any(rest) if rest.is_empty() => decided(true),
            Node::Not(rest) => *rest,
            rest => Node::Not(Box::new(rest)),
        },
        Node::Is(condition) => match known(condition, owner) {
            Some(answer) => decided(answer),
            None => node.clone(),
        },
    }
}

fn known(condition: &Condition, owner: &Owner) -> Option<bool> {
    match (condition, owner) {
        (Condition::User(asked), Owner::User(user)) => Some(asked.hold([user.as_str()])),
        (Condition::User(asked) | Condition::Run(asked), Owner::Graph(_)) => Some(asked.hold(None)),
        (Condition::Agent(asked), Owner::Graph(graph)) => Some(match asked {
            Ids::Present => true,
            Ids::Absent => false,
            Ids::Among(ids) => ids.iter().any(|id| is_graph_of(graph, id)),
            Ids::NotAmong(ids) => !ids.iter().any(|id| is_graph_of(graph, id)),
        }),
        _ => None,
    }
}

fn is_graph_of(graph: &GraphId, agent: &str) -> bool {
    AgentId::new(agent).is_ok_and(|agent| agent.graph() == *graph)
}

fn decided(answer: bool) -> Node {
    if answer {
        Node::All(Vec::new())
    } else {
        Node::Any(Vec::new())
    }
}

fn all(nodes: impl Iterator<Item = Node>) -> Node {
    let mut rest = Vec::new();
    for node in nodes {
        match node {
            Node::All(nodes) => rest.extend(nodes),
            Node::Any(nodes) if nodes.is_empty() => return decided(false),
            node => rest.push(node),
        }
    }
    alone(rest).unwrap_or_else(Node::All)
}

fn any(nodes: impl Iterator<Item = Node>) -> Node {
    let mut rest = Vec::new();
    for node in nodes {
        match node {
            Node::Any(nodes) => rest.extend(nodes),
            Node::All(nodes) if nodes.is_empty() => return decided(true),
            node => rest.push(node),
        }
    }
    alone(rest).unwrap_or_else(Node::Any)
}

/// The only node of a list, or the list.
fn alone(mut nodes: Vec<Node>) -> Result<Node, Vec<Node>> {
    match nodes.pop() {
        Some(node) if nodes.is_empty() => Ok(node),
        Some(node) => {
            nodes.push(node);
            Err(nodes)
        }
        None => Err(nodes),
    }
}
