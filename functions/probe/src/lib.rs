//! The gRPC client side: one bounded look at many agents.
//!
//! [`GrpcProbe`] is the `AgentProbe` of the real world. It says what it saw and never what that means: a failure is a value
//! with its kind, and how many are silent is judged in the core. What must never be in here: a decision about a member,
//! a policy, or trust in what an agent sends.
//!
//! **What a look costs at most.** [`Settings::permits`] visits are active at once. A visit has one deadline, which starts
//! with its permit and covers connecting and calling. When all have been visited, those that failed are visited once more,
//! each over a new connection. So a look ends within `ceil(targets / permits) x deadline x 2`, whatever the agents do:
//! [`Settings::longest_look`].
//!
//! **What an agent can do to us.** Hang, drip, flood, lie or speak another protocol: it costs its own permit until the
//! deadline, and at most 256 kB of reading in each pass. Every peer has a connection of its own with small windows, a limit
//! on headers and on the message, and no life beyond its visit unless it has answered.
//!
//! **Where to start reading.** `probe` holds the two passes, `visit` what is said to one agent, `connection` how,
//! `metered` what a flood meets, `answer` what is taken from what is said, `failure` how it can go wrong, `lag` how we know
//! that we were the ones who slept.

mod answer;
mod connection;
mod failure;
mod lag;
mod metered;
mod probe;
mod settings;
mod visit;

pub use answer::observe;
pub use connection::{Connect, Tcp};
pub use probe::GrpcProbe;
pub use settings::Settings;
