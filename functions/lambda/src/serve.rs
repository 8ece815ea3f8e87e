//! The runtime's loop around a function: the log, the one TLS provider, and how an invocation fails.

use lambda_runtime::{LambdaEvent, run, service_fn, tracing};
use serde::Serialize;
use serde_json::Value;

use crate::Failure;
use crate::settings::Environment;

/// Wires the function once, before the first event, and then has `invoke` answer each event until the runtime ends the process.
///
/// With settings that are wrong every invocation fails and says so: an exit would only say that there was one.
pub async fn serve<W, A>(
    wire: impl AsyncFnOnce(Environment) -> Result<W, Failure>,
    invoke: impl AsyncFn(&W, LambdaEvent<Value>) -> Result<A, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    A: Serialize,
{
    tracing::init_default_subscriber();
    let _first = rustls::crypto::ring::default_provider().install_default();
    let environment = Environment::of_process();
    for slip in environment.unknown() {
        tracing::warn!(variable = slip, "There is no such setting.");
    }
    let wired = wire(environment).await;
    if let Err(failure) = &wired {
        tracing::error!(error_type = failure.name, error = failure.text, "Not wired.");
    }
    let (wired, invoke) = (&wired, &invoke);
    run(service_fn(|event: LambdaEvent<Value>| async move {
        let wired = wired.as_ref().map_err(Clone::clone)?;
        // In a box: the types of all that is awaited in there are more than the compiler follows.
        let answer = Box::pin(invoke(wired, event)).await;
        if let Err(failure) = &answer {
            tracing::error!(error_type = failure.name, error = failure.text, "Failed.");
        }
        answer
    }))
    .await
}
