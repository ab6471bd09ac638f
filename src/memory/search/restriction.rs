//! Restrictions of a search or a listing within one owner's memories.

use crate::memory::{
    filter::{Candidate, Filter},
    model::{AgentId, AppId, Owner, SessionId, Uuid},
    record::view::{self, Form, Memory, SourceView},
};
use crate::zep::ThreadId;

/// Restrictions that Zep's search does not support.
#[derive(Debug, Clone, Default)]
pub(crate) struct Restriction {
    /// Only this session and its thread.
    pub(crate) session: Option<(SessionId, ThreadId)>,
    /// Only what this agent stored.
    pub(crate) agent: Option<AgentId>,
    /// Only what was stored for this app.
    pub(crate) app: Option<AppId>,
    /// Only what matches this filter.
    pub(crate) filter: Option<Filter>,
}

impl Restriction {
    /// Whether nothing is restricted.
    pub(crate) fn is_none(&self) -> bool {
        self.session.is_none()
            && self.agent.is_none()
            && self.app.is_none()
            && self.filter.is_none()
    }

    /// Whether a record meets it.
    pub(crate) fn admits(&self, memory: &Memory) -> bool {
        // A fact can be named by its sources, too.
        let ids: Vec<&str> = [&memory.id]
            .into_iter()
            .chain(&memory.sources)
            .map(Uuid::as_str)
            .collect();
        self.admits_candidate(&Candidate {
            ids: &ids,
            text: &memory.text,
            user: memory.user(),
            agent: memory.agent.as_deref(),
            app: memory.app.as_deref(),
            run: memory.session.as_deref(),
            created_at: memory.created_at,
            updated_at: memory.updated_at.or(memory.created_at),
            memory_type: memory.memory_type.as_deref(),
            role: memory.role.as_deref(),
            actor: memory.name.as_deref(),
            categories: &memory.categories(),
            metadata: &memory.metadata,
        })
    }

    /// Whether a stored episode, possibly a part of a record, meets it.
    pub(crate) fn admits_source(&self, source: &SourceView, owner: &Owner) -> bool {
        self.admits_candidate(&Candidate {
            ids: &[source.id.as_str()],
            text: &source.text,
            user: view::user_of(owner),
            agent: source.agent.as_deref(),
            app: source.app.as_deref(),
            run: source.session.as_deref(),
            created_at: source.created_at,
            updated_at: source.updated_at.or(source.created_at),
            memory_type: source.memory_type.as_deref(),
            role: source.role.as_deref(),
            actor: source.name.as_deref(),
            categories: &view::categories(&source.metadata),
            metadata: &source.metadata,
        })
    }

    /// Whether a fact meets it: as shown, or in the place of any of its sources. A fact of two
    /// sessions belongs to both. A fact changed here is judged by its own text and fields.
    pub(crate) fn admits_fact(&self, fact: &Memory, sources: &[&SourceView]) -> bool {
        if self.is_none() || self.admits(fact) {
            return true;
        }
        let is_changed = fact.is_changed_fact;
        sources.iter().any(|source| {
            let metadata = match is_changed {
                true => &fact.metadata,
                false => &source.metadata,
            };
            let there = Candidate {
                ids: &[fact.id.as_str(), source.id.as_str()],
                text: &fact.text,
                user: fact.user(),
                agent: source.agent.as_deref(),
                app: source.app.as_deref(),
                run: source.session.as_deref(),
                created_at: source.created_at,
                updated_at: match is_changed {
                    true => fact.updated_at,
                    false => source.updated_at.or(source.created_at),
                },
                memory_type: source.memory_type.as_deref(),
                role: source.role.as_deref(),
                actor: source.name.as_deref(),
                categories: &view::categories(metadata),
                metadata,
            };
            let in_its_words = Candidate {
                text: &source.text,
                ..there
            };
            self.admits_candidate(&there) || !is_changed && self.admits_candidate(&in_its_words)
        })
    }

    fn admits_candidate(&self, candidate: &Candidate<'_>) -> bool {
        let same = |wanted: Option<&str>, there| wanted.is_none() || wanted == there;
        let session = self.session.as_ref().map(|(session, _)| session.as_str());
        same(session, candidate.run)
            && same(self.agent.as_ref().map(AgentId::as_str), candidate.agent)
            && same(self.app.as_ref().map(AppId::as_str), candidate.app)
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(candidate))
    }

    /// Whether this form can meet it at all: entities belong to no session.
    pub(crate) fn admits_form(&self, form: Form) -> bool {
        form != Form::Entity || self.is_none()
    }
}
