//! Handing items to the sink, without floods of problems.

use std::ops::ControlFlow;

use super::interpret::Meaning;
use crate::sources::{
    Container, Defect, Explained, Position, Problem, ReadError, Severity, Sink, SourceItem,
};

/// How many problems in a row are handed on one by one; further ones are counted.
const IN_A_ROW: u64 = 100;

/// What a problem says of the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// A value has broken syntax: the file may not be JSON.
    Syntax,
    /// A value is not recognised: the file may not be an export.
    Unrecognised,
    /// A value is of a shape that is known and not read.
    Known,
    /// None: the file is an export.
    None,
}

/// Where items go.
pub(super) struct Output<'s> {
    sink: &'s mut dyn Sink,
    /// Whether anything of an export was seen yet.
    recognised: bool,
    /// Problems of a file that may not be an export.
    early: Vec<(Suspicion, Problem)>,
    /// Fields without a place in a file that may not be an export.
    early_fields: Vec<String>,
    /// How many problems came since the last item.
    in_a_row: u64,
    /// The position of the last problem that was only counted, and how many were.
    counted: Option<(Position, u64)>,
    /// Whether the last page of a list says that there are more.
    has_more_pages: bool,
}

impl<'s> Output<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink) -> Self {
        Self {
            sink,
            recognised: false,
            early: Vec::new(),
            early_fields: Vec::new(),
            in_a_row: 0,
            counted: None,
            has_more_pages: false,
        }
    }

    /// Hands on what an item means.
    pub(super) fn entry(&mut self, meaning: Meaning) -> Result<(), ReadError> {
        self.recognise()?;
        self.end_of_row()?;
        match meaning {
            Meaning::Entry(entry) => self.send(SourceItem::Entry(entry)),
            Meaning::LeftOut(what) => self.send(SourceItem::LeftOut(what)),
            Meaning::Nothing => Ok(()),
        }
    }

    /// Hands on what an id means.
    pub(super) fn explained(&mut self, explained: Explained) -> Result<(), ReadError> {
        self.send(SourceItem::Explained(explained))
    }

    /// Hands on a field that a migration has no place for.
    pub(super) fn unplaced(&mut self, field: String) -> Result<(), ReadError> {
        if self.recognised {
            return self.send(SourceItem::UnplacedField(field));
        }
        if (self.early_fields.len() as u64) < IN_A_ROW {
            self.early_fields.push(field);
        }
        Ok(())
    }

    /// Hands on that an item which was recognised cannot be kept.
    pub(super) fn lost(
        &mut self,
        position: Position,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), ReadError> {
        self.recognise()?;
        self.end_of_row()?;
        self.send(SourceItem::Problem(Problem {
            position,
            record,
            severity: Severity::Record,
            defect,
        }))
    }

    /// Hands on that an item is not as it should be, and is kept all the same.
    pub(super) fn warning(
        &mut self,
        position: Position,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), ReadError> {
        self.recognise()?;
        self.send(SourceItem::Problem(Problem {
            position,
            record,
            severity: Severity::Warning,
            defect,
        }))
    }

    /// Hands on a container, and its fields that have no place in a migration. `more_pages` is what
    /// a page of a list says of further ones.
    pub(super) fn container(
        &mut self,
        container: Container,
        unplaced: Vec<String>,
        more_pages: Option<bool>,
    ) -> Result<(), ReadError> {
        self.recognise()?;
        self.has_more_pages = more_pages.unwrap_or(self.has_more_pages);
        for field in unplaced {
            self.send(SourceItem::UnplacedField(field))?;
        }
        self.send(SourceItem::Container(container))
    }

    /// The file is an export.
    pub(super) fn recognise(&mut self) -> Result<(), ReadError> {
        if !self.recognised {
            self.recognised = true;
            for field in std::mem::take(&mut self.early_fields) {
                self.send(SourceItem::UnplacedField(field))?;
            }
            for (_, problem) in std::mem::take(&mut self.early) {
                self.in_a_row += 1;
                self.send(SourceItem::Problem(problem))?;
            }
        }
        Ok(())
    }

    pub(super) fn problem(
        &mut self,
        suspicion: Suspicion,
        position: Position,
        record: Option<String>,
        defect: Defect,
    ) -> Result<(), ReadError> {
        let problem = Problem {
            position,
            record,
            severity: Severity::Other,
            defect,
        };
        if suspicion == Suspicion::None {
            self.recognise()?;
        }
        if self.recognised {
            return self.send_problem(problem);
        }
        if (self.early.len() as u64) < IN_A_ROW {
            self.early.push((suspicion, problem));
        } else {
            self.count(problem.position);
        }
        Ok(())
    }

    /// The file has ended.
    pub(super) fn finish(&mut self) -> Result<(), ReadError> {
        if self.recognised {
            self.end_of_row()?;
            return match self.has_more_pages {
                true => self.send(SourceItem::Problem(more_pages())),
                false => Ok(()),
            };
        }
        let first = |what| self.early.iter().position(|(why, _)| *why == what);
        let named = first(Suspicion::Syntax).or_else(|| first(Suspicion::Known));
        let problem = match named {
            Some(at) => self.early.swap_remove(at).1,
            None => not_an_export(self.early.first().map(|(_, problem)| problem)),
        };
        self.send(SourceItem::Problem(problem))
    }

    fn send_problem(&mut self, problem: Problem) -> Result<(), ReadError> {
        self.in_a_row += 1;
        if self.in_a_row <= IN_A_ROW {
            return self.send(SourceItem::Problem(problem));
        }
        self.count(problem.position);
        Ok(())
    }

    fn count(&mut self, last: Position) {
        let count = self.counted.take().map_or(0, |(_, count)| count);
        self.counted = Some((last, count + 1));
    }

    /// Says how many problems of the row were only counted.
    fn end_of_row(&mut self) -> Result<(), ReadError> {
        self.in_a_row = 0;
        let Some((position, count)) = self.counted.take() else {
            return Ok(());
        };
        let reason = format!("{count} more problems up to here, like the ones listed before");
        self.send(SourceItem::Problem(Problem {
            position,
            record: None,
            severity: Severity::Other,
            defect: Defect::whole(reason),
        }))
    }

    fn send(&mut self, item: SourceItem) -> Result<(), ReadError> {
        match self.sink.item(item) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ReadError::Stopped),
        }
    }
}

fn more_pages() -> Problem {
    Problem {
        position: Position("next".into()),
        record: None,
        severity: Severity::Warning,
        defect: Defect::whole(
            "the last page of the list is full, or says that there are more: what is not in this \
             source is not migrated. Export all pages",
        ),
    }
}

fn not_an_export(first: Option<&Problem>) -> Problem {
    Problem {
        position: first.map_or_else(|| at_line(1), |problem| problem.position.clone()),
        record: None,
        severity: Severity::Other,
        defect: Defect::whole(
            "nothing of mem0 was found here; looked for memories (`memory`), turns (`role` and \
             `content`), history entries (`memory_id` and `input` or `new_memory`), rows of vector \
             stores (`payload`), entities, and users or sessions with `messages` or snapshots, under \
             `results`, `memories`, `users`, `sessions`, `messages` or by themselves",
        ),
    }
}

pub(super) fn at_line(line: u64) -> Position {
    Position(format!("line {line}"))
}
