//! The store ports over DynamoDB, against an emulator in the test's own process.
#![cfg(feature = "tables")]

mod emulator;
mod failures;
mod forget;
mod items;
mod life;
mod limits;
mod ports;
mod sweeps;
