//! What every run over a plan works with.

use super::plan::Plan;
use super::progress::Watch;
use crate::memory::MemoryService;
use crate::memory::mapping::RoleMap;
use crate::memory::model::Caller;

/// On which memories, for whom, by which plan, watched by whom.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) service: &'a MemoryService,
    pub(super) caller: &'a Caller,
    pub(super) roles: &'a RoleMap,
    pub(super) plan: &'a Plan,
    pub(super) watch: &'a dyn Watch,
}
