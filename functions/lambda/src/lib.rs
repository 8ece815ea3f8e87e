//! What the Lambdas share around their use case: the settings, the events that wake them, the requests of a URL, the metrics that they leave, the
//! machine's clock, the names of their errors, and the runtime's loop.
//!
//! What must never be in here: an AWS SDK, a decision, a call to anybody. All of it is pure but for [`SystemClock`], the environment, the one
//! line that [`emf`] writes and the loop (feature `runtime`), so that it can be fuzzed and tested without a function around it.
//!
//! **Where to start reading.** [`events`]: nothing of what wakes a function is trusted, and nothing of it says what to do.

pub mod clock;
pub mod emf;
pub mod events;
pub mod failure;
#[cfg(feature = "runtime")]
mod serve;
pub mod settings;
pub mod url;

pub use clock::SystemClock;
pub use failure::Failure;
#[cfg(feature = "runtime")]
pub use serve::serve;
