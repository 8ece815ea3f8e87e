//! The use cases over the memory ports: what one sees of the contract from outside, with everything that can go wrong
//! between two calls. Start reading at [`world`]; each test states only its difference from it.

mod crashes;
mod faults;
mod health;
mod launching;
mod leaving;
mod modes;
mod policies;
mod records;
mod shards;
mod world;
