//! What a group is doing and why, as data, for people: the page, the commands, and whoever else asks over HTTP.
//!
//! [`read`] is the read model: plain functions over the ports ([`stand::Stand`]) that return structs, which the API sends and the
//! commands print. [`steer`] changes what an operator may change: the policy, a pause, marks on instances. [`api`] puts both on HTTP, with the page.
//!
//! What must never be in here: an SDK, a decision, a claim, a call that launches or terminates, or a clock read (time is a port).
//! Everything is bounded, however large the group and however long its record: see [`read`].

pub mod api;
pub mod read;
pub mod stand;
pub mod steer;
