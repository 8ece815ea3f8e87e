//! Truthful ports in memory: they obey conditional writes, tokens, leases and the order of the stream, and pass the same
//! suites as the real ones.

mod clock;
mod fleet;
mod policy;
mod probe;
mod store;

pub use clock::ManualClock;
pub use fleet::MemoryFleet;
pub use policy::MemoryPolicy;
pub use probe::{MemoryProbe, Scripted};
pub use store::MemoryStore;
