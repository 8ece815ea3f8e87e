//! ControllerASG, wired: settings, DynamoDB, EC2, SSM, the webhook, and the runtime's loop. Everything that may be kept between
//! invocations is made here, once, before the first event: connections, and nothing that an invocation has learnt.

use controller_asg::counted::Counted;
use controller_asg::settings::Settings;
use controller_asg::{Answer, handle, told};
use lambda_runtime::{LambdaEvent, tracing};
use muster_aws::clients::Connection;
use muster_aws::fleet::Ec2Fleet;
use muster_aws::parameters::Parameters;
use muster_aws::tables::Tables;
use muster_control::ports::Groups as _;
use muster_control::reconcile::{Controller, Settings as ControllerSettings};
use muster_core::time::Timestamp;
use muster_lambda::events::Doorbell;
use muster_lambda::settings::Environment;
use muster_lambda::{Failure, SystemClock, serve};
use muster_webhook::Webhook;
use serde_json::Value;

/// What every invocation stands on.
struct Wired {
    settings: Settings,
    tables: Tables,
    fleet: Ec2Fleet,
    parameters: Parameters,
    webhook: Option<Webhook>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(wire, Wired::invoke).await
}

async fn wire(environment: Environment) -> Result<Wired, Failure> {
    let settings = Settings::read(environment).map_err(|error| Failure::from(&error))?;
    let connection = Connection::open().await.map_err(|error| Failure::new("Settings", &error))?;
    let webhook = settings.webhook.as_ref().and_then(|webhook| {
        let made = Webhook::new(&settings.stack, webhook.target.clone(), webhook.secret.clone(), webhook.format);
        // Groups are decided whether anybody hears of it or not.
        made.inspect_err(|error| tracing::warn!(error = muster_control::chain::chain(error), "There is no webhook."))
            .ok()
    });
    Ok(Wired {
        tables: Tables::new(connection.dynamodb(), &settings.stack),
        fleet: Ec2Fleet::new(&connection, &settings.stack, settings.agent_port),
        parameters: Parameters::new(&connection),
        webhook,
        settings,
    })
}

impl Wired {
    async fn invoke(&self, event: LambdaEvent<Value>) -> Result<Answer, Failure> {
        let doorbell = Doorbell::read(&event.payload).map_err(|error| Failure::from(&error))?;
        let mut controller = Controller {
            store: self.tables.clone(),
            fleet: Counted::new(self.fleet.clone()),
            policies: self.parameters.clone(),
            clock: SystemClock,
            settings: ControllerSettings {
                stack: self.settings.stack.clone(),
                // A retried invocation has the same request id, and may run beside the first.
                owner: format!("{}-{:08x}", event.context.request_id, fastrand::u32(..)),
                lease: self.settings.lease,
                budget: std::time::Duration::ZERO,
            },
        };
        let deadline = Timestamp::from_millis(event.context.deadline);
        let groups = async || self.tables.groups().await;
        let handled =
            handle(&mut controller, doorbell, deadline, groups, fastrand::f64, &mut std::io::stdout()).await?;
        if let Some(webhook) = &self.webhook {
            told::notify(webhook, &SystemClock, &handled.happened).await;
        }
        Ok(handled.answer)
    }
}
