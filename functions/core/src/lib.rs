//! The pure decision: what a group of instances should do next, and why.
