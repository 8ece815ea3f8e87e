//! Where the binaries are.

use std::path::PathBuf;

/// The binary of another package of the workspace, beside the test that runs: `cargo build --workspace` has put it there.
///
/// # Panics
/// When it is not there, with the command that builds it.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.ancestors().nth(2).expect("a test runs in target/PROFILE/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}
