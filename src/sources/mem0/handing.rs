//! Each memory once, interpreted as in an export.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::entity::{Entity, EntityKind};
use super::kept::Raw;
use crate::sources::payload;
use crate::sources::{
    Defect, Entry, Gone, Position, Problem, ReadError, Severity, Sink, SourceItem, interpret_object,
};

/// The fields that a history entry takes over from its memory.
const NAMES: [&str; 5] = ["user_id", "agent_id", "app_id", "session_id", "run_id"];

/// Where memories go.
pub(in crate::sources) struct Handing<'s> {
    sink: &'s mut dyn Sink,
    /// The entities whose memories are read. A memory is listed with each of its entities, and handed
    /// on with the first of them.
    entities: HashSet<Entity>,
    today: Date,
    /// How many memories were handed on or reported as lost, and how many there are.
    pub(in crate::sources) handed: u64,
    pub(in crate::sources) total: Option<u64>,
    /// Whether something that kept memories from being read was reported.
    pub(super) troubled: bool,
}

/// A memory that was handed on and that is not gone.
pub(super) struct Handed {
    pub(super) id: String,
    position: Position,
    names: Map<String, Value>,
}

impl<'s> Handing<'s> {
    pub(in crate::sources) fn new(sink: &'s mut dyn Sink) -> Self {
        Self {
            sink,
            entities: HashSet::new(),
            today: Timestamp::now().to_zoned(TimeZone::UTC).date(),
            handed: 0,
            total: None,
            troubled: false,
        }
    }

    /// The entities whose memories will be read.
    pub(super) fn expect(&mut self, entities: impl IntoIterator<Item = Entity>) {
        self.entities.extend(entities);
    }

    /// Reports what keeps memories from being read, or is strange about them.
    pub(in crate::sources) fn trouble(
        &mut self,
        position: impl Display,
        severity: Severity,
        reason: impl Into<String>,
    ) -> Result<(), ReadError> {
        self.troubled |= severity != Severity::Warning;
        self.problem(
            Position(position.to_string()),
            None,
            severity,
            Defect::whole(reason),
        )
    }

    /// Hands on what mem0 says of an entity: only users are more than a name.
    pub(super) fn entity(&mut self, description: Value, position: String) -> Result<(), ReadError> {
        interpret_object(description, Position(position), self.sink)
    }

    /// The object that a memory came as; if it is none, it is reported as lost.
    pub(in crate::sources) fn object(
        &mut self,
        position: &Position,
        json: &str,
    ) -> Result<Option<Map<String, Value>>, ReadError> {
        let reason = match serde_json::from_str(json) {
            Ok(Value::Object(object)) => return Ok(Some(object)),
            Ok(_) => "is not an object",
            Err(_) => "cannot be read: a number or an escape in it is not valid JSON",
        };
        self.lost(position.clone(), None, Defect::whole(reason))?;
        Ok(None)
    }

    /// Hands on a memory that is in one list only.
    pub(in crate::sources) fn whole(
        &mut self,
        memory: Value,
        position: Position,
    ) -> Result<(), ReadError> {
        self.handed += 1;
        interpret_object(memory, position, self.sink)
    }

    /// Hands on a memory from the list of an entity, or from a list of everybody's, unless it is in
    /// the list of another one.
    pub(super) fn memory(
        &mut self,
        raw: &Raw,
        of: Option<&Entity>,
        list: impl Display,
        include_expired: bool,
    ) -> Result<Option<Handed>, ReadError> {
        let position = Position(format!("{list}, page {}, results[{}]", raw.page, raw.index));
        let Some(mut object) = self.object(&position, &raw.json)? else {
            return Ok(None);
        };
        let id = object.get("id").and_then(Value::as_str).map(str::to_owned);
        // Zep has what it is a copy of.
        if payload::is_copy(&mut object) {
            self.handed += 1;
            return Ok(None);
        }
        if let Some(asked) = of {
            asked.complete(&mut object);
            if asked.kind.of(&object).as_ref() != Some(asked) {
                let reason = "is another one than mem0 was asked for";
                self.lost(position, id, Defect::of(asked.kind.field(), reason))?;
                return Ok(None);
            }
        }
        let mut named = EntityKind::ALL
            .into_iter()
            .filter_map(|kind| kind.of(&object));
        let first = named.find(|entity| self.entities.contains(entity));
        if first.as_ref() != of {
            return Ok(None);
        }
        let names = NAMES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), object.get(name)?.clone())))
            .collect();
        let mut noting = Noting {
            sink: self.sink,
            today: self.today,
            include_expired,
            is_gone: false,
        };
        interpret_object(Value::Object(object), position.clone(), &mut noting)?;
        let is_gone = noting.is_gone;
        self.handed += 1;
        Ok(id.filter(|_| !is_gone).map(|id| Handed {
            id,
            position,
            names,
        }))
    }

    /// Hands on the history of a memory: the turns that it was made from.
    pub(super) fn history(
        &mut self,
        memory: &Handed,
        entries: Vec<Value>,
    ) -> Result<(), ReadError> {
        for (index, mut entry) in entries.into_iter().enumerate() {
            if let Value::Object(entry) = &mut entry {
                for kind in EntityKind::ALL {
                    if let (None, Some(entity)) = (kind.of(entry), kind.of(&memory.names)) {
                        entity.complete(entry);
                    }
                }
            }
            let position = Position(format!("{}, history[{index}]", memory.position));
            interpret_object(entry, position, self.sink)?;
        }
        Ok(())
    }

    /// Reports that the history of a memory cannot be read.
    pub(super) fn no_history(
        &mut self,
        memory: &Handed,
        reason: impl Display,
    ) -> Result<(), ReadError> {
        self.problem(
            memory.position.clone(),
            Some(memory.id.clone()),
            Severity::Other,
            Defect::of("history", format!("cannot be read: {reason}")),
        )
    }

    pub(in crate::sources) fn progress(&mut self) {
        let total = self.total.map(|total| total.max(self.handed));
        self.sink.progress(self.handed, total);
    }

    /// Reports a memory that cannot be handed on.
    pub(in crate::sources) fn lost(
        &mut self,
        position: Position,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), ReadError> {
        self.handed += 1;
        self.problem(position, record, Severity::Record, defect)
    }

    fn problem(
        &mut self,
        position: Position,
        record: Option<String>,
        severity: Severity,
        defect: Defect,
    ) -> Result<(), ReadError> {
        let problem = SourceItem::Problem(Problem {
            position,
            record,
            severity,
            defect,
        });
        match self.sink.item(problem) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReadError::Stopped),
        }
    }
}

/// Passes items on, and notes whether a memory must not be shown any more.
struct Noting<'s> {
    sink: &'s mut dyn Sink,
    today: Date,
    include_expired: bool,
    is_gone: bool,
}

impl Sink for Noting<'_> {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        if let SourceItem::Entry(Entry::Record(record)) = &item {
            let is_expired = record.expires.is_some_and(|day| day < self.today);
            self.is_gone |= match record.gone {
                Some(Gone::Deleted) => true,
                Some(Gone::Retired) => !self.include_expired,
                None => is_expired && !self.include_expired,
            };
        }
        self.sink.item(item)
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.sink.progress(done, total);
    }
}
