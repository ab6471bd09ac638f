//! Delivering what was read, without floods.

use std::ops::ControlFlow;

use super::{
    super::{Event, Frame, Item, Position, Problem},
    Stopped,
};

/// How many problems in a row are told one by one; the rest is counted.
const IN_A_ROW: u64 = 100;

/// What a problem says of the source as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A value that is broken: this may be no JSON at all.
    Syntax,
    /// A value that is nothing of what is looked for: this may be no export at all.
    Unrecognised,
    /// Anything else.
    Other,
}

/// Where events go.
pub(super) struct Out<'s> {
    sink: &'s mut dyn FnMut(Event) -> ControlFlow<()>,
    /// Whether anything of mem0 was seen yet.
    recognised: bool,
    /// Problems of a source that may be no export at all.
    early: Vec<(Sort, Problem)>,
    /// How many problems came since the last item, and the last that was not told.
    in_a_row: u64,
    untold: Option<(Position, u64)>,
}

impl<'s> Out<'s> {
    pub(super) fn new(sink: &'s mut dyn FnMut(Event) -> ControlFlow<()>) -> Self {
        Self {
            sink,
            recognised: false,
            early: Vec::new(),
            in_a_row: 0,
            untold: None,
        }
    }

    pub(super) fn item(&mut self, item: Item) -> Result<(), Stopped> {
        self.recognised()?;
        self.told()?;
        self.send(Event::Item(item))
    }

    pub(super) fn frame(&mut self, frame: Frame) -> Result<(), Stopped> {
        self.recognised()?;
        self.send(Event::Frame(frame))
    }

    /// The source is an export.
    pub(super) fn recognised(&mut self) -> Result<(), Stopped> {
        if !self.recognised {
            self.recognised = true;
            for (_, problem) in std::mem::take(&mut self.early) {
                self.in_a_row += 1;
                self.send(Event::Problem(problem))?;
            }
        }
        Ok(())
    }

    pub(super) fn problem(
        &mut self,
        sort: Sort,
        position: Position,
        record: Option<String>,
        reason: String,
    ) -> Result<(), Stopped> {
        let problem = Problem {
            position,
            record,
            reason,
        };
        if sort == Sort::Other {
            self.recognised()?;
        }
        if self.recognised {
            return self.send_problem(problem);
        }
        if (self.early.len() as u64) < IN_A_ROW {
            self.early.push((sort, problem));
        } else {
            self.leave_untold(problem.position);
        }
        Ok(())
    }

    /// The source has ended.
    pub(super) fn finish(&mut self) -> Result<(), Stopped> {
        if self.recognised {
            return self.told();
        }
        let broken = self
            .early
            .iter()
            .position(|(sort, _)| *sort == Sort::Syntax);
        let problem = match broken {
            Some(at) => self.early.swap_remove(at).1,
            None => Problem {
                position: self
                    .early
                    .first()
                    .map_or_else(|| super::at_line(1), |(_, problem)| problem.position.clone()),
                record: None,
                reason: "nothing of mem0 was found here; looked for memories (`memory`), turns \
                         (`role` and `content`), history entries (`memory_id` and `input`), entities, \
                         and users or sessions with `messages` or snapshots, under `results`, \
                         `memories`, `users`, `sessions`, `messages` or by themselves"
                    .to_owned(),
            },
        };
        self.send(Event::Problem(problem))
    }

    fn send_problem(&mut self, problem: Problem) -> Result<(), Stopped> {
        self.in_a_row += 1;
        if self.in_a_row <= IN_A_ROW {
            return self.send(Event::Problem(problem));
        }
        self.leave_untold(problem.position);
        Ok(())
    }

    fn leave_untold(&mut self, last: Position) {
        let count = self.untold.take().map_or(0, |(_, count)| count);
        self.untold = Some((last, count + 1));
    }

    /// Tells how many problems were not told one by one.
    fn told(&mut self) -> Result<(), Stopped> {
        self.in_a_row = 0;
        let Some((position, count)) = self.untold.take() else {
            return Ok(());
        };
        self.send(Event::Problem(Problem {
            position,
            record: None,
            reason: format!("{count} more problems before and up to here, like the ones just told"),
        }))
    }

    fn send(&mut self, event: Event) -> Result<(), Stopped> {
        match (self.sink)(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped::Asked),
        }
    }
}
