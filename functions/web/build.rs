//! Builds the page's files into the program: those of `page/dist`, which `make page` makes, or else the plain page.
//!
//! Forty lines and no crate: what is embedded is a list of paths and bytes, and serving it (types, caching, ETags) is the API's own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("page");
    let built = root.join("dist").join("index.html").is_file();
    let folder = root.join(if built { "dist" } else { "plain" });
    // A folder that is not there cannot be watched without being looked for at every build: `make page` touches this file.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    let mut code = format!("/// Whether the page was built.\nconst BUILT: bool = {built};\n");
    code.push_str("/// The files of the page.\nstatic FILES: &[File] = &[\n");
    for file in files {
        let path = file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let _ = writeln!(code, "    File {{ path: {:?}, bytes: include_bytes!({:?}) }},", format!("/{path}"), file);
    }
    code.push_str("];\n");
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR").unwrap_or_default()).join("page.rs"), code)
}

/// Every file under `folder`; none that a browser is not to have.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_none_or(|ending| ending != "map") {
            files.push(path);
        }
    }
    Ok(())
}
