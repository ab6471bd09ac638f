//! One object of a source that is no file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;

use serde_json::Value;

use super::input::Input;
use super::output::Output;
use super::parser::{Parser, Root};
use crate::sources::{
    Container, ContainerId, Entry, Names, Origin, Position, ReadError, Sink, SourceItem,
};

/// Interprets one object of a source that is not a file, as if it stood in an export.
///
/// The object may be anything that an export may hold: a memory of mem0, `{"id", "payload"}` of a vector
/// store, a list of history entries. Containers within it are resolved: what they name is in the
/// records.
///
/// # Errors
/// [`ReadError::Stopped`] if the sink asks for no more.
#[allow(dead_code, reason = "for sources that are no files")]
pub(crate) fn interpret_object(
    object: Value,
    position: Position,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let mut items = Items::default();
    let mut nothing = io::empty();
    let input = RefCell::new(Input::unread(&mut nothing));
    let mut output = Output::new(&mut items);
    output.recognise()?;
    let mut parser = Parser::new(&input, &mut output);
    parser.begin(Root::Object(position));
    parser
        .value(object)
        .map_err(|error| ReadError::Io(error.into()))?;
    output.finish()?;

    let Items { items, containers } = items;
    for mut item in items {
        match &mut item {
            SourceItem::Entry(Entry::Record(record)) => {
                complete(&mut record.names, &mut record.origin, &containers);
            }
            SourceItem::Entry(Entry::Change(change)) => {
                let record = &mut change.record;
                complete(&mut record.names, &mut record.origin, &containers);
            }
            SourceItem::Entry(Entry::Conversation(conversation)) => {
                for turn in &mut conversation.turns {
                    complete(&mut turn.names, &mut turn.origin, &containers);
                }
                conversation.origin.container = None;
            }
            _ => {}
        }
        if sink.item(item).is_break() {
            return Err(ReadError::Stopped);
        }
    }
    Ok(())
}

/// What the object yields: few items, since it was in memory as a whole.
#[derive(Default)]
struct Items {
    items: Vec<SourceItem>,
    containers: HashMap<ContainerId, Container>,
}

impl Sink for Items {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        match item {
            SourceItem::Container(container) => {
                self.containers.insert(container.id, container);
            }
            item => self.items.push(item),
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

/// Adds what the containers around it name: their ids are unique within the object only.
#[allow(dead_code, reason = "for sources that are no files")]
fn complete(names: &mut Names, origin: &mut Origin, containers: &HashMap<ContainerId, Container>) {
    let mut next = origin.container.take();
    while let Some(container) = next.and_then(|id| containers.get(&id)) {
        *names = std::mem::take(names).or(&container.names);
        next = container.parent;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Taken(Vec<SourceItem>);

    impl Sink for Taken {
        fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
            self.0.push(item);
            ControlFlow::Continue(())
        }

        fn progress(&mut self, _: u64, _: Option<u64>) {}
    }

    fn interpreted(object: Value) -> Vec<String> {
        let mut taken = Taken(Vec::new());
        interpret_object(object, Position("page 2".into()), &mut taken).unwrap();
        let shown = |item| match item {
            SourceItem::Entry(Entry::Record(record)) => format!(
                "{} {:?} {:?} {:?} {}",
                record.origin.position,
                record.id,
                record.names.user,
                record.names.session,
                record.content
            ),
            SourceItem::Entry(Entry::Conversation(conversation)) => {
                let turn = &conversation.turns[0];
                format!("{:?} {}", turn.names.user, turn.content)
            }
            SourceItem::Problem(problem) => format!("{}: {}", problem.position, problem.defect),
            other => format!("{other:?}"),
        };
        taken.0.into_iter().map(shown).collect()
    }

    #[test]
    fn an_object_is_interpreted_as_in_an_export() {
        assert_eq!(
            interpreted(json!({"id": "m", "memory": "a", "user_id": "u", "run_id": "r"})),
            [r#"page 2 Some("m") Some("u") Some("r") a"#]
        );
        let in_a_session = json!({"session_id": "s", "user_id": "u", "messages": [
            {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
        assert_eq!(
            interpreted(in_a_session),
            [
                r#"page 2, messages[0] None Some("u") Some("s") a"#,
                r#"page 2, messages[1] None Some("u") Some("s") b"#
            ],
            "what the container names is in the records"
        );
        let history = json!([{"id": "h", "memory_id": "m", "user_id": "u", "event": "ADD",
            "input": [{"role": "user", "content": "a"}]}]);
        assert_eq!(interpreted(history), [r#"Some("u") a"#]);
        let unknown = interpreted(json!({"id": "x", "foo": 1}));
        assert!(
            unknown[0].starts_with("page 2: not recognised"),
            "{unknown:?}"
        );
    }
}
