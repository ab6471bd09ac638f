//! The state of the parser: where it is in the input, what surrounds it, and what it has found.

use std::{cell::RefCell, fmt::Write};

use serde::de::{Error, MapAccess};
use serde_json::Value;

use super::budget::{Budget, MAX_DEPTH, Unkept};
use super::container::ContainerFields;
use super::fields::id_text;
use super::input::Input;
use super::interpret::{ItemKind, Meaning, interpret};
use super::map::ListedBy;
use super::mend::Mended;
use super::output::{Output, Suspicion};
use super::twice::Twice;
use crate::sources::{
    Container, ContainerId, Defect, Explained, IdKind, Origin, Position, ReadError,
};

/// How many characters of a name from the source are shown.
const SHOWN: usize = 100;

/// The parser of the values of one export.
pub(super) struct Parser<'a, 's, 'r> {
    pub(super) input: &'a RefCell<Input<'r>>,
    pub(super) budget: Budget,
    output: &'a mut Output<'s>,
    /// What positions in the value begin with.
    root: Root,
    pub(super) path: Vec<Segment>,
    depth: usize,
    /// The innermost container.
    pub(super) container: Option<ContainerId>,
    /// A field that is twice in the value that was read last.
    pub(super) twice: Option<Twice>,
    /// What was mended since the last item, at worst.
    mended: Option<Mended>,
    containers: ContainerId,
    /// What is known of the key that the items are listed by.
    pub(super) listed: ListedBy,
    stopped: bool,
}

/// Where a value is.
pub(super) enum Root {
    /// The first document, at this line: positions in it are paths alone.
    Document(u64),
    /// A further value, at this line.
    Line(u64),
    /// An object of a source that is no file.
    Object(Position),
}

pub(super) enum Segment {
    Field(String),
    Id(String),
    Index(u64),
}

impl<'a, 's, 'r> Parser<'a, 's, 'r> {
    pub(super) fn new(input: &'a RefCell<Input<'r>>, output: &'a mut Output<'s>) -> Self {
        Self {
            input,
            budget: Budget::new(),
            output,
            root: Root::Document(1),
            path: Vec::new(),
            depth: 0,
            container: None,
            twice: None,
            mended: None,
            containers: 0,
            listed: ListedBy::default(),
            stopped: false,
        }
    }

    /// Begins a value.
    pub(super) fn begin(&mut self, root: Root) {
        self.root = root;
        self.path.clear();
        self.depth = 0;
        self.container = None;
        self.budget = Budget::new();
        self.input.borrow_mut().boundary();
    }

