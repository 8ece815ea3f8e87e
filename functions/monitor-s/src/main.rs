//! MonitorS, wired: settings, DynamoDB, the probe, and the runtime's loop. Everything that may be kept between invocations is made
//! here, once, before the first event: connections, and nothing that an invocation has learnt.

use lambda_runtime::{LambdaEvent, run, service_fn, tracing};
use monitor_s::{Watched, watch};
use muster_aws::clients::Connection;
use muster_aws::tables::Tables;
use muster_control::sweep::Monitor;
use muster_core::time::Timestamp;
use muster_lambda::events::SweepOrder;
use muster_lambda::settings::Environment;
use muster_lambda::{Failure, SystemClock};
use muster_probe::{GrpcProbe, Settings};
use serde_json::Value;

/// What every invocation stands on.
struct Wired {
    stack: String,
    tables: Tables,
    /// With its connections.
    probe: GrpcProbe<SystemClock>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing::init_default_subscriber();
    let _first = rustls::crypto::ring::default_provider().install_default();
    let wired = wire().await;
    if let Err(failure) = &wired {
        tracing::error!(error_type = failure.name, error = failure.text, "Not wired.");
    }
    // With settings that are wrong every invocation fails and says so: an exit would only say that there was one.
    let wired = &wired;
    run(service_fn(|event: LambdaEvent<Value>| async move {
        let wired = wired.as_ref().map_err(Clone::clone)?;
        // In a box: the types of all that is awaited in there are more than the compiler follows.
        let answer = Box::pin(wired.invoke(event)).await;
        if let Err(failure) = &answer {
            tracing::error!(error_type = failure.name, error = failure.text, "Failed.");
        }
        answer
    }))
    .await
}

async fn wire() -> Result<Wired, Failure> {
    let mut environment = Environment::of_process();
    for slip in environment.unknown() {
        tracing::warn!(variable = slip, "There is no such setting.");
    }
    let stack = environment.stack();
    let stack = environment.finish(stack).map_err(|error| Failure::from(&error))?;
    let connection = Connection::open().await.map_err(|error| Failure::new("Settings", &error))?;
    let tables = Tables::new(connection.dynamodb(), &stack);
    Ok(Wired { stack, tables, probe: GrpcProbe::new(SystemClock, Settings::default()) })
}

impl Wired {
    async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Watched, Failure> {
        let order = SweepOrder::read(&event.payload).map_err(|error| Failure::from(&error))?;
        let monitor = Monitor {
            store: self.tables.clone(),
            probe: &self.probe,
            clock: SystemClock,
            name: format!("{}/{}", self.stack, event.context.request_id),
        };
        let deadline = Timestamp::from_millis(event.context.deadline);
        let longest_look = |members| Settings::default().longest_look(members);
        watch(&monitor, &self.stack, &order, deadline, longest_look, &mut std::io::stdout()).await
    }
}
