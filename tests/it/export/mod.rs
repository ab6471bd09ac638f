//! Reading exports: every shape that people have in hand, whatever is wrong with it, and in little
//! memory.

mod bounds;
mod broken;
mod meaning;
mod shapes;

use std::ops::ControlFlow;

use serde_json::Value;
use zep_mcp_server::mem0::{
    Event, Frame, FrameId, Item, ItemKind, Named, Piece, Problem, SourceRecord, SourceUser,
    interpret, read_export,
};

/// Everything that an export yields.
#[derive(Debug, Default, PartialEq)]
struct Read {
    events: Vec<Event>,
}

fn read(export: impl AsRef<[u8]>) -> Read {
    let mut events = Vec::new();
    read_export(export.as_ref(), &mut |event| {
        events.push(event);
        ControlFlow::Continue(())
    })
    .expect("bytes in memory can be read");
    Read { events }
}

impl Read {
    fn items<'a>(&'a self) -> Vec<&'a Item> {
        let item = |event: &'a Event| match event {
            Event::Item(item) => Some(item),
            _ => None,
        };
        self.events.iter().filter_map(item).collect()
    }

    fn frames<'a>(&'a self) -> Vec<&'a Frame> {
        let frame = |event: &'a Event| match event {
            Event::Frame(frame) => Some(frame),
            _ => None,
        };
        self.events.iter().filter_map(frame).collect()
    }

    fn problems<'a>(&'a self) -> Vec<&'a Problem> {
        let problem = |event: &'a Event| match event {
            Event::Problem(problem) => Some(problem),
            _ => None,
        };
        self.events.iter().filter_map(problem).collect()
    }

    /// The one problem that there is.
    fn problem(&self) -> &Problem {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0]
    }

    /// Without any problem.
    fn whole(self) -> Self {
        assert_eq!(self.problems(), Vec::<&Problem>::new());
        self
    }

    fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames().into_iter().find(|frame| frame.id == id)
    }

    /// Whom an item names together with all that is around it.
    fn named(&self, item: &Item, own: Named) -> Named {
        let mut named = own;
        let mut next = item.frame;
        while let Some(frame) = next.and_then(|id| self.frame(id)) {
            named = named.or(&frame.named);
            next = frame.parent;
        }
        named
    }

    /// Each record in a line: where it stands, what it is, whose it is, and what it says.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for item in self.items() {
            let at = &item.position;
            match interpret(item).unwrap_or_else(|why| panic!("{at}: {why}")) {
                Piece::Record(record) => lines.push(self.line(item, &record)),
                Piece::User(user) => lines.push(format!("{at} user {}", user.id)),
                Piece::Turns(turns) => {
                    lines.extend(turns.iter().map(|turn| self.line(item, turn)));
                }
                Piece::Nothing => lines.push(format!("{at} nothing")),
            }
        }
        lines
    }

    fn line(&self, item: &Item, record: &SourceRecord) -> String {
        let named = self.named(item, record.named.clone());
        let whose = [named.user, named.agent, named.app, named.session]
            .map(|name| name.unwrap_or_else(|| "-".to_owned()))
            .join("/");
        let kind = format!("{:?}", record.kind).to_lowercase();
        format!(
            "{} {kind} {whose} {}: {}",
            item.position, record.role, record.content
        )
    }
}

/// What one thing means.
fn piece(kind: ItemKind, value: Value) -> Result<Piece, String> {
    let found = read(r#"{"results":[{"id":"1","memory":"m"}]}"#);
    let item = Item {
        kind,
        value,
        ..found.items()[0].clone()
    };
    interpret(&item)
}

fn record(kind: ItemKind, value: Value) -> Result<SourceRecord, String> {
    match piece(kind, value)? {
        Piece::Record(record) => Ok(*record),
        other => panic!("{other:?} is no record"),
    }
}

fn user(value: Value) -> Result<SourceUser, String> {
    match piece(ItemKind::User, value)? {
        Piece::User(user) => Ok(*user),
        other => panic!("{other:?} is no user"),
    }
}
