//! The opcodes that occur in points.

use super::{Class, Id, Object, Refused, What};

/// The most objects in one pickle; a point with a vector of 3,072 dimensions has about 3,200.
const MAX_OBJECTS: usize = 1 << 20;
/// The most lists and dictionaries that are begun at a time.
const MAX_MARKS: usize = 1_000;
/// The module of the classes that occur.
const MODULE: &str = "qdrant_client.http.models.models";

/// Follows the opcodes of a pickle.
pub(super) struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    objects: Vec<Object<'b>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: Vec<Id>,
}

impl<'b> Machine<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
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
    pub(super) fn run(&mut self) -> Result<Id, Refused> {
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

    pub(super) fn refused(&self, what: What) -> Refused {
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

    pub(super) fn object(&self, id: Id) -> &Object<'b> {
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
}