    /// Whether the sink asked for no more.
    pub(super) fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Goes one level deeper, if that is allowed. Then [`Self::leave`] must follow.
    pub(super) fn enter(&mut self) -> bool {
        let deeper = self.depth < MAX_DEPTH;
        self.depth += usize::from(deeper);
        deeper
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Marks that a name or a value was read.
    pub(super) fn boundary(&mut self) {
        let mut input = self.input.borrow_mut();
        if input.boundary() {
            self.budget.unkept.get_or_insert(Unkept::Size);
        }
        match input.mended() {
            None => {}
            Some(Mended::NotUtf8) => {
                self.budget.unkept.get_or_insert(Unkept::Encoding);
            }
            mended => self.mended = self.mended.max(mended),
        }
    }

    pub(super) fn key<'de, A: MapAccess<'de>>(
        &mut self,
        object: &mut A,
    ) -> Result<Option<String>, A::Error> {
        let key = object.next_key()?;
        self.boundary();
        Ok(key)
    }

    pub(super) fn next_container(&mut self) -> ContainerId {
        self.containers += 1;
        self.containers
    }

    /// Interprets an item and hands it on.
    pub(super) fn item<E: Error>(&mut self, kind: &ItemKind, value: Value) -> Result<(), E> {
        let origin = Origin {
            position: self.position(),
            container: self.container,
            part_of: None,
        };
        let id = value.get("id").and_then(id_text);
        let position = origin.position.clone();
        let mut warnings = Vec::new();
        warnings.extend(
            self.mended
                .take()
                .map(|mended| Defect::whole(mended.reason())),
        );
        let sent = match interpret(kind, value, origin, &mut warnings) {
            Ok(meaning) => {
                if let Meaning::Entry(entry) = &meaning {
                    self.listed.note(entry);
                }
                self.output.entry(meaning)
            }
            Err(defect) => self.output.lost(position.clone(), id.clone(), defect),
        };
        self.sent(sent)?;
        for defect in warnings {
            let sent = self.output.warning(position.clone(), id.clone(), defect);
            self.sent(sent)?;
        }
        Ok(())
    }

    /// Hands on that something is no memory.
    pub(super) fn left_out<E: Error>(&mut self, what: &'static str) -> Result<(), E> {
        let sent = self.output.entry(Meaning::LeftOut(what));
        self.sent(sent)
    }

    /// Hands on a field that a migration has no place for.
    pub(super) fn unplaced<E: Error>(&mut self, field: String) -> Result<(), E> {
        let sent = self.output.unplaced(field);
        self.sent(sent)
    }

    /// Hands on what ids mean within a container.
    pub(super) fn explain<E: Error>(
        &mut self,
        container: ContainerId,
        all: impl IntoIterator<Item = (IdKind, String, String)>,
    ) -> Result<(), E> {
        for (kind, id, name) in all {
            let sent = self.output.explained(Explained {
                container,
                kind,
                id,
                name,
            });
            self.sent(sent)?;
        }
        Ok(())
    }

    /// Hands on that an item cannot be kept.
    pub(super) fn lost<E: Error>(
        &mut self,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), E> {
        let sent = self.output.lost(self.position(), record, defect);
        self.sent(sent)
    }

    /// Hands on that something is not as it should be, and costs nothing.
    pub(super) fn warn<E: Error>(
        &mut self,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), E> {
        let sent = self.output.warning(self.position(), record, defect);
        self.sent(sent)
    }

    /// Hands on a container.
    pub(super) fn container_ended<E: Error>(
        &mut self,
        id: ContainerId,
        fields: ContainerFields,
    ) -> Result<(), E> {
        let container = Container {
            id,
            parent: self.container,
            names: fields.names,
            exported_at: fields.exported_at,
            user_of_rest: None,
            unsure: fields.unsure,
            gone: fields.gone,
        };
        if let Some(field) = fields.narrowed {
            let reason =
                "says that the export is of a part only: what is not in it is not migrated";
            self.warn(None, Defect::of(field, reason))?;
        }
        let sent = self
            .output
            .container(container, fields.unplaced, fields.more_pages);
        self.sent(sent)
    }

    /// Hands on a problem at the current position, from within the value.
    pub(super) fn report<E: Error>(
        &mut self,
        suspicion: Suspicion,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), E> {
        let sent = self
            .output
            .problem(suspicion, self.position(), record, defect);
        self.sent(sent)
    }

    /// Hands on that a value is nested too deep.
    pub(super) fn too_deep<E: Error>(&mut self) -> Result<(), E> {
        let defect = Defect::whole(Unkept::Depth.reason());
        self.report(Suspicion::None, None, defect)
    }

    /// Hands on that the syntax is broken at the current position.
    pub(super) fn broken_syntax(&mut self, reason: String) -> Result<(), ReadError> {
        let defect = Defect::whole(reason);
        self.output
            .problem(Suspicion::Syntax, self.position(), None, defect)
    }

    /// Makes serde stop where the sink asked for no more.
    fn sent<E: Error>(&mut self, sent: Result<(), ReadError>) -> Result<(), E> {
        sent.map_err(|stopped| {
            self.stopped = true;
            E::custom(stopped)
        })
    }

    /// The innermost field around the value.
    pub(super) fn innermost_field(&self) -> Option<String> {
        let fields = self.path.iter().rev();
        fields.into_iter().find_map(|segment| match segment {
            Segment::Field(name) => Some(shown(name).to_owned()),
            _ => None,
        })
    }

    fn position(&self) -> Position {
        let mut text = match &self.root {
            Root::Document(_) if !self.path.is_empty() => String::new(),
            Root::Document(line) | Root::Line(line) => format!("line {line}"),
            Root::Object(position) => position.0.clone(),
        };
        if !text.is_empty() && !self.path.is_empty() {
            text.push_str(", ");
        }
        for (at, segment) in self.path.iter().enumerate() {
            // Writing to a text cannot fail.
            let _ = match segment {
                Segment::Field(name) if at == 0 => write!(text, "{}", shown(name)),
                Segment::Field(name) => write!(text, ".{}", shown(name)),
                Segment::Id(id) => write!(text, "[{:?}]", shown(id)),
                Segment::Index(index) => write!(text, "[{index}]"),
            };
        }
        Position(text)
    }
}

/// As much of a name as a report can show.
pub(super) fn shown(name: &str) -> &str {
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => &name[..end],
        None => name,
    }
}
