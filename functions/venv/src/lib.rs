//! For tests that put another implementation beside ours: the Python of an environment that holds pinned packages from PyPI, made once for
//! each set of them and kept beside the build. Needs `python3` with `venv` and `pip`.
//!
//! What must never be in here: anything of the workspace, or anything that a shipped program needs.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment's `python`, with all of `requirements` installed.
///
/// `home` is where environments are kept: `env!("CARGO_TARGET_TMPDIR")` of the test that asks.
///
/// # Errors
/// When Python is not there, or the packages cannot be installed.
pub fn python(home: &str, requirements: &Path) -> io::Result<PathBuf> {
    let version = run(Command::new("python3").arg("--version"))
        .map_err(|error| io::Error::other(format!("this test needs python3 with venv and pip: {error}")))?;
    let mut hasher = DefaultHasher::new();
    (fs::read_to_string(requirements)?, version).hash(&mut hasher);
    let environment = Path::new(home).join(format!("venv-{:016x}", hasher.finish()));
    // Two test runs at once share it: one installs, the other waits.
    let lock = File::create(environment.with_extension("lock"))?;
    lock.lock()?;
    let (python, installed) = (environment.join("bin/python"), environment.join("installed"));
    if !installed.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let install = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"];
        run(Command::new(&python).args(install).arg(requirements))?;
        fs::write(installed, "")?;
    }
    Ok(python)
}

/// Runs `command` to its end; its standard output.
///
/// # Errors
/// When it cannot be run or fails: with all that it has said.
pub fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output();
    let output = output.map_err(|error| io::Error::other(format!("cannot run {command:?}: {error}")))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(out.into_owned());
    }
    Err(io::Error::other(format!("{command:?} failed ({}):\n{out}{err}", output.status)))
}
