//! The policy in SSM: one parameter a group, so that an edit in the console is whole or not at all and has a number.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use muster_control::ports::{self, Cause, PolicyDesk, PolicySource, PolicySourceError, PolicyText, Put, Revision};
use muster_core::group::{GroupName, PolicyVersion};

use crate::clients::Connection;
use crate::failure::Failure;

/// Bytes of a standard parameter's value. <https://docs.aws.amazon.com/general/latest/gr/ssm.html#limits_ssm>
const LONGEST: usize = 4_096;

/// What writes a policy.
const CALL: &str = "PutParameter";

/// The policies of all groups.
#[derive(Clone, Debug)]
pub struct Parameters(Client);

/// A policy that has not been written or deleted, or perhaps not.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// SSM keeps no empty value.
    #[error("the policy is empty")]
    Empty,
    /// More than a standard parameter holds.
    #[error("the policy has {bytes} bytes, and a standard parameter holds {LONGEST}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// SSM refuses it as it is: nothing was written.
    #[error("SSM refuses the policy")]
    Refused(#[source] Cause),
    /// No answer of use: it may or may not have been written.
    #[error("SSM did not answer")]
    Unavailable(#[source] Cause),
}

impl Parameters {
    /// Over `connection`.
    pub fn new(connection: &Connection) -> Self {
        Self(connection.ssm())
    }

    /// The name of the parameter that holds a group's policy.
    pub fn name(group: &GroupName) -> String {
        format!("/muster/{group}/policy")
    }

    /// Writes the policy of `group`, and gives the version that it became. When the answer to a try is lost it is written
    /// again, as one version more with the same text.
    pub async fn put(&self, group: &GroupName, text: &str) -> Result<PolicyVersion, PutError> {
        let put = self.put_parameter(group, text, true).await?;
        put.ok_or_else(missing)
    }

    /// The same, unless there is a policy: then nothing is written, and there is no version.
    pub async fn put_first(&self, group: &GroupName, text: &str) -> Result<Option<PolicyVersion>, PutError> {
        self.put_parameter(group, text, false).await
    }

    async fn put_parameter(
        &self,
        group: &GroupName,
        text: &str,
        over: bool,
    ) -> Result<Option<PolicyVersion>, PutError> {
        if text.is_empty() {
            return Err(PutError::Empty);
        }
        if text.len() > LONGEST {
            return Err(PutError::TooLong { bytes: text.len() });
        }
        let request = self.0.put_parameter().name(Self::name(group)).value(text).overwrite(over);
        // What is there stays of its type and tier: somebody may have made it a SecureString, or an advanced one, which has no way back.
        let request = if over { request } else { request.r#type(ParameterType::String).tier(ParameterTier::Standard) };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error)
                if !over && error.as_service_error().is_some_and(|error| error.is_parameter_already_exists()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(unwritten(Failure::new(CALL, error))),
        };
        let version = version(answer.version());
        let odd = || PutError::Unavailable(Box::new(Failure::odd(CALL, "there is no version in it")));
        version.map(Some).ok_or_else(odd)
    }

    /// Deletes the policy of `group`; whether there was one.
    pub async fn delete(&self, group: &GroupName) -> Result<bool, PutError> {
        match self.0.delete_parameter().name(Self::name(group)).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_parameter_not_found()) => Ok(false),
            Err(error) => Err(unwritten(Failure::new("DeleteParameter", error))),
        }
    }
}

impl PolicySource for Parameters {
    async fn fetch(&self, group: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        const CALL: &str = "GetParameter";
        let failed = |failure: Failure| PolicySourceError(Box::new(failure));
        // Decryption is for whoever has made the parameter a SecureString; of any other it says nothing.
        let answer = match self.0.get_parameter().name(Self::name(group)).with_decryption(true).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_parameter_not_found()) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(Failure::new(CALL, error))),
        };
        let parameter = answer.parameter.ok_or_else(|| failed(Failure::odd(CALL, "there is no parameter in it")))?;
        let version = version(parameter.version());
        let text = parameter.value.ok_or_else(|| failed(Failure::odd(CALL, "there is no value in it")))?;
        Ok(Some(PolicyText { text, version }))
    }
}

/// SSM has no conditional write: between the look and the write somebody else may write, too. Which number the write has got tells it:
/// when it does not follow the one that was read, an edit has been overwritten, and the caller hears which.
impl PolicyDesk for Parameters {
    async fn put(&self, group: &GroupName, text: &str, over: Option<&Revision>) -> Result<Put, ports::PutError> {
        let found = self.fetch(group).await.map_err(|error| ports::PutError::Unavailable(Box::new(error)))?;
        if found.as_ref().map(|found| Revision::of(&found.text)).as_ref() != over {
            return Err(ports::PutError::LostUpdate { found });
        }
        let revision = Revision::of(text);
        let Some(before) = found else {
            let Some(version) = self.put_first(group, text).await? else {
                let found = self.fetch(group).await.map_err(|error| ports::PutError::Unavailable(Box::new(error)))?;
                return Err(ports::PutError::LostUpdate { found });
            };
            return Ok(Put { version: Some(version), revision, overwrote: None });
        };
        let version = self.put_parameter(group, text, true).await?.ok_or_else(missing)?;
        let between = version.0.checked_sub(1).map(PolicyVersion).filter(|last| Some(*last) > before.version);
        // A try whose answer was lost has written the same text as one version more: that is nobody's edit, and cannot be told apart.
        Ok(Put { version: Some(version), revision, overwrote: between })
    }
}

impl From<PutError> for ports::PutError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::TooLong { bytes } => Self::TooLong { bytes, most: LONGEST },
            error @ (PutError::Empty | PutError::Refused(_)) => Self::Refused(Box::new(error)),
            error @ PutError::Unavailable(_) => Self::Unavailable(Box::new(error)),
        }
    }
}

fn missing() -> PutError {
    PutError::Unavailable(Box::new(Failure::odd(CALL, "what is written over exists")))
}

fn unwritten(failure: Failure) -> PutError {
    let passing = failure.is_theirs() || failure.code().is_some_and(is_throttled);
    if passing { PutError::Unavailable(Box::new(failure)) } else { PutError::Refused(Box::new(failure)) }
}

/// SSM's versions count from 1.
fn version(number: i64) -> Option<PolicyVersion> {
    u64::try_from(number).ok().filter(|number| *number > 0).map(PolicyVersion)
}

/// Refused for now, and not for what it is.
fn is_throttled(code: &str) -> bool {
    matches!(code, "ThrottlingException" | "TooManyUpdates" | "RequestLimitExceeded")
}
