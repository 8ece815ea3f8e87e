//! Any port, with faults: calls that come late, fail, or are made and never answered, as a [`Schedule`] says.
//!
//! A schedule knows of each call only which one it is, and says its [`Fate`]. The faults are those that a caller of a real
//! service meets: what fails has not been made, what is lost has been. What must never be in here: a source of randomness
//! (a seed is an argument, see [`Seeded`]), or a way to change what a call asks for.

mod ports;
mod rates;

use std::future::Future;
use std::time::Duration;

pub use rates::{Rates, Seeded};
use serde::{Deserialize, Serialize};

use crate::ports::{Clock, FleetError, PolicySourceError, StoreError};

/// The calls of the ports; a clock's are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// `GroupStore::head`.
    Head,
    /// `GroupStore::read`.
    Read,
    /// `GroupStore::claim`.
    Claim,
    /// `GroupStore::lease`.
    Lease,
    /// `GroupStore::release`.
    Release,
    /// `GroupStore::settle`.
    Settle,
    /// `GroupStore::roster`.
    Roster,
    /// `GroupStore::policy`.
    Policy,
    /// `HealthStore::take_slot`.
    TakeSlot,
    /// `HealthStore::append`.
    Append,
    /// `HealthStore::latest`.
    Latest,
    /// `ActivityLog::between`, and `since` by it.
    Since,
    /// `PolicySource::fetch`.
    Fetch,
    /// `Fleet::list`.
    List,
    /// `Fleet::describe`.
    Describe,
    /// `Fleet::template_version`.
    TemplateVersion,
    /// `Fleet::launch`.
    Launch,
    /// `Fleet::find`.
    Find,
    /// `Fleet::terminate`.
    Terminate,
    /// `AgentProbe::probe`.
    Probe,
}

impl Call {
    /// Whether it changes something; the others only ask. A probe may tell an agent to drain.
    pub const fn changes(self) -> bool {
        match self {
            Self::Claim | Self::Lease | Self::Release | Self::Settle | Self::TakeSlot | Self::Append => true,
            Self::Launch | Self::Terminate | Self::Probe => true,
            Self::Head | Self::Read | Self::Roster | Self::Policy | Self::Latest | Self::Since | Self::Fetch => false,
            Self::List | Self::Describe | Self::TemplateVersion | Self::Find => false,
        }
    }

    /// Whether it is a call of the tables.
    pub const fn is_store(self) -> bool {
        match self {
            Self::Head | Self::Read | Self::Claim | Self::Lease | Self::Release | Self::Settle => true,
            Self::Roster | Self::Policy | Self::TakeSlot | Self::Append | Self::Latest | Self::Since => true,
            Self::Fetch | Self::Probe => false,
            Self::List | Self::Describe | Self::TemplateVersion | Self::Launch | Self::Find | Self::Terminate => false,
        }
    }

    /// Whether it is a call of EC2.
    pub const fn is_ec2(self) -> bool {
        match self {
            Self::List | Self::Describe | Self::TemplateVersion | Self::Launch | Self::Find | Self::Terminate => true,
            Self::Fetch | Self::Probe => false,
            Self::Head | Self::Read | Self::Claim | Self::Lease | Self::Release | Self::Settle => false,
            Self::Roster | Self::Policy | Self::TakeSlot | Self::Append | Self::Latest | Self::Since => false,
        }
    }
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// How long the call waits before it is made, or fails.
    pub before: Duration,
    /// How it ends.
    pub end: End,
    /// How long its answer is on the way.
    pub after: Duration,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It is made and answered.
    #[default]
    Answered,
    /// It is not made, and fails so.
    Fails(Kind),
    /// It is made, and its answer is lost: the caller hears that the port is not available.
    Lost,
}

/// How a call fails that is not made. A port without such an error says that it is not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Too many calls.
    Throttled,
    /// A store's condition did not hold; for EC2, a later attempt has been seen.
    Conflict,
    /// EC2 has no capacity.
    NoCapacity,
    /// EC2 refuses the call as it is.
    Refused,
    /// No answer.
    Unavailable,
}

impl Fate {
    /// The call goes as it should.
    pub const GOES: Self = Self { before: Duration::ZERO, end: End::Answered, after: Duration::ZERO };
    /// It is made, and its answer is lost.
    pub const LOST: Self = Self { end: End::Lost, ..Self::GOES };

    /// It is not made, and fails as `kind`.
    pub const fn fails(kind: Kind) -> Self {
        Self { end: End::Fails(kind), ..Self::GOES }
    }

    /// It is made `span` later.
    pub const fn late(span: Duration) -> Self {
        Self { before: span, ..Self::GOES }
    }
}

/// Says what becomes of each call, in the order in which they are made. A closure is one.
pub trait Schedule: Send + Sync {
    /// The fate of the next call, which is `call`.
    fn fate(&self, call: Call) -> Fate;
}

impl<F: Fn(Call) -> Fate + Send + Sync> Schedule for F {
    fn fate(&self, call: Call) -> Fate {
        self(call)
    }
}

/// A port under a schedule; `clock` is slept on for delays.
#[derive(Clone, Debug)]
pub struct Faulty<P, S, C> {
    /// The port.
    pub inner: P,
    /// What becomes of its calls.
    pub schedule: S,
    /// Time, for delays.
    pub clock: C,
}

/// An error that can be made up.
pub trait MadeUp {
    /// The error of a call that is not made.
    fn of(kind: Kind) -> Self;
}

/// The cause of a made-up error, for the log.
const CAUSE: &str = "an injected fault";

impl MadeUp for StoreError {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Throttled => Self::Throttled(CAUSE.into()),
            Kind::Conflict => Self::Conflict,
            Kind::NoCapacity | Kind::Refused | Kind::Unavailable => Self::Unavailable(CAUSE.into()),
        }
    }
}

impl MadeUp for FleetError {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Throttled => Self::Throttled(CAUSE.into()),
            Kind::Conflict => Self::Superseded,
            Kind::NoCapacity => Self::NoCapacity(CAUSE.into()),
            Kind::Refused => Self::Refused(CAUSE.into()),
            Kind::Unavailable => Self::Unavailable(CAUSE.into()),
        }
    }
}

impl MadeUp for PolicySourceError {
    fn of(_: Kind) -> Self {
        Self(CAUSE.into())
    }
}

impl<P, S: Schedule, C: Clock> Faulty<P, S, C> {
    /// Lets a call that can fail meet its fate.
    async fn meet<T, E: MadeUp>(&self, call: Call, made: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let fate = self.schedule.fate(call);
        self.wait(fate.before).await;
        let answer = match fate.end {
            End::Answered => made.await,
            End::Fails(kind) => Err(E::of(kind)),
            End::Lost => {
                let _lost = made.await;
                Err(E::of(Kind::Unavailable))
            }
        };
        self.wait(fate.after).await;
        answer
    }

    async fn wait(&self, span: Duration) {
        if !span.is_zero() {
            self.clock.sleep(span).await;
        }
    }
}
