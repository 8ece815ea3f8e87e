//! The agent's gRPC contract: `monitor.proto` and the code generated from it.
//!
//! The generated code is committed, so that a build needs neither protoc nor a build script;
//! `tests/generated.rs` fails when it no longer says what `monitor.proto` says, and rewrites it
//! when run with `MUSTER_REGENERATE=1`. Nothing else belongs here: no conversion, no default, no
//! rule. Start reading in `monitor.proto`.

/// Version 1 of the contract: the messages, and behind the features of the same names `client`
/// and `server`.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
#[path = "generated/muster.v1.rs"]
pub mod v1;

/// The compiled `monitor.proto`, encoded as a `google.protobuf.FileDescriptorSet`: what a server
/// registers for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptor.bin");
