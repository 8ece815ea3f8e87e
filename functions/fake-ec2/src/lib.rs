//! An EC2 of our own, over HTTP, for tests and for emulator runs: it takes the EC2 Query protocol and answers in EC2's XML, and can
//! start a real agent for each instance that runs.
//!
//! It must never be part of what is deployed, and depends on nothing of the workspace. Start reading at [`cloud`]: a state machine
//! that takes a form and a time and gives an answer. Around it stand [`query`] (names in), `xml` (elements out), [`rules`] (what
//! goes wrong), `http` (the server and the control API), [`agents`] (processes), and [`FakeEc2`], which holds them together.
//!
//! # What is faithful
//!
//! - *Client tokens* of `RunInstances`: a token holds in its zone when the request names a zone or a subnet, and in the region
//!   otherwise; the same parameters give the same reservation again, others `IdempotentParameterMismatch`, and a token whose instances
//!   have ended `IdempotentInstanceTerminated`. How long a token is remembered is documented nowhere, so it can be set.
//! - *Order of checks*: permission, then unknown and missing parameters, then `DryRun`, then the token, then the parameters' values, then
//!   capacity. So a repeated token finds its instance while there is no capacity, and not while there is no permission.
//! - *States over time*, with their delays; `TerminateInstances` again and again succeeds; a terminated instance is shown for an hour.
//! - *Describing calls lag*: with a lag a new instance is not found, an ended one still runs, new tags are not there. Changing calls see
//!   the truth.
//! - *Lost answers*: a caller that gives up, or whose connection is cut by a rule, has still done what it asked for.
//! - *Wholly or not at all*: one bad id fails the call that names it, and nothing is changed.
//! - *Codes and statuses* as documented; names of parameters as botocore's service model has them. A parameter that EC2 does not have is
//!   `UnknownParameter`, one that it has and this does not `UnsupportedOperation`.
//! - *Launch templates* with numbered versions, `$Default`, `$Latest`, source versions, and the two tags that EC2 itself gives to what is
//!   launched from one.
//! - *Filters* with `*`, `?` and `\`, limits included; pages with opaque tokens; `MinCount` and `MaxCount` with partial success.
//!
//! # What is not
//!
//! - Signatures and credentials are not looked at: permissions are rules.
//! - A launch into no named zone goes to the first zone with room; EC2 weighs.
//! - Images exist when their ids are well formed (or listed); a template's data is checked for its names, not for its sense.
//! - Parameters such as security groups, keys and user data are accepted, count for a token's sameness, and do nothing.
//! - Volumes, network interfaces and addresses do not exist beside the private address; a zone has one subnet.
//! - What documentation leaves open is decided in `cloud/token.rs`, and said there.
//! - A filter that EC2 has and this has not is an invalid filter. Without `MaxResults` a page holds 1,000 things.
//!
//! How it is checked: `tests/cloud` goes through the rules by tables and documented requests, `tests/boto3` has AWS's own client use it,
//! compares every parameter and every element with botocore's service model, and `tests/server` starts real agents.
//!
//! # The control API
//!
//! JSON under `/_fake/`; each has a method on [`FakeEc2`] for tests in the same process. Refused requests answer 400 or 404 with a text.
//!
//! | request | what it does |
//! |---|---|
//! | `GET ledger` | [`Ledger`]: every instance ever, the latest 10,000 calls, templates, rules, settings |
//! | `POST rules` | adds a list of [`Rule`]s (or one) and answers `{"ids": [..]}` |
//! | `DELETE rules`, `DELETE rules/ID` | takes all rules away, or one |
//! | `POST demand` | `{"demand": 240}`: shared by what runs; `{"instance": "i-..", "load": 80}`: one's own (`null`: its share again) |
//! | `POST instances/ID` | `{"deed": "terminate"}`, or `spot-take`, `stop`, `start`, `impair`, `heal`: without any call |
//! | `POST agents/ID/DEED` | `kill`, `terminate`, `leave`, `stop`, `continue`, `start` |
//! | `POST settings` | changes the given ones of [`Settings`] and answers all |
//! | `POST reset` | forgets instances, tokens, templates, rules and calls; settings stay, addresses go on |

mod agents;
pub mod cloud;
mod config;
mod control;
mod fault;
mod filter;
mod http;
mod query;
mod rules;
mod shared;
mod xml;

pub use agents::{AgentDeed, AgentRecord};
pub use cloud::{
    Answer, CallRecord, Cloud, Deed, Ending, Held, InstanceRecord, Ledger, NoInstance, Reply, State, TemplateRecord,
};
pub use config::{AgentSettings, Capacity, Config, Settings, TemplateSeed, Zone};
pub use control::{ControlError, Demand};
pub use fault::Fault;
pub use rules::{Rule, RuleError, RuleState, When};
pub use shared::{FakeEc2, Running};

pub(crate) use shared::Shared;
