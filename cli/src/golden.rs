//! Texts that a command prints, kept in `cli/tests/golden` and read in reviews like code.
//!
//! `MUSTER_GOLDEN=write cargo test -p muster` writes them anew; look at the difference before it is committed.

use std::path::Path;

/// Compares `text` with the file of that name.
#[track_caller]
pub(crate) fn check(name: &str, text: &str) {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(name);
    let text = format!("{}\n", text.trim_end());
    if std::env::var_os("MUSTER_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&file, &text).expect("the golden text is written");
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == text, "{name} is no longer\n{kept}\nbut\n{text}\nMUSTER_GOLDEN=write takes it over");
}

/// Compares both forms of an answer, with NAME.txt and NAME.json.
#[track_caller]
pub(crate) fn check_said(name: &str, said: &crate::said::Said) {
    check(&format!("{name}.txt"), &said.text);
    check_json(&format!("{name}.json"), &said.document);
}

/// The same for what is printed as JSON.
#[track_caller]
pub(crate) fn check_json(name: &str, document: &impl serde::Serialize) {
    check(name, &serde_json::to_string_pretty(document).expect("plain data"));
}
