//! Points of Qdrant's local mode: pickles of `PointStruct`, read as data.
//!
//! Nothing is executed: classes are names, and only the two that Qdrant's client writes are accepted.
//! Only the opcodes that occur in such pickles are known (mem0ai 1.0.0 to 2.2.1, qdrant-client 1.20.0,
//! protocols 4 and 5); anything else is refused with its position. `serde-pickle` would take any class for
//! `None`, and copies an object each time it is named again, so that a few bytes become gigabytes.

mod machine;

use serde_json::{Map, Number, Value};

use self::machine::Machine;
use crate::sources::files::MAX_ITEM_BYTES;

/// The most values that a payload may become: names of one object count each time.
const MAX_VALUES: usize = 100_000;
/// The most text in a payload, in bytes, likewise.
const MAX_TEXT: usize = MAX_ITEM_BYTES;
/// How deep a payload may nest, as in exports.
const MAX_DEPTH: usize = 100;

/// Why a pickle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub(super) struct Refused {
    at: usize,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum What {
    #[error("it ends too early")]
    End,
    #[error("the opcode 0x{0:02x} does not occur in points")]
    Opcode(u8),
    #[error("version {0} of the format is not known")]
    Protocol(u8),
    #[error("an object of the class {0}, which does not occur in points")]
    Class(String),
    #[error("it is not put together as a point is")]
    Form,
    #[error("a text that is not valid Unicode")]
    Text,
    #[error("a number that JSON does not have")]
    Number,
    #[error("too many objects or too deep")]
    Size,
}

/// A class of Qdrant's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    PointStruct,
    SparseVector,
}

/// The number of an object in [`Machine::objects`].
type Id = u32;

/// An object. Texts stay where they are, so that no object is larger than its bytes.
#[derive(Debug)]
enum Object<'b> {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'b str),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Set,
    NoArguments,
    Class(Class),
    /// An object of a class, and its fields.
    Of(Class, Option<Id>),
}

/// A point, without its vector.
#[derive(Debug, PartialEq)]
pub(super) struct Point {
    /// A text or a number.
    pub(super) id: Value,
    pub(super) payload: Map<String, Value>,
}

/// Reads a point.
///
/// # Errors
/// [`Refused`] if it is anything else.
pub(super) fn point(bytes: &[u8]) -> Result<Point, Refused> {
    let mut machine = Machine::new(bytes);
    let top = machine.run()?;
    let form = || machine.refused(What::Form);
    let Object::Of(Class::PointStruct, Some(state)) = machine.object(top) else {
        return Err(form());
    };
    let fields = machine.field(*state, "__dict__").ok_or_else(form)?;
    let mut made = Made::default();
    let id = machine.field(fields, "id").ok_or_else(form)?;
    let id = machine.json(id, MAX_DEPTH, &mut made)?;
    let payload = match machine.field(fields, "payload") {
        Some(payload) => machine.json(payload, 0, &mut made)?,
        None => Value::Null,
    };
    match (id, payload) {
        (id @ (Value::String(_) | Value::Number(_)), Value::Object(payload)) => {
            Ok(Point { id, payload })
        }
        (id @ (Value::String(_) | Value::Number(_)), Value::Null) => Ok(Point {
            id,
            payload: Map::new(),
        }),
        _ => Err(form()),
    }
}

/// Reads the key of a point: its id.
///
/// # Errors
/// [`Refused`] if it is anything else.
pub(super) fn key(bytes: &[u8]) -> Result<Value, Refused> {
    let mut machine = Machine::new(bytes);
    let top = machine.run()?;
    machine.json(top, MAX_DEPTH, &mut Made::default())
}

/// How much was made of the objects.
#[derive(Default)]
struct Made {
    values: usize,
    text: usize,
}

impl Machine<'_> {
    /// A field of a dictionary.
    fn field(&self, dict: Id, name: &str) -> Option<Id> {
        let Object::Dict(fields) = self.object(dict) else {
            return None;
        };
        let is_it =
            |(key, _): &&(Id, Id)| matches!(self.object(*key), Object::Text(key) if *key == name);
        // As in Python, the last one counts.
        fields.iter().rev().find(is_it).map(|(_, value)| *value)
    }

    /// An object as JSON.
    fn json(&self, id: Id, depth: usize, made: &mut Made) -> Result<Value, Refused> {
        made.values += 1;
        if made.values > MAX_VALUES || made.text > MAX_TEXT || depth > MAX_DEPTH {
            return Err(self.refused(What::Size));
        }
        let number = |number: Option<Number>| {
            let number = number.ok_or_else(|| self.refused(What::Number))?;
            Ok(Value::Number(number))
        };
        match self.object(id) {
            Object::None => Ok(Value::Null),
            Object::Bool(truth) => Ok(Value::Bool(*truth)),
            Object::Int(int) => number(Number::from_i128(*int)),
            Object::Float(float) => number(Number::from_f64(*float)),
            Object::Text(text) => {
                made.text += text.len();
                Ok(Value::String((*text).to_owned()))
            }
            Object::List(items) => {
                let items = items.iter().map(|item| self.json(*item, depth + 1, made));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            Object::Dict(fields) => {
                let mut object = Map::new();
                for (key, value) in fields {
                    let Object::Text(key) = self.object(*key) else {
                        return Err(self.refused(What::Form));
                    };
                    made.text += key.len();
                    object.insert((*key).to_owned(), self.json(*value, depth + 1, made)?);
                }
                Ok(Value::Object(object))
            }
            Object::Set | Object::NoArguments | Object::Class(_) | Object::Of(..) => {
                Err(self.refused(What::Form))
            }
        }
    }
}
