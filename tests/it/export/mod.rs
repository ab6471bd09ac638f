//! Reading exports: every shape, whatever is wrong with it, and in little memory.

mod bounds;
mod broken;
mod meaning;
pub(crate) mod packed;
mod shapes;
mod stores;
mod twice;

use std::io;
use std::ops::ControlFlow;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::{
    Container, ContainerId, Conversation, Entry, Export, Names, Origin, Problem, ReadError, Sink,
    Source, SourceItem, SourceRecord, SourceUser,
};

/// Everything that an export yields.
#[derive(Debug, Default, PartialEq)]
struct Read {
    items: Vec<SourceItem>,
}

/// A sink that is a function.
struct Each<F>(F);

impl<F: FnMut(SourceItem) -> ControlFlow<()>> Sink for Each<F> {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        (self.0)(item)
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

fn read_each(
    reader: impl io::Read + Send + 'static,
    each: impl FnMut(SourceItem) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    Box::new(Export::reader(reader)).read(&mut Each(each), &CancellationToken::new())
}

fn read(export: impl AsRef<[u8]>) -> Read {
    let mut items = Vec::new();
    read_each(io::Cursor::new(export.as_ref().to_owned()), |item| {
        items.push(item);
        ControlFlow::Continue(())
    })
    .expect("bytes in memory can be read");
    Read { items }
}

/// Where an entry is, and what surrounds it.
fn origin(entry: &Entry) -> Origin {
    match entry {
        Entry::Record(record) => record.origin.clone(),
        Entry::Conversation(conversation) => conversation.origin.clone(),
        Entry::Change(change) => change.record.origin.clone(),
        Entry::User { position, .. } => Origin {
            position: position.clone(),
            ..Origin::default()
        },
    }
}

impl Read {
    fn entries(&self) -> Vec<&Entry> {
        let items = self.items.iter();
        items
            .filter_map(|item| match item {
                SourceItem::Entry(entry) => Some(entry),
                _ => None,
            })
            .collect()
    }

    fn records(&self) -> Vec<&SourceRecord> {
        let entries = self.entries().into_iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Record(record) => Some(record.as_ref()),
                _ => None,
            })
            .collect()
    }

    fn containers(&self) -> Vec<&Container> {
        let items = self.items.iter();
        items
            .filter_map(|item| match item {
                SourceItem::Container(container) => Some(container),
                _ => None,
            })
            .collect()
    }

    fn unplaced(&self) -> Vec<&str> {
        let items = self.items.iter();
        items
            .filter_map(|item| match item {
                SourceItem::UnplacedField(field) => Some(field.as_str()),
                _ => None,
            })
            .collect()
    }

    fn problems(&self) -> Vec<&Problem> {
        let items = self.items.iter();
        items
            .filter_map(|item| match item {
                SourceItem::Problem(problem) => Some(problem),
                _ => None,
            })
            .collect()
    }

    /// The only problem.
    fn problem(&self) -> &Problem {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0]
    }

    /// What the only problem says.
    fn reason(&self) -> String {
        self.problem().defect.to_string()
    }

    /// Without any problem.
    fn whole(self) -> Self {
        assert_eq!(self.problems(), Vec::<&Problem>::new());
        self
    }

    fn container(&self, id: ContainerId) -> Option<&Container> {
        self.containers().into_iter().find(|one| one.id == id)
    }

    /// What a record names together with the containers around it.
    fn names(&self, record: &SourceRecord) -> Names {
        let mut names = record.names.clone();
        let mut next = record.origin.container;
        while let Some(container) = next.and_then(|id| self.container(id)) {
            names = names.or(&container.names);
            next = container.parent;
        }
        names
    }

    /// Each entry as a line: where it is, what it is, whose it is, and what it says.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in self.entries() {
            match entry {
                Entry::Record(record) => lines.push(self.line(record)),
                Entry::Change(change) => lines.push(self.line(&change.record)),
                Entry::User { position, user } => {
                    lines.push(format!("{position} user {}", user.id))
                }
                Entry::Conversation(Conversation { turns, .. }) => {
                    lines.extend(turns.iter().map(|turn| self.line(turn)));
                }
            }
        }
        lines
    }

    fn line(&self, record: &SourceRecord) -> String {
        let names = self.names(record);
        let whose = [names.user, names.agent, names.app, names.session]
            .map(|name| name.unwrap_or_else(|| "-".to_owned()))
            .join("/");
        let kind = format!("{:?}", record.kind).to_lowercase();
        format!(
            "{} {kind} {whose} {}: {}",
            record.origin.position, record.role, record.content
        )
    }
}

/// What the only entry of an export is, or why it cannot be used.
fn entry(export: &Value) -> Result<Entry, String> {
    let found = read(export.to_string());
    match (found.entries().as_slice(), found.problems().as_slice()) {
        ([entry], []) => Ok((*entry).clone()),
        ([], [problem]) => Err(problem.defect.to_string()),
        _ => panic!("{found:?}"),
    }
}

fn record(export: &Value) -> Result<SourceRecord, String> {
    match entry(export)? {
        Entry::Record(record) => Ok(*record),
        other => panic!("{other:?} is not a record"),
    }
}

fn memory(value: Value) -> Result<SourceRecord, String> {
    record(&json!([value]))
}

fn turn(value: Value) -> Result<SourceRecord, String> {
    record(&json!({"messages": [value]}))
}

fn snapshot(kind: &str, value: Value) -> Result<SourceRecord, String> {
    record(&json!({"messages": [], kind: [value]}))
}

fn conversation(entry_of_history: Value) -> Result<Conversation, String> {
    match entry(&json!({"history": [entry_of_history]}))? {
        Entry::Conversation(conversation) => Ok(conversation),
        other => panic!("{other:?} is not a conversation"),
    }
}

fn user(value: Value) -> Result<SourceUser, String> {
    match entry(&json!({"users": [value]}))? {
        Entry::User { user, .. } => Ok(*user),
        other => panic!("{other:?} is not a user"),
    }
}
