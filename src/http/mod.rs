//! The door for agents on a network.

pub mod access;
