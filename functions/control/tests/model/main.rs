//! The protocols of launching and of letting go, searched in every interleaving.
//!
//! A test of the use cases follows one order of events at a time. Here stateright takes every step of every process in every
//! order, with deaths, lost replies and refusals between any two, until nothing new comes. The models are written by hand
//! and stand beside the code that they model: the head of each says which step is which line, and what is left out. A
//! change of the protocol changes its model first.
//!
//! The shipped design must hold in all states. Each weaker one, which somebody might take it for, must fail: that shows
//! what the rule that it lacks is for, and that the model can see it.
//!
//! `cargo test -p muster-control --test model -- --nocapture` prints the number of states, and the shortest way to each
//! failure.

mod checking;
mod launch;
mod terminate;
