//! MonitorS, wired: settings, DynamoDB, the probe, and the runtime's loop. Everything that may be kept between invocations is made
//! here, once, before the first event: connections, and nothing that an invocation has learnt.

use lambda_runtime::LambdaEvent;
use monitor_s::{Watched, watch};
use muster_aws::clients::Connection;
use muster_aws::tables::Tables;
use muster_control::sweep::Monitor;
use muster_core::time::Timestamp;
use muster_lambda::events::SweepOrder;
use muster_lambda::settings::Environment;
use muster_lambda::{Failure, SystemClock, serve};
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
    serve(wire, Wired::invoke).await
}

async fn wire(mut environment: Environment) -> Result<Wired, Failure> {
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
