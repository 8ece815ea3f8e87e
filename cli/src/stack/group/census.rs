//! Who lives in a group: its records, and what EC2 lists with its tags.

use muster_aws::fleet::Ec2Fleet;
use muster_aws::tables::Tables;
use muster_control::ports::{Fleet, GroupStore};
use muster_core::group::{GroupName, Head};
use muster_core::member::{MemberRecord, MemberState};
use muster_core::snapshot::{FleetInstance, InstanceState};

use crate::failure::Failure;

/// Who lives in a group.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// HEAD, if there is one.
    pub(super) head: Option<Head>,
    members: Vec<MemberRecord>,
    intents: usize,
    /// Those that EC2 has not ended.
    instances: Vec<FleetInstance>,
}

impl Census {
    /// Reads the records strongly, then asks EC2.
    pub(super) async fn take(tables: &Tables, fleet: &Ec2Fleet, group: &GroupName) -> Result<Self, Failure> {
        let state = tables.read(group).await;
        let state = state.map_err(|error| Failure::run(&format!("group {group} cannot be read"), &error))?;
        let listed = fleet.list(group).await;
        let listed =
            listed.map_err(|error| Failure::run(&format!("the instances of {group} cannot be listed"), &error))?;
        let instances = listed.into_iter().filter(|one| one.ours && one.state != InstanceState::Terminated).collect();
        Ok(match state {
            Some(state) => {
                Self { head: Some(state.head), members: state.members, intents: state.intents.len(), instances }
            }
            None => Self { instances, ..Self::default() },
        })
    }

    /// Whether the records know nobody.
    pub(super) fn has_no_records(&self) -> bool {
        self.members.is_empty() && self.intents == 0
    }

    /// Whether nobody lives there.
    pub(super) fn is_empty(&self) -> bool {
        self.has_no_records() && self.instances.is_empty()
    }

    /// How many live there, in words.
    pub(super) fn text(&self) -> String {
        let leaving = |state: &MemberState| matches!(state, MemberState::Draining(_) | MemberState::Terminating(_));
        let leaving = self.members.iter().filter(|member| leaving(&member.state)).count();
        let leaving = if leaving == 0 { String::new() } else { format!(" ({leaving} leaving)") };
        format!(
            "{}{leaving}, {}, {} in EC2",
            counted(self.members.len(), "member"),
            counted(self.intents, "open intent"),
            counted(self.instances.len(), "instance"),
        )
    }

    /// Who holds a removal up, and what can be done about it.
    pub(super) fn held_up(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |ids: Vec<String>, what: &str| {
            if !ids.is_empty() {
                found.push(format!("{}: {what}", ids.join(", ")));
            }
        };
        let protected = self.instances.iter().filter(|one| one.protected).map(|one| one.id.to_string()).collect();
        say(protected, "protected; take the tag muster:protected off");
        let waited = |member: &&MemberRecord| matches!(&member.state, MemberState::Draining(leaving) if leaving.wait);
        let waited = self.members.iter().filter(waited).map(|member| member.id.to_string()).collect();
        say(waited, "drained without a limit (drain.on_timeout is wait): its work has to end");
        let known = |one: &&FleetInstance| self.members.iter().any(|member| member.id == one.id);
        let gone = |one: &&FleetInstance| one.state.is_gone();
        let unknown = self.instances.iter().filter(|one| !known(one) && !gone(one));
        let unknown = unknown.map(|one| one.id.to_string()).collect();
        say(
            unknown,
            "in no record; the controller ends it if this group has launched it, else end it or take its tags off",
        );
        found
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use muster_core::group::Shard;
    use muster_core::intent::IntentId;
    use muster_core::member::{InstanceId, Leaving};
    use muster_core::time::Timestamp;

    use super::*;

    fn member(id: &str, state: MemberState) -> MemberRecord {
        MemberRecord {
            id: id.into(),
            shard: Shard(0),
            endpoint: String::new(),
            zone: String::new(),
            template: String::new(),
            template_version: 0,
            intent: IntentId::default(),
            intended_at: Timestamp::EPOCH,
            launched_at: Timestamp::EPOCH,
            first_answer: None,
            replaces: None,
            state,
        }
    }

    fn instance(id: &str, state: InstanceState, protected: bool) -> FleetInstance {
        let id = InstanceId::from(id);
        FleetInstance {
            id,
            state,
            intent: None,
            launched_at: None,
            ours: true,
            protected,
            drain: false,
            impaired: false,
        }
    }

    #[test]
    fn a_census_says_how_many_there_are_and_who_holds_it_up() {
        let empty = Census::default();
        assert!(empty.is_empty() && empty.held_up().is_empty());
        let waiting = MemberState::Draining(Leaving { wait: true, ..Leaving::default() });
        let census = Census {
            head: None,
            members: vec![member("i-1", MemberState::Active), member("i-2", waiting)],
            intents: 1,
            instances: vec![
                instance("i-1", InstanceState::Running, true),
                instance("i-3", InstanceState::Running, false),
                instance("i-4", InstanceState::ShuttingDown, false),
            ],
        };
        assert!(!census.is_empty() && !census.has_no_records());
        assert_eq!(census.text(), "2 members (1 leaving), 1 open intent, 3 instances in EC2");
        let held: Vec<String> = census.held_up();
        assert!(held[0].starts_with("i-1: protected") && held[1].starts_with("i-2: drained"), "{held:?}");
        assert!(held[2].starts_with("i-3: in no record") && held.len() == 3, "{held:?}");
    }
}
