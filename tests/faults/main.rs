//! The server in front of a Zep that misbehaves: nothing is lost, doubled, misplaced or misreported.

#[path = "../common/program/mod.rs"]
mod program;

mod cancelling;
mod model;
mod operation;
mod owners;
mod repeating;
mod service;
mod storm;
mod time;
mod truth;
