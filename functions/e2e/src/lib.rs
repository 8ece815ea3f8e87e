//! The Lambdas as they are shipped - real processes of the real binaries - with everything around them on loopback: a stub
//! of the Runtime API, DynamoDB in process (dynoxide) with its stream, stubs of SSM and of CloudFormation,
//! our EC2, and live agents.
//!
//! For tests and for measurements only. It must never decide anything: what a test sees is what the binaries did. Start
//! reading at [`World`].

mod cloudformation;
mod function;
mod parameters;
mod processes;
mod runtime_api;
mod stream;
mod world;

pub use cloudformation::{BAD_IMAGE, CloudFormation, Stack};
pub use function::{Environment, Function, InvokeError};
pub use parameters::Parameters;
pub use processes::binary;
pub use stream::{Delivery, Stream};
pub use world::{Setup, World, quick_policy, serving};
