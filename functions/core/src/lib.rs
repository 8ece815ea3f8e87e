//! The pure heart of Muster: from what is known about a group of instances to what should be done next, and why.
//!
//! Nothing in here is asynchronous, reads a clock, an environment or a random number, or does any I/O: whatever a
//! decision depends on is an argument, so that the same snapshot and policy give the same decision to the bit
//! (rules O3 and S9). `clippy.toml` beside `Cargo.toml` enforces it. Only parsing may fail; [`decide::decide`] is
//! total.
//!
//! Start reading at [`snapshot::Snapshot`] (what is known), then [`decide::decide`], then [`plan::Plan`] and
//! [`report::Report`] (what comes out). Names like `M2` or `F6` are the rules of the behavioural contract, which
//! `functions/README.md` lists.

pub mod auto;
pub mod decide;
pub mod group;
pub mod health;
pub mod history;
pub mod intent;
pub mod member;
pub mod plan;
pub mod policy;
pub mod report;
pub mod signals;
pub mod snapshot;
pub mod sweep;
pub mod time;
