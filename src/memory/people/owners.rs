//! The owners that a filter can reach, and all owners within a caller's reach.

use crate::memory::{
    Error, Result,
    access::{self, Caller, Right},
    filter::Filter,
    model::{AgentId, Owner, UserId},
    service::MemoryService,
};
use crate::zep::GraphId;

/// The most owners of one query. Ours: each costs requests of its own.
pub(crate) const MAX_OWNERS: usize = 100;

/// How many owners are queried at the same time.
pub(crate) const SIDE_BY_SIDE: usize = 4;

/// Owners to query.
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
    /// The owners that both the filter and the caller can reach: those that the filter names, and
    /// if it means all, the existing users and agents, at most 100.
    pub(crate) async fn owners_in_reach(&self, caller: &Caller, filter: &Filter) -> Result<Owners> {
        let reach = filter.reach(self.default_user(caller));
        let mut found = Owners::default();
        for owner in reach.owners {
            caller.may(Right::Read, &owner)?;
            self.admits(&owner).await?;
            found.push(owner);
        }
        if reach.all_users {
            self.each_user(caller, &mut found).await?;
        }
        if reach.all_agents {
            self.each_agent(caller, &mut found).await?;
        }
        if reach.all_users || reach.all_agents {
            let (users, agents) = (reach.all_users, reach.all_agents);
            self.each_in_mem0(caller, users, agents, &mut found).await?;
            self.leave_out_suspended(&mut found).await?;
        }
        // All of them are queried.
        for owner in &found.owners {
            access::note(Right::Read, owner);
        }
        Ok(found)
    }

    /// Leaves out those whose memories may not be used.
    async fn leave_out_suspended(&self, found: &mut Owners) -> Result<()> {
        let mut admitted = Vec::with_capacity(found.owners.len());
        for owner in std::mem::take(&mut found.owners) {
            match self.admits(&owner).await {
                Ok(()) => admitted.push(owner),
                Err(Error::Suspended { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.owners = admitted;
        Ok(())
    }

    /// All users and agents within the caller's reach, at most 100.
    pub(crate) async fn everybody(&self, caller: &Caller) -> Result<Owners> {
        let mut found = Owners::default();
        self.each_user(caller, &mut found).await?;
        self.each_agent(caller, &mut found).await?;
        Ok(found)
    }

    /// Users or agents that are mem0's.
    async fn each_in_mem0(
        &self,
        caller: &Caller,
        users: bool,
        agents: bool,
        found: &mut Owners,
    ) -> Result<()> {
        for owner in self.owners_in_mem0(MAX_OWNERS + 1).await? {
            let wanted = match &owner {
                Owner::User(_) => users,
                Owner::Graph(_) => agents,
            };
            if wanted && caller.reaches(&owner) {
                found.push(owner);
            }
        }
        Ok(())
    }

    async fn each_user(&self, caller: &Caller, found: &mut Owners) -> Result<()> {
        if self.only_mem0().is_some() {
            return Ok(());
        }
        // Others are neither asked for nor looked at.
        if let Some(users) = caller.listed_users() {
            for user in users {
                found.push(Owner::User(user.clone()));
            }
            return Ok(());
        }
        let mut pages = self.zep().users();
        while !found.truncated
            && let Some(page) = pages.next().await?
        {
            let ids = page.items.into_iter().filter_map(|user| user.user_id);
            for user in ids.filter_map(|id| UserId::new(&id).ok()) {
                let owner = Owner::User(user);
                if caller.reaches(&owner) {
                    found.push(owner);
                }
            }
        }
        Ok(())
    }

    async fn each_agent(&self, caller: &Caller, found: &mut Owners) -> Result<()> {
        if self.only_mem0().is_some() {
            return Ok(());
        }
        if let Some(agents) = caller.listed_agents() {
            for agent in agents {
                found.push(Owner::Graph(agent.graph()));
            }
            return Ok(());
        }
        let mut pages = self.zep().graphs();
        while !found.truncated
            && let Some(page) = pages.next().await?
        {
            let ids = page.items.into_iter().filter_map(|graph| graph.graph_id);
            for graph in ids.filter_map(|id| GraphId::new(&id).ok()) {
                let owner = Owner::Graph(graph);
                if is_agents(&owner) && caller.reaches(&owner) {
                    found.push(owner);
                }
            }
        }
        Ok(())
    }
}

/// Whether this is an agent's graph: graphs of other programs are ignored.
fn is_agents(owner: &Owner) -> bool {
    match owner {
        Owner::Graph(graph) => AgentId::of_graph(graph).is_some(),
        Owner::User(_) => false,
    }
}
