//! Points of Qdrant's local mode: pickles of `PointStruct`, read as data.
//!
//! Nothing is executed: classes are names, and only the two that Qdrant's client writes are accepted.
//! Only the opcodes that occur in such pickles are known (mem0ai 1.0.0 to 2.2.1, qdrant-client 1.20.0,
//! protocols 4 and 5); anything else is refused with its position. `serde-pickle` would take any class for
//! `None`, and copies an object each time it is named again, so that a few bytes become gigabytes.

use serde_json::{Map, Number, Value};

use crate::sources::files::MAX_ITEM_BYTES;

/// The most objects in one pickle; a point with a vector of 3,072 dimensions has about 3,200.
const MAX_OBJECTS: usize = 1 << 20;
/// The most values that a payload may become: names of one object count each time.
const MAX_VALUES: usize = 100_000;
/// The most text in a payload, in bytes, likewise.
const MAX_TEXT: usize = MAX_ITEM_BYTES;
/// The most lists and dictionaries that are begun at a time.
const MAX_MARKS: usize = 1_000;
/// How deep a payload may nest, as in exports.
const MAX_DEPTH: usize = 100;
/// The module of the classes that occur.
const MODULE: &str = "qdrant_client.http.models.models";

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

struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    objects: Vec<Object<'b>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: Vec<Id>,
}

