//! What a policy would have done to a recorded or public load, and how good that was.
//!
//! A [`trace`] says how many requests came when; a [`world`] plays them against one group of identical instances, whose size a
//! [`scaler`] orders; a [`score`] says how many requests met an overloaded group and what the instances cost, beside an
//! [`oracle`] that knew the load before. Scalers are the shipped decision itself ([`muster`]: every stage of
//! [`muster_core::decide`], not a model of it) and models of other autoscalers ([`peers`]). [`matrix`] plays many worlds,
//! [`crowd`] a sudden one, [`stream`] lets another program be the world.
//!
//! [`history`] makes a load of what a group's own sweeps have seen, and [`compare`] plays policies against it, beside the others, into
//! figures, a [`chart`] and money ([`price`]): what `muster backtest` prints, and whoever else previews a policy shows.
//!
//! Nothing in here is asynchronous, reads a clock or an environment, or does I/O. Chance is a seed ([`noise`]), and the same seed
//! gives the same figures on every machine. What must never be in here: a second version of a rule of the core.
//!
//! Start reading at [`world`].

pub mod chart;
pub mod compare;
pub mod crowd;
pub mod history;
pub mod matrix;
pub mod muster;
pub mod noise;
pub mod oracle;
pub mod peers;
pub mod price;
pub mod scaler;
pub mod score;
pub mod stream;
pub mod trace;
pub mod world;
