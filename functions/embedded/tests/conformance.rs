//! The store on SQLite passes the suite that every store must pass.

use muster_control::{store_conformance, store_model};
use muster_embedded::SqliteStore;
use tempfile::TempDir;

fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path().join("store.db")).expect("a new store");
    (store, folder)
}

store_conformance!(async { fresh() });
store_model!(32, "tests/model.regressions", async { fresh() });