impl<'b> Machine<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
        }
    }

    /// Goes to the end, and answers the object that is left.
    fn run(&mut self) -> Result<Id, Refused> {
        loop {
            let at = self.at;
            let [opcode] = self.array()?;
            match self.step(opcode) {
                Ok(Some(top)) => return Ok(top),
                Ok(None) => {}
                Err(refused) => return Err(Refused { at, ..refused }),
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<Option<Id>, Refused> {
        match opcode {
            // PROTO
            0x80 => {
                let [version] = self.array()?;
                if !(2..=5).contains(&version) {
                    return Err(self.refused(What::Protocol(version)));
                }
            }
            // FRAME: its length says nothing that is needed.
            0x95 => {
                self.array::<8>()?;
            }
            // STOP
            b'.' => return self.pop().map(Some),
            // MEMOIZE
            0x94 => {
                let top = self.top()?;
                self.memo.push(top);
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let [index] = self.array()?;
                self.again(usize::from(index))?;
            }
            b'j' => {
                let index = self.length()?;
                self.again(index)?;
            }
            // MARK
            b'(' => {
                if self.marks.len() == MAX_MARKS {
                    return Err(self.refused(What::Size));
                }
                self.marks.push(self.stack.len());
            }
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            // BININT1, BININT2, BININT, LONG1
            b'K' => {
                let [number] = self.array()?;
                self.push(Object::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Object::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Object::Int(number.into()))?;
            }
            0x8a => {
                let [length] = self.array()?;
                let number = self.long(length.into())?;
                self.push(Object::Int(number))?;
            }
            // BINFLOAT
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Object::Float(number))?;
            }
            // SHORT_BINUNICODE, BINUNICODE
            0x8c => {
                let [length] = self.array()?;
                self.text(length.into())?;
            }
            b'X' => {
                let length = self.length()?;
                self.text(length)?;
            }
            b']' => self.push(Object::List(Vec::new()))?,
            b'}' => self.push(Object::Dict(Vec::new()))?,
            0x8f => self.push(Object::Set)?,
            b')' => self.push(Object::NoArguments)?,
            // APPEND, APPENDS, ADDITEMS
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(&items)?;
            }
            // SETITEM, SETITEMS
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.put(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.put(&items)?;
            }
            // STACK_GLOBAL
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let class = self.class(module, name)?;
                self.push(Object::Class(class))?;
            }
            // NEWOBJ
            0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                match (self.object(class), self.object(arguments)) {
                    (Object::Class(class), Object::NoArguments) => {
                        let new = Object::Of(*class, None);
                        self.push(new)?;
                    }
                    _ => return Err(self.refused(What::Form)),
                }
            }
            // BUILD
            b'b' => {
                let state = self.pop()?;
                let new = self.top()?;
                let is_dict = matches!(self.object(state), Object::Dict(_));
                match &mut self.objects[new as usize] {
                    Object::Of(_, fields @ None) if is_dict => *fields = Some(state),
                    _ => return Err(self.refused(What::Form)),
                }
            }
            other => return Err(self.refused(What::Opcode(other))),
        }
        Ok(None)
    }

    fn refused(&self, what: What) -> Refused {
        Refused { at: self.at, what }
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Refused> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..length) else {
            return Err(self.refused(What::End));
        };
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.refused(What::End))
    }

    fn length(&mut self) -> Result<usize, Refused> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.refused(What::Size))
    }

    /// A number of so many bytes, little-endian, with a sign.
    fn long(&mut self, length: usize) -> Result<i128, Refused> {
        let bytes = self.take(length)?;
        let mut number = match bytes.last() {
            Some(last) if last & 0x80 != 0 => [0xff; 16],
            _ => [0; 16],
        };
        match number.get_mut(..length) {
            Some(low) => low.copy_from_slice(bytes),
            None => return Err(self.refused(What::Number)),
        }
        Ok(i128::from_le_bytes(number))
    }

    fn text(&mut self, length: usize) -> Result<(), Refused> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.refused(What::Text))?;
        self.push(Object::Text(text))
    }

    fn push(&mut self, object: Object<'b>) -> Result<(), Refused> {
        if self.objects.len() == MAX_OBJECTS {
            return Err(self.refused(What::Size));
        }
        let id = Id::try_from(self.objects.len()).map_err(|_| self.refused(What::Size))?;
        self.objects.push(object);
        self.stack.push(id);
        Ok(())
    }

    /// An object that was noted before, once more.
    fn again(&mut self, index: usize) -> Result<(), Refused> {
        let Some(id) = self.memo.get(index) else {
            return Err(self.refused(What::Form));
        };
        self.stack.push(*id);
        Ok(())
    }

    /// Where the objects begin that the innermost mark does not protect.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    fn pop(&mut self) -> Result<Id, Refused> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn top(&self) -> Result<Id, Refused> {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => Ok(*id),
            _ => Err(self.refused(What::Form)),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, Refused> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.refused(What::Form)),
        }
    }

    fn object(&self, id: Id) -> &Object<'b> {
        &self.objects[id as usize]
    }

    /// Adds items to the list or set on top.
    fn extend(&mut self, items: &[Id]) -> Result<(), Refused> {
        let top = self.top()?;
        match &mut self.objects[top as usize] {
            Object::List(list) => list.extend_from_slice(items),
            Object::Set => {}
            _ => return Err(self.refused(What::Form)),
        }
        Ok(())
    }

    /// Adds keys and values to the dictionary on top.
    fn put(&mut self, items: &[Id]) -> Result<(), Refused> {
        let top = self.top()?;
        let (pairs, odd) = items.as_chunks::<2>();
        match &mut self.objects[top as usize] {
            Object::Dict(dict) if odd.is_empty() => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err(self.refused(What::Form)),
        }
        Ok(())
    }

    fn class(&self, module: Id, name: Id) -> Result<Class, Refused> {
        match (self.object(module), self.object(name)) {
            (Object::Text(MODULE), Object::Text("PointStruct")) => Ok(Class::PointStruct),
            (Object::Text(MODULE), Object::Text("SparseVector")) => Ok(Class::SparseVector),
            (Object::Text(module), Object::Text(name)) => {
                // A name that is none may be content.
                let is_name = |text: &str| {
                    let mut bytes = text.bytes();
                    text.len() <= 60
                        && bytes.all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
                };
                let named = match is_name(module) && is_name(name) {
                    true => format!("`{module}.{name}`"),
                    false => "of an unusual name".to_owned(),
                };
                Err(self.refused(What::Class(named)))
            }
            _ => Err(self.refused(What::Form)),
        }
    }

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
