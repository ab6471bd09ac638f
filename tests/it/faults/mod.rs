//! The server in front of a Zep that misbehaves: nothing is lost, doubled, misplaced or misreported.

mod cancelling;
mod model;
mod operation;
mod owners;
mod repeating;
mod storm;
mod time;
mod truth;
