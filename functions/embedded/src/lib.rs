//! The store ports on SQLite: one file, shared by the processes of the local world.
//!
//! [`SqliteStore`] keeps the conditions of `muster_control::ports` exactly and passes the same suite as the tables in
//! memory and on AWS. What must never be in here: a decision, a clock read (what is old is told by the records
//! themselves), or a format that a person with `sqlite3` cannot read: every item is one JSON document in one row.
//!
//! **Several processes.** Write-ahead logging lets readers go on while one process writes. Every write is one `BEGIN
//! IMMEDIATE` transaction, which takes the write lock before it reads its conditions, so that nobody can come between a
//! condition and its write; the read protocol is one read transaction, which is a snapshot.
//!
//! **Being killed.** A transaction is in the log as a whole or not at all, and what is committed is in the kernel's hands:
//! `kill -9` at any moment loses nothing that was answered. `synchronous = NORMAL` means that a *power loss* may take the
//! last commits, never the file's soundness. That is accepted here because it takes the instances of the local world
//! with it, and because waiting for the disk at every sweep is what makes laptops and CI machines slow.
//!
//! **Where to start reading.** `store` is the ports, each a line that hands a closure to `worker`'s thread; the
//! transactions are in `group`, `health` and `activity`, the tables in `schema`.

mod activity;
mod failure;
mod group;
mod health;
mod rejected;
mod rows;
mod schema;
mod store;
mod worker;

pub use store::SqliteStore;
