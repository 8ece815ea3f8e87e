//! Dashboard, wired: settings, DynamoDB, EC2, SSM, and the runtime's loop. Everything that may be kept between invocations is made here, once,
//! before the first event: connections, and nothing that an invocation has learnt.

use std::time::Instant;

use dashboard::{Dashboard, group};
use lambda_runtime::{LambdaEvent, tracing};
use muster_aws::clients::Connection;
use muster_aws::fleet::Ec2Fleet;
use muster_aws::parameters::Parameters;
use muster_aws::tables::Tables;
use muster_lambda::settings::Environment;
use muster_lambda::url::{UrlAnswer, UrlRequest};
use muster_lambda::{Failure, SystemClock, serve};
use muster_web::stand::Stand;
use serde_json::Value;

/// Nobody is launched here, so no agent's address is ever told.
const NO_AGENT_PORT: u16 = 0;
/// Characters of a path that the log shows.
const SHOWN: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(wire, invoke).await
}

/// With settings that are wrong the requests hear of it, and not only the log.
async fn wire(environment: Environment) -> Result<Dashboard, Failure> {
    Ok(wired(environment).await.unwrap_or_else(|failure| {
        tracing::error!(error_type = failure.name, error = failure.text, "Not wired.");
        Dashboard::unwired(failure)
    }))
}

async fn wired(mut environment: Environment) -> Result<Dashboard, Failure> {
    let stack = environment.stack();
    let stack = environment.finish(stack).map_err(|error| Failure::from(&error))?;
    let connection = Connection::open().await.map_err(|error| Failure::new("Settings", &error))?;
    Ok(Dashboard::new(Stand {
        store: Tables::new(connection.dynamodb(), &stack),
        policies: Parameters::new(&connection),
        fleet: Ec2Fleet::new(&connection, &stack, NO_AGENT_PORT),
        clock: SystemClock,
        place: format!("stack {stack}"),
    }))
}

async fn invoke(dashboard: &Dashboard, event: LambdaEvent<Value>) -> Result<UrlAnswer, Failure> {
    let began = Instant::now();
    let request = UrlRequest::read(&event.payload).map_err(|error| Failure::from(&error))?;
    let method: String = request.method.chars().take(SHOWN).collect();
    let path: String = request.path.chars().take(SHOWN).collect();
    let answer = dashboard.answer(request).await;
    // As a number: the log shows one of 128 bits as a text.
    let (status, ms) = (answer.status(), u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    tracing::info!(group = group(&path), method, path, status, ms, "Answered.");
    Ok(answer)
}
