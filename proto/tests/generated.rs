//! Guards the committed code: it must be what `monitor.proto` generates today.
//!
//! `MUSTER_REGENERATE=1 cargo test -p muster-proto` writes it anew.

use std::error::Error;
use std::fs;
use std::path::Path;

use prost::Message;

const FILES: [&str; 2] = ["muster.v1.rs", "descriptor.bin"];

fn generate(into: &Path) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([root.join("monitor.proto")], [root])?;
    let mut served = descriptors.clone();
    for file in &mut served.file {
        // Comments are for readers of the source: reflection serves the types alone.
        file.source_code_info = None;
    }
    fs::write(into.join("descriptor.bin"), served.encode_to_vec())?;
    tonic_prost_build::configure()
        .out_dir(into)
        // The transport is the caller's choice: the generated client takes any channel.
        .build_transport(false)
        .client_mod_attribute("muster.v1", "#[cfg(feature = \"client\")]")
        .server_mod_attribute("muster.v1", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    Ok(())
}

#[test]
fn committed_code_is_what_the_contract_generates() -> Result<(), Box<dyn Error>> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let fresh = tempfile::tempdir()?;
    generate(fresh.path())?;
    for name in FILES {
        let generated = fs::read(fresh.path().join(name))?;
        let path = committed.join(name);
        if std::env::var_os("MUSTER_REGENERATE").is_some() {
            fs::write(&path, generated)?;
        } else {
            assert!(
                fs::read(&path).is_ok_and(|found| found == generated),
                "src/generated/{name} is not what monitor.proto generates: run \
                 `MUSTER_REGENERATE=1 cargo test -p muster-proto` and commit the result"
            );
        }
    }
    let files = fs::read_dir(&committed)?.count();
    assert_eq!(files, FILES.len(), "src/generated holds a file that nothing generates");
    Ok(())
}
