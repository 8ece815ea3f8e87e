//! The probe against agents and other peers on loopback.
//!
//! What must be answered has a long deadline, so that a busy machine fails no test; what never answers has a short one.

mod connections;
mod limits;
mod orders;
mod peers;
mod signals;
mod support;
mod sweep;
