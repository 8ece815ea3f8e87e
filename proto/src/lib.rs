//! The agent's gRPC contract: monitor.proto and the code generated from it.
