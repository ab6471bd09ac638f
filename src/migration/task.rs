//! What every run over a plan works with.

use super::plan::Plan;
use super::progress::Watch;
use crate::memory::MemoryService;
use crate::memory::access::Caller;
use crate::memory::mapping::RoleMap;

/// On which memories, for whom, by which plan, watched by whom.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) service: &'a MemoryService,
    pub(super) caller: &'a Caller,
    pub(super) roles: &'a RoleMap,
    pub(super) plan: &'a Plan,
    pub(super) watch: &'a dyn Watch,
}
