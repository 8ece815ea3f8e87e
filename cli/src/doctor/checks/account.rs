//! What is judged of an AWS account: credentials, region, tables, the sweeps' stream, CloudFormation.

use super::Finding;
use crate::doctor::facts::{Account, StackSaid, TableFacts};

pub(super) fn of_account(account: &Account) -> Vec<Finding> {
    let stack = &account.stack;
    let region = match &account.region {
        Ok(region) => Finding::ok("region", region),
        Err(why) => {
            return vec![Finding::bad(
                "region",
                why,
                "export AWS_REGION=..., or name a profile that has one with AWS_PROFILE",
            )];
        }
    };
    let mut found = vec![region];
    match &account.tables {
        None => {}
        Some(Err(why)) => found.push(refusal(why)),
        Some(Ok(tables)) => {
            found.push(Finding::ok("credentials", "DynamoDB takes them"));
            found.push(of_tables(stack, tables));
            found.extend(tables.iter().filter_map(of_stream));
        }
    }
    found.extend(account.stacks.as_ref().map(|stacks| of_stacks(stack, stacks)));
    found.push(Finding::not_checked(
        "functions",
        format!(
            "their errors and time-outs are CloudWatch's to tell: `make logs STACK={stack}`, or the alarms {stack}-monitor-s-fails and \
             {stack}-controller-asg-fails in its console"
        ),
    ));
    found
}

/// Why AWS did not answer, by what it said.
fn refusal(why: &str) -> Finding {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["Signature expired", "Signature not yet current", "RequestExpired", "RequestTimeTooSkewed"]) {
        let text = format!("AWS takes a request for too old or too new: {why}");
        return Finding::bad("clock", text, "set this machine's clock: `timedatectl` tells whether it is synchronised");
    }
    let tokens =
        ["UnrecognizedClient", "InvalidClientTokenId", "InvalidSignature", "SignatureDoesNotMatch", "ExpiredToken"];
    if says(&tokens)
        || why.to_lowercase().contains("credential")
        || says(&["security token", "MissingAuthenticationToken"])
    {
        let remedy =
            "log in again (`aws sso login`, `aws login`), or set AWS_PROFILE to a profile that has credentials";
        return Finding::bad("credentials", why, remedy);
    }
    if says(&["AccessDenied", "UnauthorizedOperation", "not authorized"]) {
        let remedy = "the rights that an operator needs are those of infra/deployer-policy.json";
        return Finding::bad("credentials", format!("they are good, and may not: {why}"), remedy);
    }
    Finding::bad(
        "network",
        why,
        "see whether the region's endpoints are reached from here: proxy, VPN, AWS_ENDPOINT_URL",
    )
}

fn of_tables(stack: &str, tables: &[TableFacts]) -> Finding {
    let missing: Vec<&str> =
        tables.iter().filter(|table| table.status.is_none()).map(|table| table.name.as_str()).collect();
    if missing.len() == tables.len() {
        let text = format!("{} are not there: no stack {stack} in this account and region", missing.join(", "));
        return Finding::bad(
            "tables",
            text,
            format!("see --stack, AWS_PROFILE and AWS_REGION; `make deploy STACK={stack}` makes one"),
        );
    }
    if !missing.is_empty() {
        let text = format!("{} is not there", missing.join(", "));
        return Finding::bad("tables", text, format!("`make deploy STACK={stack}` makes it"));
    }
    let busy =
        tables.iter().find_map(|table| Some((&table.name, table.status.as_deref().filter(|is| *is != "ACTIVE")?)));
    match busy {
        Some((name, status)) => {
            Finding::bad("tables", format!("{name} is {status}"), "wait, or see DynamoDB's console")
        }
        None => Finding::ok("tables", format!("{} are active", tables.len())),
    }
}

fn of_stream(table: &TableFacts) -> Option<Finding> {
    let name = &table.name;
    Some(match table.stream? {
        true => Finding::ok("stream", format!("that of {name} is on")),
        false if table.status.is_none() => return None,
        false => Finding::bad(
            "stream",
            format!("that of {name} is off: no sweep rings the doorbell, and decisions come every five minutes"),
            "`make deploy` puts it back; the event source mapping must then name the new stream",
        ),
    })
}

fn of_stacks(stack: &str, stacks: &Result<Vec<StackSaid>, String>) -> Finding {
    match stacks {
        Err(why) => Finding::not_checked("stacks", format!("CloudFormation does not tell: {why}")),
        Ok(stacks) if stacks.is_empty() => Finding::not_checked(
            "stacks",
            format!("CloudFormation knows none of {stack}: was it deployed by something else?"),
        ),
        Ok(stacks) => {
            let failed = stacks.iter().find(|(_, status, _)| status.contains("FAILED") || status.contains("ROLLBACK"));
            match failed {
                Some((name, status, reason)) => {
                    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                    let text = format!("{name} is {status}{reason}");
                    Finding::warn("stacks", text, format!("`make deploy STACK={stack}` again, once the reason is gone"))
                }
                None => Finding::ok("stacks", format!("{} of CloudFormation, none has failed", stacks.len())),
            }
        }
    }
}
