//! The ports over AWS: the only crate that names an AWS SDK.
//!
//! Everything here is translation: a port's call into requests, answers into facts, errors into what a caller acts on. It
//! decides nothing, keeps nothing between calls but connections, and retries nothing that changes EC2. Start with
//! [`clients::Connection`], then `fleet` (EC2), `tables` (DynamoDB) and `parameters` (SSM), each behind its feature, because each
//! brings an SDK of its own. `stacks` (CloudFormation) is no port: it is for the operator's command, and in no function.

pub mod clients;
#[cfg(any(feature = "fleet", feature = "parameters", feature = "stacks"))]
mod failure;
#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "parameters")]
pub mod parameters;
#[cfg(feature = "stacks")]
pub mod stacks;
#[cfg(feature = "tables")]
pub mod tables;
