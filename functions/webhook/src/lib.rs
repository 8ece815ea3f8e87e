//! Tells an operator what has happened to a group, by a signed POST to an address of his.
//!
//! [`events()`] makes events of the activities that a reconcile has left, [`Webhook::send`] posts them. Nobody waits for a
//! webhook to decide or to act: it is told afterwards, within a deadline of its own, and a failure is one line in the log. An
//! activity may be told not at all, and twice when the answer to a try is lost: a receiver tells repeats by `id` and `kind`. What must not be lost is in
//! the activity log.
//!
//! What must never be in here: a decision, a store, a word in a request that says how to get into the account, trust in what the
//! receiver answers. Its answer's body is not read.
//!
//! **Where to start reading.** [`mod@events`] is what is told, `body` how it is written, `sign` how it is signed, `send` how it gets
//! there. The README of `functions/` has the format.

mod body;
pub mod events;
mod send;
mod sign;
mod url;

pub use body::Format;
pub use events::events;
pub use send::{SendError, Sent, Webhook, WebhookError};
pub use url::{Target, TargetError};
