//! What a decision asks for. A plan leaves no choice to whoever carries it out: which member, which zone, which token.

use serde::{Deserialize, Serialize};

use crate::auto::Learnt;
use crate::group::Head;
use crate::intent::{Cause, Intent, IntentId};
use crate::member::{InstanceId, Leaving};
use crate::time::Timestamp;

/// The next HEAD, and the steps that are claimed together with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// HEAD after the claim, its version raised by one.
    pub head: Head,
    /// What the rule `auto` knows now; none when it has learnt nothing. It is stored when `head.auto` says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<Box<Learnt>>,
    /// In the order in which they are claimed.
    pub steps: Vec<Step>,
    /// How many actions the claim had no room for: they follow in the next one.
    pub postponed: u32,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// A Pending member has answered for the first time.
    Confirm {
        /// The member.
        id: InstanceId,
        /// When it answered.
        first_answer: Timestamp,
    },
    /// EC2 says that a member is gone or no longer ours: its record is closed (D6, H7, O5).
    Close {
        /// The member.
        id: InstanceId,
        /// How it went.
        departure: Departure,
    },
    /// A drain is taken back: the member serves on (D4).
    TakeBack {
        /// The member.
        id: InstanceId,
    },
    /// An instance of ours that no record knows is terminated (V3).
    Sweep {
        /// The instance.
        id: InstanceId,
        /// The call.
        intent: Intent,
    },
    /// A member is asked to finish its work (D3).
    Drain {
        /// The member.
        id: InstanceId,
        /// Why, since when, and how long it may take.
        leaving: Leaving,
    },
    /// A member's termination is committed: it becomes Terminating, and the intent is carried out.
    Terminate {
        /// The member.
        id: InstanceId,
        /// What its record says from now on.
        leaving: Leaving,
        /// The call.
        intent: Intent,
    },
    /// A launch that nobody has tried yet is taken back (F6).
    Cancel {
        /// The launch.
        intent: IntentId,
    },
    /// A launch is committed and carried out.
    Launch {
        /// The call.
        intent: Intent,
    },
}

/// How a member has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Departure {
    /// It was Terminating.
    Ended,
    /// Nobody here had ended it (H7).
    Lost,
    /// Somebody has taken our tag from it: the instance is left alone (O5).
    Disowned,
}

impl Step {
    /// The step in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::Confirm { id, .. } => format!("{id} has answered"),
            Self::Close { id, departure: Departure::Lost } => format!("{id} is lost"),
            Self::Close { id, departure: Departure::Ended } => format!("{id} is gone"),
            Self::Close { id, departure: Departure::Disowned } => format!("{id} is disowned"),
            Self::TakeBack { id } => format!("take {id} back"),
            Self::Sweep { id, .. } => format!("terminate {id} ({})", Cause::Orphan),
            Self::Drain { id, leaving } => format!("drain {id} ({})", leaving.cause),
            Self::Terminate { id, leaving, .. } => format!("terminate {id} ({})", leaving.cause),
            Self::Cancel { intent } => format!("cancel launch {intent}"),
            Self::Launch { intent } => format!("launch {} ({})", intent.id, intent.cause),
        }
    }

    /// Whether the step only writes down what has happened. Such steps are taken in every mode (O1).
    pub const fn is_record(&self) -> bool {
        match self {
            Self::Confirm { .. } | Self::Close { .. } => true,
            Self::Drain { .. } | Self::Terminate { .. } | Self::Cancel { .. } | Self::Launch { .. } => false,
            Self::TakeBack { .. } | Self::Sweep { .. } => false,
        }
    }
}

impl Plan {
    /// Whether there is anything to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
