//! The agent under fire: callers that are broken, greedy or hostile, and beside them a monitor that is none of it.
//!
//! While each goes on the monitor gets every answer, and the agent keeps inside its bounds of memory and descriptors. Nothing
//! here is timed: a deadline only says when to give up on an answer that does not come.

#[path = "../support/mod.rs"]
mod support;

mod fire;
mod floods;
mod garbage;
mod greed;
mod slow;
