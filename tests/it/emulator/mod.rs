//! The emulator over TCP, as Zep's clients use it.

mod access;
mod batches;
mod contract;
mod control;
mod faults;
mod flags;
mod lists;
mod refusals;
mod schema;
mod switches;
mod world;
