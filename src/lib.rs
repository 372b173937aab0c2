//! rsm-init: the process supervisor for PID 1 of a container.
//!
//! Read the floors from the top down; each may use only the floors above it. See
//! `ARCHITECTURE.md` for the picture.
//!
//! 1. The nouns: [`moment`], [`spec`].
//! 2. Text in, value or faults out: [`config`], [`protocol`].

pub mod check;
pub mod config;
pub mod moment;
pub mod signal;
pub mod spec;

pub mod protocol;

pub mod supervisor;

pub mod init;
pub mod journal;

pub mod sys;
