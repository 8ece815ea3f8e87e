//! Reading: every page of what a filter lets through, and whom EC2's own checks find impaired.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, Instance};
use muster_control::ports::FleetError;
use muster_core::group::GroupName;
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;

use super::Ec2Fleet;
use super::facts::{GROUP, STACK, facts};
use super::verdict::{broken, verdict};

const CALL: &str = "DescribeInstances";
const STATUS: &str = "DescribeInstanceStatus";
/// So long whom EC2 finds impaired may take: a listing has what is left of an invocation.
const STATUS_DEADLINE: Duration = Duration::from_secs(3);
/// Entries of a page: as many as EC2 gives.
const PER_PAGE: i32 = 1_000;
/// Pages that are read at most: ten times the largest group, so that a listing which never ends does.
const PAGES: usize = 100;
/// Values that a filter may have. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html>
const VALUES: usize = 200;

/// What is asked for: each with one request and its pages.
pub(super) type Filters = Vec<Vec<Filter>>;

fn filter(name: impl Into<String>, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// All that carry a group's tags.
pub(super) fn of_group(stack: &str, group: &GroupName) -> Filters {
    vec![vec![filter(format!("tag:{STACK}"), [stack.to_owned()]), filter(format!("tag:{GROUP}"), [group.to_string()])]]
}

/// These, by a filter: an id among the call's parameters that EC2 does not know would fail it as a whole. Nobody is asked for
/// by no request, because one without a filter asks for all.
pub(super) fn of_ids(ids: &[InstanceId]) -> Filters {
    ids.chunks(VALUES).map(|ids| vec![filter("instance-id", ids.iter().map(|id| id.0.clone()))]).collect()
}

/// What was launched with this token.
pub(super) fn of_token(token: &str) -> Filters {
    vec![vec![filter("client-token", [token.to_owned()])]]
}

impl Ec2Fleet {
    /// The facts of all that the filters let through. Whose checks fail is asked at the same time; when nobody answers that soon,
    /// it is logged, and nothing is concluded from it.
    pub(super) async fn facts(&self, group: &GroupName, filters: Filters) -> Result<Vec<FleetInstance>, FleetError> {
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        let (listed, by_instance, by_system) = tokio::join!(
            self.instances(filters),
            self.impaired_soon("instance-status.status"),
            self.impaired_soon("system-status.status"),
        );
        let (by_instance, by_system) = (by_instance.unwrap_or_default(), by_system.unwrap_or_default());
        let mut told = BTreeMap::new();
        for instance in &listed? {
            let id = instance.instance_id().unwrap_or_default();
            let impaired = by_instance.contains(id) || by_system.contains(id);
            let facts = facts(instance, &self.stack, group, impaired).map_err(|odd| broken(CALL, odd))?;
            // Pages are not one snapshot: who moved from one to the next while they were read counts once.
            told.insert(facts.id.clone(), facts);
        }
        Ok(told.into_values().collect())
    }

    /// Every page of every filter.
    pub(super) async fn instances(&self, filters: Filters) -> Result<Vec<Instance>, FleetError> {
        let mut all = Vec::new();
        for filters in filters {
            let mut next = None;
            for page in 1.. {
                if page > PAGES {
                    return Err(broken(CALL, format!("there are more than {PAGES} pages")));
                }
                let asked = self.reads.describe_instances().set_filters(Some(filters.clone())).max_results(PER_PAGE);
                let answer = asked.set_next_token(next).send().await.map_err(|error| verdict(CALL, error))?;
                next = answer.next_token.filter(|token| !token.is_empty());
                all.extend(answer.reservations.into_iter().flatten().flat_map(|r| r.instances.unwrap_or_default()));
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// The same, unless it takes long: the list of the group is not to wait for it.
    async fn impaired_soon(&self, check: &str) -> Option<BTreeSet<String>> {
        match tokio::time::timeout(STATUS_DEADLINE, self.impaired(check)).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                tracing::warn!(check, error = %error, "Whom EC2 finds impaired is not known (H3).");
                None
            }
            Err(_) => {
                tracing::warn!(check, "EC2 does not say in time whom it finds impaired (H3).");
                None
            }
        }
    }

    /// Whom EC2's own checks find impaired, in the whole account: they cannot be asked for by tag, and are few.
    async fn impaired(&self, check: &str) -> Result<BTreeSet<String>, FleetError> {
        let mut all = BTreeSet::new();
        let mut next = None;
        for _ in 0..PAGES {
            let asked = self.reads.describe_instance_status().filters(filter(check, ["impaired".to_owned()]));
            let answer = asked
                .max_results(PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| verdict(STATUS, error))?;
            let statuses = answer.instance_statuses.unwrap_or_default();
            all.extend(statuses.into_iter().filter_map(|status| status.instance_id));
            next = answer.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        Ok(all)
    }
}
