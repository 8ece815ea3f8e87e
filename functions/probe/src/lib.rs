//! The gRPC client side: one bounded sweep over many agents.
