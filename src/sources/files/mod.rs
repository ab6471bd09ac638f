//! Export files of mem0 and of the applications around it.
//!
//! [`Export`] is the source, [`ImportDir`] the one directory from which agents may have files read.
//!
//! Reading, from the bytes up: `collection` goes through the files of an archive or a directory (`place`),
//! `packed` and `zip` unpack, and `sets` knows what their files tell of each other. `input` feeds the JSON
//! parser and knows line and column, `mend` what JSON does not allow; `detect` knows a file by its
//! beginning; `documents` goes from value to value. Within a value `objects` reads what holds items, one
//! item at a time, with `map`, `listed`, `snapshots` and `vector` for fields of their kind; `value` reads a
//! value as a whole within the bounds of `budget`, and `parser` is the state of all; `twice` knows fields
//! that are there twice. `shape` says what an object is and `container` what it says of the items in it;
//! `store`, `turn` and `frameworks` know how others write memories and turns, `explained` their internal
//! ids; `recognise` makes an item or a container of an object, `interpret` and `history` say what an item
//! means, and `gone` whether it still counts. `output` hands it on.
//! `own` reads this program's own exports, which need no guessing.
//! `one` is the same for an object of a source that is no file.

mod budget;
mod collection;
mod container;
mod detect;
mod documents;
mod explained;
mod export;
mod fields;
mod frameworks;
mod gone;
mod history;
mod import_dir;
mod input;
mod interpret;
mod listed;
mod map;
mod mend;
mod objects;
mod one;
mod output;
mod own;
mod packed;
mod parser;
mod place;
mod recognise;
mod sets;
mod shape;
mod snapshots;
mod store;
#[cfg(test)]
mod tests;
mod time;
mod turn;
mod twice;
mod value;
mod vector;
mod visitor;
mod zip;

pub use budget::MAX_ITEM_BYTES;
pub use export::Export;
pub use import_dir::ImportDir;
#[allow(unused_imports, reason = "for sources that are no files")]
pub(crate) use one::interpret_object;
