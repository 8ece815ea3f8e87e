//! How an invocation fails: with a name that an alarm or a caller can act on.

use std::error::Error;

use muster_control::chain::chain;
use muster_control::policy::NoPolicy;
use muster_control::ports::StoreError;
use muster_control::reconcile::ReconcileError;

use crate::events::EventError;
use crate::settings::SettingsError;

/// Characters of an error's text that leave the function: its answer goes to whoever has invoked it.
const TEXT_KEPT: usize = 2_000;

/// An invocation's failure: the runtime reports `name` as `errorType`, `text` as `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {text}")]
pub struct Failure {
    /// What kind: `Settings`, `Event`, `Policy`, `Timeout`, `Store.Throttled`, `Store.Unavailable`, `Store.Corrupt`, `Store.Conflict`.
    pub name: &'static str,
    /// The error and all its sources.
    pub text: String,
}

impl Failure {
    /// A failure of kind `name`, told by `error` and its sources.
    pub fn new(name: &'static str, error: &dyn Error) -> Self {
        Self { name, text: chain(error).chars().take(TEXT_KEPT).collect() }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        Self::new(store_error_name(error), error)
    }
}

impl From<&ReconcileError> for Failure {
    fn from(error: &ReconcileError) -> Self {
        let name = match error {
            ReconcileError::Store(store) => store_error_name(store),
            ReconcileError::Policy(NoPolicy::Store(store)) => store_error_name(store),
            ReconcileError::Policy(_) => "Policy",
        };
        Self::new(name, error)
    }
}

impl From<&EventError> for Failure {
    fn from(error: &EventError) -> Self {
        Self::new("Event", error)
    }
}

impl From<&SettingsError> for Failure {
    fn from(error: &SettingsError) -> Self {
        Self::new("Settings", error)
    }
}

#[cfg(feature = "runtime")]
impl From<Failure> for lambda_runtime::Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.name.to_owned(), error_message: failure.text }
    }
}

const fn store_error_name(error: &StoreError) -> &'static str {
    match error {
        StoreError::Conflict => "Store.Conflict",
        StoreError::Throttled(_) => "Store.Throttled",
        StoreError::Unavailable(_) => "Store.Unavailable",
        StoreError::Corrupt(_) => "Store.Corrupt",
    }
}

#[cfg(all(test, feature = "runtime"))]
mod tests {
    use lambda_runtime::Diagnostic;

    use super::*;

    #[test]
    fn each_error_has_a_name_and_tells_its_whole_chain() {
        let throttled = || StoreError::Throttled("ProvisionedThroughputExceeded".into());
        let cases = [
            (Failure::from(&throttled()), "Store.Throttled"),
            (Failure::from(&ReconcileError::from(throttled())), "Store.Throttled"),
            (Failure::from(&StoreError::Unavailable("timeout".into())), "Store.Unavailable"),
            (Failure::from(&StoreError::Corrupt("no HEAD".into())), "Store.Corrupt"),
            (Failure::from(&StoreError::Conflict), "Store.Conflict"),
        ];
        for (failure, name) in cases {
            assert_eq!(Diagnostic::from(failure).error_type, name);
        }
        let told = Diagnostic::from(Failure::from(&ReconcileError::from(throttled()))).error_message;
        assert_eq!(told, "the group cannot be read or written: the store is throttling: ProvisionedThroughputExceeded");
        let endless = StoreError::Corrupt("x".repeat(100_000).into());
        assert_eq!(Failure::from(&endless).text.chars().count(), TEXT_KEPT);
    }
}
