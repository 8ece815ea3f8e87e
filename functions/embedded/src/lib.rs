//! The store ports on SQLite, shared by several processes.
