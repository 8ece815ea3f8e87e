//! `muster --stack NAME backtest`: the sweeps that the stack's table has kept.

use std::time::Duration;

use super::{Cloud, StackArgs, run};
use crate::backtest::{BacktestArgs, record};
use crate::failure::Failure;

/// How much of the record is played when nobody says it.
const SINCE: Duration = Duration::from_secs(7 * 86_400);

/// The load of the group, the policy in force, and the boot time that it has measured.
pub(crate) fn recorded(stack: &StackArgs, args: &BacktestArgs) -> Result<record::Source, Failure> {
    run(async {
        let cloud = Cloud::open(stack).await?;
        let group = cloud.one_group(args.group.as_ref()).await?;
        let place = format!("stack {}", cloud.stack);
        record::recorded(&cloud.tables, &group, &place, args, Some(args.since.unwrap_or(SINCE))).await
    })
}
