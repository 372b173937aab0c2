//! What processes of ours say to each other: the control socket's requests and answers,
//! and the orders to the log writer. Types and limits only; nothing here does I/O.
#![forbid(unsafe_code)]

pub mod control;
pub mod output;
