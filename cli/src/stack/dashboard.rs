//! `muster --stack NAME dashboard`: what the stack's groups are doing and why, in a browser on this machine, with the operator's own credentials.

use clap::Args;
use muster_web::api::{Guards, router, serve};
use tokio::signal::unix::{SignalKind, signal};

use super::{Cloud, StackArgs, run};
use crate::failure::Failure;
use crate::local::dashboard::{listen, url};
use crate::said::Said;

/// Where to show it.
#[derive(Clone, Debug, Args)]
pub struct DashboardArgs {
    /// At this port of 127.0.0.1. Default: 7718, or any that is free.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Print one JSON object: {"stack", "url"}.
    #[arg(long)]
    json: bool,
}

/// Serves until Ctrl-C. It is reachable from this machine alone; what may be changed by it is what the operator's credentials may change.
pub fn dashboard(stack: &StackArgs, args: &DashboardArgs) -> Result<(), Failure> {
    let listener = listen(args.port)?;
    let url = url(&listener).unwrap_or_default();
    run(async {
        let cloud = Cloud::open(stack).await?;
        let failed = |error| Failure::run("the dashboard cannot be served", &error);
        let port = listener.local_addr().map_err(failed)?.port();
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt()).map_err(failed)?, signal(SignalKind::terminate()).map_err(failed)?);
        said(&cloud.stack, &url)?.print(args.json)?;
        let stand = cloud.stand();
        let end = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        serve(listener, router(stand, Guards::loopback(port)), end).await;
        Ok(())
    })
}

fn said(stack: &str, url: &str) -> Result<Said, Failure> {
    Said::new(format!("stack {stack} is at {url} until Ctrl-C"), &serde_json::json!({"stack": stack, "url": url}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_is_told_both_ways() {
        crate::golden::check_said("dashboard", &said("prod", "http://127.0.0.1:7718/").expect("plain data"));
    }
}
