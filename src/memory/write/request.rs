//! Adding memories: the request, the answer, and where records go.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::memory::{
    Away, Error, Result,
    mem0::Accepted,
    model::{
        AddedMemory, AgentId, Change, MemoryKind, Owner, Place, RecordId, Scope, SessionId, Uuid,
    },
    queue::queue_id,
    record::draft::{self, Draft},
    record::fit::{Carrier, Level, Ours, Speaker},
    service::MemoryService,
    write::job::{Known, WriteJob},
    write::locks::Share,
};
use crate::zep;

/// The most messages of one call.
pub const MAX_MESSAGES: usize = 1_000;

/// Memories to add.
#[derive(Debug, Clone, Default)]
pub struct NewMemories {
    /// The owner.
    pub scope: Scope,
    /// A plain text. Not stored if there are messages (as in mem0).
    pub text: Option<String>,
    /// Turns of a conversation, oldest first.
    pub messages: Vec<NewTurn>,
    /// The caller's own fields, kept whole with every record of the call.
    pub metadata: Map<String, Value>,
    /// What kind of memory it is.
    pub kind: Option<MemoryKind>,
    /// When it happened; now, if left out.
    pub created_at: Option<Timestamp>,
    /// Makes the call repeatable: what an earlier call with the same key stored is not stored
    /// again.
    pub idempotency_key: Option<RecordId>,
}

/// One turn of a conversation.
#[derive(Debug, Clone)]
pub struct NewTurn {
    /// The speaker's role, in any word that the guide maps.
    pub role: String,
    /// What was said.
    pub content: String,
    /// The speaker's name.
    pub name: Option<String>,
    /// When it was said; the time of the call, if left out.
    pub created_at: Option<Timestamp>,
    /// Fields of this turn alone, which take precedence over the call's.
    pub metadata: Map<String, Value>,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Added {
    /// The owner.
    pub owner: Owner,
    /// The session, if it went to one.
    pub session: Option<SessionId>,
    /// One for each record, in the order given.
    pub memories: Vec<AddedMemory>,
    /// Whether a text was given beside messages and therefore not stored.
    pub text_ignored: bool,
    /// Why Zep does not have them yet, where it does not: they are safe in the queue, under ids that stay
    /// valid.
    pub queued: Option<Away>,
    /// What mem0 answered, if it took them.
    pub in_mem0: Option<Accepted>,
    /// Whether what is queued is mem0's as it is now: its owner is not moved to Zep.
    pub for_mem0: bool,
}

impl MemoryService {
    /// Writes the records of a request.
    pub(crate) async fn write(
        &self,
        request: &Request,
        records: Vec<Draft>,
        known: Known,
        sent_before: bool,
        share: Option<Share>,
    ) -> Result<Vec<AddedMemory>> {
        let write = WriteJob {
            service: self.clone(),
            records,
            place: request.place(),
            key: request.key.clone(),
            known,
            sent_before,
            turn: None,
            share,
        };
        write.finish_even_if_dropped().await
    }
}

/// A request whose outcome does not depend on when it is carried out, and by whichever process.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What to add. The user is named, unless it goes to an agent's own graph.
    pub(crate) new: NewMemories,
    /// What makes it repeatable: the caller's, or a fresh one.
    pub(crate) key: RecordId,
    /// Whether the key is the caller's: an earlier call may have stored some of it.
    pub(crate) is_keyed: bool,
    /// When it was made: the time of whatever has none.
    pub(crate) made_at: Timestamp,
    /// What was changed of its memories since, oldest first.
    pub(crate) edits: Vec<Edited>,
}

/// A change of one of the memories of a request that waits in the queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edited {
    /// The memory's index.
    pub(crate) of: usize,
    /// Whether nothing had been sent then: it is sent as it was changed, or not at all.
    pub(crate) unsent: bool,
    /// The change.
    pub(crate) edit: Edit,
}

/// What is done to a memory that waits in the queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Edit {
    /// It is deleted.
    Delete,
    /// It is changed.
    Update(Change),
}

impl Request {
    /// The request of a call.
    pub(crate) fn new(mut new: NewMemories, owner: &Owner) -> Self {
        if let Owner::User(user) = owner {
            new.scope.user = Some(user.clone());
        }
        let is_keyed = new.idempotency_key.is_some();
        let key = new.idempotency_key.take().unwrap_or_else(RecordId::fresh);
        let made_at = draft::now();
        Self {
            new,
            key,
            is_keyed,
            made_at,
            edits: Vec::new(),
        }
    }

    /// Where it goes.
    pub(crate) fn place(&self) -> Place {
        let scope = &self.new.scope;
        match (&scope.user, &scope.agent, scope.session.clone()) {
            (Some(user), _, Some(session)) => Place::Session(user.clone(), session),
            (Some(user), _, None) if !self.new.messages.is_empty() => {
                Place::Session(user.clone(), SessionId::default_session())
            }
            (Some(user), _, None) => Place::Graph(Owner::User(user.clone())),
            // `new` names the user of every other scope.
            (None, agent, _) => Place::Graph(Owner::Graph(
                agent
                    .as_ref()
                    .map_or_else(|| unreachable!("an owner"), AgentId::graph),
            )),
        }
    }

    /// What is answered.
    pub(crate) fn added(&self, memories: Vec<AddedMemory>, queued: Option<Away>) -> Added {
        let place = self.place();
        Added {
            owner: place.owner(),
            session: place.session().cloned(),
            memories,
            text_ignored: !self.new.messages.is_empty() && self.new.text.is_some(),
            queued,
            in_mem0: None,
            for_mem0: false,
        }
    }

