//! MonitorC.
fn main() {}
