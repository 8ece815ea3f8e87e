//! To come.

#[cfg(feature = "tables")]
pub mod tables;
