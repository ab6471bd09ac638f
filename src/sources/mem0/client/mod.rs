//! mem0's HTTP APIs: of mem0 Platform ([`platform`]) and of mem0's self-hosted server ([`server`]).

pub(crate) mod platform;
pub(crate) mod server;