    /// What is answered where mem0 took them.
    pub(crate) fn passed(&self, accepted: Accepted) -> Added {
        let memories = accepted.memories.iter().map(|(id, text)| AddedMemory {
            id: Uuid(id.clone()),
            content: text.clone(),
        });
        Added {
            in_mem0: Some(accepted.clone()),
            ..self.added(memories.collect(), None)
        }
    }

    /// Notes a change. Of several changes of one memory only the last of each field is kept, so that a
    /// request does not grow with each.
    pub(crate) fn edit(&mut self, new: Edited) {
        let same = |old: &Edited| old.of == new.of && old.unsent == new.unsent;
        let Edit::Update(change) = &new.edit else {
            self.edits.retain(|old| old.of != new.of);
            self.edits.push(new);
            return;
        };
        match self
            .edits
            .iter_mut()
            .find(|old| same(old))
            .map(|old| &mut old.edit)
        {
            Some(Edit::Update(old)) => {
                let Change { text, metadata } = change.clone();
                old.text = text.or(old.text.take());
                old.metadata = metadata.or(old.metadata.take());
            }
            _ => self.edits.push(new),
        }
    }

    /// The deletion of this memory of it, if it was deleted since.
    pub(crate) fn deletion(&self, index: usize) -> Option<&Edited> {
        let mut edits = self.edits.iter();
        edits.find(|edited| edited.of == index && edited.edit == Edit::Delete)
    }

    /// The changes of this memory of it since: those before it was sent, or after.
    pub(crate) fn updates(&self, index: usize, unsent: bool) -> impl Iterator<Item = &Change> {
        self.edits
            .iter()
            .filter_map(move |edited| match &edited.edit {
                Edit::Update(change) if edited.of == index && edited.unsent == unsent => {
                    Some(change)
                }
                _ => None,
            })
    }

    /// The records that it makes, as they are sent.
    ///
    /// # Errors
    /// [`crate::memory::Error::Invalid`] names the argument that does not fit.
    pub(crate) fn records(&self) -> Result<Vec<Draft>> {
        let mut records = self.first_records()?;
        for (index, record) in records.iter_mut().enumerate() {
            self.updates(index, true)
                .for_each(|change| record.change(change));
        }
        Ok(records)
    }

    /// The ids of its records while Zep does not have them.
    pub(crate) fn ids(&self, records: &[Draft]) -> Vec<Uuid> {
        let (place, owner) = (self.place(), self.place().owner());
        let ids = records.iter();
        ids.map(|record| queue_id(&owner, place.session(), record.id()))
            .collect()
    }

    /// Whether these are the same records.
    pub(crate) fn is_repeated_by(&self, others: &[Draft]) -> bool {
        let Ok(own) = self.first_records() else {
            return false;
        };
        let same =
            |own: &Draft, other: &Draft| own.id() == other.id() && own.content == other.content;
        own.len() == others.len() && own.iter().zip(others).all(|(own, other)| same(own, other))
    }

    fn first_records(&self) -> Result<Vec<Draft>> {
        let carrier = Carrier::at(&self.place());
        drafts(self.new.clone(), &self.key, self.made_at, carrier)
    }
}

/// Turns a call into records, and checks that each fits.
fn drafts(
    new: NewMemories,
    key: &RecordId,
    now: Timestamp,
    carrier: Carrier,
) -> Result<Vec<Draft>> {
    let NewMemories {
        scope,
        text,
        messages,
        metadata,
        kind,
        created_at,
        ..
    } = new;
    let mut ours = Ours::new(key.clone());
    ours.memory_type = kind;
    // An agent's own graph needs no mark of the agent.
    ours.agent = scope
        .agent
        .filter(|_| scope.user.is_some() || scope.session.is_some());
    ours.app = scope.app;
    if messages.is_empty() {
        let content = text.ok_or_else(|| {
            Error::invalid("text", "is missing; give `text`, `messages`, or both")
        })?;
        let record = Draft {
            ours,
            role: zep::Role::User,
            name: None,
            content,
            created_at: created_at.unwrap_or(now),
            metadata,
            carrier,
        };
        record
            .fit(Level::Normal)
            .map_err(|error| draft::named(&error, "text", "metadata"))?;
        return Ok(vec![record]);
    }
    if messages.len() > MAX_MESSAGES {
        let problem = format!(
            "has {} entries; one call takes at most {MAX_MESSAGES}: send them in several calls",
            messages.len()
        );
        return Err(Error::invalid("messages", problem));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(index, turn)| {
            let mut ours = ours.clone();
            ours.record = key.nth(index);
            // Undated turns of one call get consecutive times.
            let said = turn.created_at.or(created_at);
            let time = said.unwrap_or_else(|| after(now, index));
            let record = of_turn(turn, ours, &metadata, time, carrier);
            record.fit(Level::Normal).map_err(|error| {
                let content = format!("messages[{index}].content");
                draft::named(&error, &content, "metadata")
            })?;
            Ok(record)
        })
        .collect()
}

fn of_turn(
    turn: NewTurn,
    mut ours: Ours,
    metadata: &Map<String, Value>,
    created_at: Timestamp,
    carrier: Carrier,
) -> Draft {
    let speaker = Speaker {
        role: turn.role,
        name: turn.name,
    };
    let (role, name) = draft::spoken(speaker, &mut ours, carrier);
    let mut metadata = metadata.clone();
    metadata.extend(turn.metadata);
    Draft {
        ours,
        role,
        name,
        content: turn.content,
        created_at,
        metadata,
        carrier,
    }
}

fn after(time: Timestamp, index: usize) -> Timestamp {
    let later = SignedDuration::from_micros(i64::try_from(index).unwrap_or(0));
    time.checked_add(later).unwrap_or(time)
}
