//! rsm-init: the process supervisor for PID 1 of a container.
//!
//! Read the floors from the top down; each may use only the floors above it. See
//! `ARCHITECTURE.md` for the picture.
//!
//! 1. The nouns: [`moment`], [`spec`].
//! 2. Text in, value or faults out: [`config`], [`protocol`].
//! 3. Roles with a process of their own: [`logger`].

pub mod logger;
pub mod moment;
pub mod protocol;
pub mod spec;
