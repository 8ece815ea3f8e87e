//! `muster replay`: the decisions of the activity log, taken once more.

pub mod play;
