//! MonitorC: the gRPC agent that runs on every instance and answers for it.
//!
//! It samples the processor every second into a ring, probes the application, and answers
//! `monitor.proto`. It decides nothing about the group, never calls out except to the application
//! beside it, and lets no caller - slow, greedy or broken - stop the sampling or another caller.
//! No answer carries a wall clock, and none carries a number that is not finite.
//!
//! Start reading in [`agent`], which holds all that changes while it runs; [`service`] answers from
//! it, [`metrics`], [`simulate`], [`application`] and [`signals`] feed it, [`hook`] carries out what it asks for, and the binary only
//! wires them.

pub mod agent;
pub mod application;
pub mod config;
pub mod connections;
pub mod hook;
pub mod lifecycle;
pub mod metrics;
pub mod parent;
pub mod ring;
pub mod server;
pub mod service;
pub mod signals;
pub mod simulate;
