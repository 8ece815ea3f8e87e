//! `muster`: the operator's command, and the local world of `muster up`.
//!
//! [`local`] runs the whole loop on one machine, over the same use cases as the Lambdas; [`decide`] and [`policy`] are the
//! pure decision and the policy's text as commands; [`simulate`] plays faulty schedules over the use cases, [`backtest`] a load that was against a
//! policy. The operator's commands - [`status`], [`members`], [`history`], [`explain`], [`top`], [`pause`], [`marks`], the rest of [`policy`],
//! [`replay`] - are written once, over the ports: [`place`] leads them to a world on this machine or, behind the feature `aws`, to a `stack` in the
//! operator's own account; what they print is the read model of `muster-web`. [`doctor`] asks both what is wrong.
//!
//! What must never be in here: a decision, or an AWS SDK crate outside of that feature.

pub mod backtest;
pub mod completions;
pub mod decide;
pub mod doctor;
pub mod explain;
pub mod failure;
#[cfg(test)]
mod golden;
pub mod history;
#[cfg(test)]
mod lived;
pub mod local;
pub mod marks;
pub mod members;
pub mod moments;
pub mod pause;
pub mod place;
pub mod policy;
pub mod replay;
pub mod said;
pub mod settings;
pub mod simulate;
#[cfg(feature = "aws")]
pub mod stack;
pub mod status;
pub mod top;
pub mod words;
