//! The instances: what EC2 says of them, and the calls that change them.

use std::future::Future;

use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use serde::{Deserialize, Serialize};

use super::Cause;

/// The running instances of a group, and the only way to change them.
///
/// Every call ends within a deadline of the implementation's own, shorter than the time between a controller's budget and
/// the end of its lease: a call that outlived its lease could act beside the next holder's.
pub trait Fleet: Send + Sync {
    /// Every instance that carries the group's tag, every page. Eventually consistent.
    fn list(&self, group: &GroupName) -> impl Future<Output = Result<Vec<FleetInstance>, FleetError>> + Send;

    /// What EC2 says of the instances with these ids, whatever tags they carry; an id that it does not know is left out.
    fn describe(
        &self,
        group: &GroupName,
        ids: &[InstanceId],
    ) -> impl Future<Output = Result<Vec<FleetInstance>, FleetError>> + Send;

    /// The number of the launch template's default version.
    fn template_version(&self, template: &str) -> impl Future<Output = Result<u64, FleetError>> + Send;

    /// Launches `spec` at most once per `spec.token`, however often it is called with that token while EC2 remembers it.
    /// `attempt` is the lease's: an implementation may refuse a lower one than it has seen.
    fn launch(&self, spec: &LaunchSpec, attempt: u32) -> impl Future<Output = Result<Launched, FleetError>> + Send;

    /// The instance that `spec` has launched, by client token and intent tag: for when EC2 may have forgotten the token
    /// (L10).
    fn find(&self, spec: &LaunchSpec) -> impl Future<Output = Result<Found, FleetError>> + Send;

    /// Ends one instance for `intent`; ending what has ended is success (D6). An instance that does not carry the group's
    /// tag is `Refused`, and never touched (C1).
    fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> impl Future<Output = Result<(), FleetError>> + Send;
}

/// The tags by which an operator tells the controller something of one instance; it learns of them by [`Fleet::list`].
///
/// A port of its own: whoever steers a group by hand holds it, himself or by Dashboard, and no function that decides.
pub trait Marks: Send + Sync {
    /// Sets the mark of an instance, or takes it off; what is so already stays so. An instance that does not carry the group's tag,
    /// one that EC2 does not know among them, is `Refused`, and never touched (C1).
    fn mark(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        mark: Mark,
        on: bool,
    ) -> impl Future<Output = Result<(), FleetError>> + Send;
}

/// What an operator may tell of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It may not be a scale-in victim (D2).
    Protected,
    /// It is to be replaced and drained (D8).
    Drain,
}

impl Mark {
    /// The key of the tag in EC2, whose value is [`Self::VALUE`].
    pub const fn key(self) -> &'static str {
        match self {
            Self::Protected => "muster:protected",
            Self::Drain => "muster:drain",
        }
    }

    /// The value of a tag that is set; any other means that it is not.
    pub const VALUE: &'static str = "true";
}

/// An instance that EC2 has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// Its id.
    pub id: InstanceId,
    /// Where its agent will listen: `address:port`.
    pub endpoint: String,
}

/// What a launch has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Nothing.
    Nothing,
    /// This instance, which has not ended.
    Running(Launched),
    /// An instance that has ended.
    Ended(InstanceId),
}

/// Why EC2 did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Too many calls: the same again, later.
    #[error("EC2 is throttling")]
    Throttled(#[source] Cause),
    /// No instance of that type in that zone now. Nothing was launched.
    #[error("EC2 has no capacity")]
    NoCapacity(#[source] Cause),
    /// The call can never succeed as it is: a permission, an image, a parameter. Nothing was done.
    #[error("EC2 refuses the call")]
    Refused(#[source] Cause),
    /// The token has launched an instance that has ended since. Nothing was done.
    #[error("the instance of this token has ended")]
    Ended(#[source] Cause),
    /// A later attempt has been seen: this caller has lost its lease.
    #[error("a later attempt is under way")]
    Superseded,
    /// No answer: it may or may not have happened.
    #[error("EC2 did not answer")]
    Unavailable(#[source] Cause),
}
