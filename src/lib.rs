//! rsm-init: the process supervisor for PID 1 of a container.
//!
//! Read the floors from the top down; each may use only the floors above it. See
//! `ARCHITECTURE.md` for the picture.
//!
//! 1. The nouns: [`moment`], [`signal`], [`spec`].
//! 2. Text in, value or faults out: [`config`], [`protocol`].
//! 3. The one who decides, purely: [`supervisor`].
//! 4. The loop and its words: [`init`], [`journal`].
//! 5. The kernel: [`sys`].
//! 6. Other processes, which never see 3 to 5: [`logger`], [`ctl`] and its [`client`], [`check`].
//! 7. Who am I called as: [`roles`].

pub mod moment;
pub mod signal;
pub mod spec;

pub mod config;
pub mod protocol;

pub mod supervisor;

pub mod init;
pub mod journal;

pub mod sys;

pub mod check;
pub mod client;
pub mod ctl;
pub mod logger;
pub mod terminal;

pub mod roles;
