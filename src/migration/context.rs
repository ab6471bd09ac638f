//! What every step of a run works with.

use std::sync::Arc;

use super::plan::Plan;
use super::progress::Watch;
use crate::memory::MemoryService;
use crate::memory::access::Caller;
use crate::memory::mapping::RoleMap;

/// The target, the caller, the plan and the watch of a run.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) service: &'a MemoryService,
    pub(super) caller: &'a Caller,
    pub(super) roles: &'a RoleMap,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) watch: &'a Arc<dyn Watch>,
}
