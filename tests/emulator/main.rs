//! The emulator over TCP, as Zep's clients meet it.

mod access;
mod batches;
mod contract;
mod lists;
mod refusals;
mod schema;
mod world;
