//! Whose memories there are: owners that a filter can reach, and the owner of an id.

use crate::memory::{
    Result,
    access::Right,
    filter::Filter,
    model::{AgentId, Caller, Owner, UserId},
    service::MemoryService,
};
use crate::zep::{GraphId, PageNumber};

/// How many owners one question may reach. Ours: each costs requests of its own.
pub(crate) const MAX_OWNERS: usize = 100;
/// How many users or graphs are listed at a time.
const LISTED_AT_ONCE: u32 = 100;

/// Owners to be asked.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    pub(crate) owners: Vec<Owner>,
    /// Whether there are more.
    pub(crate) truncated: bool,
}

impl Owners {
    /// One owner.
    pub(crate) fn one(owner: Owner) -> Self {
        Self {
            owners: vec![owner],
            truncated: false,
        }
    }

    fn push(&mut self, owner: Owner) {
        if self.owners.contains(&owner) {
        } else if self.owners.len() < MAX_OWNERS {
            self.owners.push(owner);
        } else {
            self.truncated = true;
        }
    }
}

impl MemoryService {
    /// The owners that a filter can reach and the caller may: those that it names, and where it
    /// means everybody, the users and agents that there are, at most 100.
    pub(crate) async fn owners_in_reach(&self, caller: &Caller, filter: &Filter) -> Result<Owners> {
        let reach = filter.reach(self.default_user(caller));
        let mut found = Owners::default();
        for owner in reach.owners {
            caller.may(Right::Read, &owner)?;
            found.push(owner);
        }
        if reach.all_users {
            self.each_user(caller, &mut found).await?;
        }
        if reach.all_agents {
            self.each_agent(caller, &mut found).await?;
        }
        Ok(found)
    }

    /// All users and agents that the caller may reach, at most 100.
    pub(crate) async fn everybody(&self, caller: &Caller) -> Result<Owners> {
        let mut found = Owners::default();
        self.each_user(caller, &mut found).await?;
        self.each_agent(caller, &mut found).await?;
        Ok(found)
    }

    async fn each_user(&self, caller: &Caller, found: &mut Owners) -> Result<()> {
        // Nobody else is asked for, or looked at.
        if let Some(users) = caller.listed_users() {
            for user in users {
                found.push(Owner::User(user.clone()));
            }
            return Ok(());
        }
        for number in 1.. {
            let page = PageNumber {
                number,
                size: LISTED_AT_ONCE,
            };
            let users = self.zep().list_users(page).await?.users;
            let last = users.len() < LISTED_AT_ONCE as usize;
            let ids = users.into_iter().filter_map(|user| user.user_id);
            for user in ids.filter_map(|id| UserId::new(&id).ok()) {
                let owner = Owner::User(user);
                if caller.reaches(&owner) {
                    found.push(owner);
                }
            }
            if last || found.truncated {
                break;
            }
        }
        Ok(())
    }

    async fn each_agent(&self, caller: &Caller, found: &mut Owners) -> Result<()> {
        if let Some(agents) = caller.listed_agents() {
            for agent in agents {
                found.push(Owner::Graph(agent.graph()));
            }
            return Ok(());
        }
        for number in 1.. {
            let page = PageNumber {
                number,
                size: LISTED_AT_ONCE,
            };
            let graphs = self.zep().list_graphs(page).await?.graphs;
            let last = graphs.len() < LISTED_AT_ONCE as usize;
            let ids = graphs.into_iter().filter_map(|graph| graph.graph_id);
            for graph in ids.filter_map(|id| GraphId::new(&id).ok()) {
                let owner = Owner::Graph(graph);
                if is_agents(&owner) && caller.reaches(&owner) {
                    found.push(owner);
                }
            }
            if last || found.truncated {
                break;
            }
        }
        Ok(())
    }
}

/// Whether it is the graph of an agent: graphs of other programs are none of ours.
fn is_agents(owner: &Owner) -> bool {
    match owner {
        Owner::Graph(graph) => AgentId::of_graph(graph).is_some(),
        Owner::User(_) => false,
    }
}
