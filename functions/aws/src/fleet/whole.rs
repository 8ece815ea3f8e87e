//! An answer that ends early must not be taken for a shorter one: the SDK's XML reader takes the end of its input for the end
//! of a list, and members that are not listed look as if they were gone.

use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;

/// How every answer of EC2's ends: with the root that is named for its call.
const END: &[u8] = b"Response>";

/// Turns a good answer that has been cut off into an error.
#[derive(Debug)]
pub(crate) struct WholeAnswer;

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let whole = response.body().bytes().is_some_and(|body| body.trim_ascii_end().ends_with(END));
        if response.status().is_success() && !whole { Err("the answer ends early".into()) } else { Ok(()) }
    }
}
