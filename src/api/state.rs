//! What is served.

use crate::memory::MemoryService;

/// The Memory API over a service.
#[derive(Debug)]
pub struct Api {
    /// The memories.
    pub memories: MemoryService,
    /// Whether failures are answered as the original server did: with 400 for everything.
    pub compat: bool,
}
