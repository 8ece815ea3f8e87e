//! What an error of EC2's means to whoever called: the codes that matter, in tables.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>

use std::error::Error;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use muster_control::ports::{Cause, FleetError};

use crate::failure::Failure;

/// Too many calls: known to have done nothing.
const THROTTLED: [&str; 9] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
];

/// What another zone or type cures (L4). Some of them come with status 500: the code counts.
const NO_CAPACITY: [&str; 14] = [
    "InsufficientAddressCapacity",
    "InsufficientCapacity",
    "InsufficientCapacityOnHost",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientVolumeCapacity",
    "MaxSpotInstanceCountExceeded",
    "ReservationCapacityExceeded",
    "SpotMaxPriceTooLow",
    // The type in that zone.
    "Unsupported",
    "UnsupportedHostConfiguration",
    "VolumeTypeNotAvailableInZone",
];

/// Refusals that pass by themselves: credentials that have just expired, a clock that is being set right, two writers of a tag.
const PASSING: [&str; 6] = [
    "ConcurrentTagAccess",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestTimeout",
];

/// The token's instance has ended.
const ENDED: &str = "IdempotentInstanceTerminated";
/// No instance has this id, any more or yet.
const UNKNOWN: &str = "InvalidInstanceID.NotFound";

/// What the failure of `call` means.
pub(super) fn verdict<E>(call: &'static str, error: SdkError<E, HttpResponse>) -> FleetError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    judged(Failure::new(call, error))
}

/// The same of a call on one instance; none when EC2 does not know the instance.
pub(super) fn unless_unknown<E>(call: &'static str, error: SdkError<E, HttpResponse>) -> Option<FleetError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let failure = Failure::new(call, error);
    (failure.code() != Some(UNKNOWN)).then(|| judged(failure))
}

/// An answer to `call` that cannot be used. What was asked may have been done.
pub(super) fn broken(call: &'static str, what: impl Into<Cause>) -> FleetError {
    FleetError::Unavailable(Box::new(Failure::odd(call, what)))
}

/// Only what EC2 itself has refused, by a code and as the caller's fault, is known to have done nothing.
fn judged(failure: Failure) -> FleetError {
    let (code, theirs) = (failure.code().map(str::to_owned), failure.is_theirs());
    let cause: Cause = Box::new(failure);
    match code.as_deref() {
        Some(code) if THROTTLED.contains(&code) => FleetError::Throttled(cause),
        Some(code) if NO_CAPACITY.contains(&code) => FleetError::NoCapacity(cause),
        Some(ENDED) => FleetError::Ended(cause),
        Some(code) if !theirs && !PASSING.contains(&code) => FleetError::Refused(cause),
        Some(_) | None => FleetError::Unavailable(cause),
    }
}
