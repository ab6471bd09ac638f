//! What restricts a search or a listing within one owner's memories.

use super::{
    filter::{Candidate, Filter},
    model::{AgentId, AppId, Owner, SessionId, Uuid},
    shown::{self, Form, Memory, Source},
};
use crate::zep::ThreadId;

/// Restrictions that Zep's search does not know.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// Only this session, which is this thread.
    pub(super) session: Option<(SessionId, ThreadId)>,
    /// Only what this agent stored.
    pub(super) agent: Option<AgentId>,
    /// Only what was stored for this app.
    pub(super) app: Option<AppId>,
    /// Only what matches.
    pub(super) filter: Option<Filter>,
}

impl Condition {
    /// Whether nothing is restricted.
    pub(super) fn is_none(&self) -> bool {
        self.session.is_none()
            && self.agent.is_none()
            && self.app.is_none()
            && self.filter.is_none()
    }

    /// Whether a record meets it.
    pub(super) fn admits(&self, memory: &Memory) -> bool {
        self.admits_place(
            memory.session.as_deref(),
            memory.agent.as_deref(),
            memory.app.as_deref(),
        ) && self.filter.as_ref().is_none_or(|filter| {
            // A fact can be named by what it was drawn from, too.
            let ids: Vec<&str> = [&memory.id]
                .into_iter()
                .chain(&memory.sources)
                .map(Uuid::as_str)
                .collect();
            filter.matches(&Candidate {
                ids: &ids,
                text: &memory.text,
                user: memory.user(),
                agent: memory.agent.as_deref(),
                app: memory.app.as_deref(),
                run: memory.session.as_deref(),
                created_at: memory.created_at,
                updated_at: memory.updated_at.or(memory.created_at),
                categories: &memory.categories(),
                metadata: &memory.metadata,
            })
        })
    }

    /// Whether a stored episode, which may be a part of a record, meets it.
    pub(super) fn admits_source(&self, source: &Source, owner: &Owner) -> bool {
        let ids = [source.id.as_str()];
        self.admits_as(source, shown::user_of(owner), &ids, &source.text)
    }

    /// Whether a fact meets it: as it is shown, or in the place of any episode that it was drawn
    /// from. A fact of two sessions is a fact of each of them.
    pub(super) fn admits_fact(&self, fact: &Memory, sources: &[&Source]) -> bool {
        if self.is_none() || self.admits(fact) {
            return true;
        }
        let user = fact.user();
        sources.iter().any(|source| {
            let ids = [fact.id.as_str(), source.id.as_str()];
            self.admits_as(source, user, &ids, &fact.text)
                || self.admits_as(source, user, &ids, &source.text)
        })
    }

    fn admits_as(&self, source: &Source, user: Option<&str>, ids: &[&str], text: &str) -> bool {
        self.admits_place(
            source.session.as_deref(),
            source.agent.as_deref(),
            source.app.as_deref(),
        ) && self.filter.as_ref().is_none_or(|filter| {
            filter.matches(&Candidate {
                ids,
                text,
                user,
                agent: source.agent.as_deref(),
                app: source.app.as_deref(),
                run: source.session.as_deref(),
                created_at: source.created_at,
                updated_at: source.updated_at.or(source.created_at),
                categories: &shown::categories(&source.metadata),
                metadata: &source.metadata,
            })
        })
    }

    fn admits_place(&self, session: Option<&str>, agent: Option<&str>, app: Option<&str>) -> bool {
        let same = |wanted: Option<&str>, there| wanted.is_none() || wanted == there;
        let wanted = self.session.as_ref().map(|(session, _)| session.as_str());
        same(wanted, session)
            && same(self.agent.as_ref().map(AgentId::as_str), agent)
            && same(self.app.as_ref().map(AppId::as_str), app)
    }

    /// Whether this form can meet it at all: entities have no place in a session.
    pub(super) fn admits_form(&self, form: Form) -> bool {
        form != Form::Entity || self.is_none()
    }
}
