//! The behavioural contract, rule by rule: a test's name begins with the id of the rule that it holds. What a rule asks
//! of the use cases, of the ports or of the agent is tested where those are.

#[path = "../common/mod.rs"]
mod common;

mod auto;
mod breaker;
mod counting;
mod drains;
mod flapping;
mod health;
mod launching;
mod measurements;
mod nobody;
mod operating;
mod operator;
mod orphans;
mod places;
mod safety;
mod scaling_in;
mod schedule;
mod seeds;
mod signals;
mod size;
mod step;
mod target;
mod templates;
mod words;
