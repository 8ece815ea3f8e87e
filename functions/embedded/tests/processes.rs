//! Several processes on one file, and processes that are killed in the middle of a write.
//!
//! The children are this test binary again: [`child`] does nothing unless it finds its orders in the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use muster_control::activity::{Activity, Event};
use muster_control::ports::{ActivityLog, Claim, GroupState, GroupStore, StoreError};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterEntry, RosterNumber, Shard, Wanted};
use muster_core::intent::{Call, Cause, Intent, IntentId};
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;

/// Members that a claim leaves: enough for a transaction of several pages.
const MEMBERS: u64 = 24;

/// Where a child finds the file, and for how many claims it shall fight; without a number it goes on until it is killed.
const STORE: &str = "MUSTER_TEST_STORE";
const CLAIMS: &str = "MUSTER_TEST_CLAIMS";

fn group() -> GroupName {
    GroupName::default()
}

fn id(version: u64) -> InstanceId {
    InstanceId(format!("i-{version:06}"))
}

/// The members after the claim of `version`.
fn members(version: u64) -> Vec<InstanceId> {
    (version.saturating_sub(MEMBERS - 1).max(1)..=version).map(id).collect()
}

fn roster(version: u64) -> Roster {
    let entry = |id| RosterEntry { id, endpoint: "127.0.0.1:1".into(), wanted: Wanted::Serve };
    let entries = members(version).into_iter().map(entry).collect();
    Roster { group: group(), shard: Shard(0), number: RosterNumber(version), entries }
}

/// The claim that makes `version`: one member comes, the oldest goes, everything that names the version changes with it.
fn claim(version: u64) -> Claim {
    let member = MemberRecord {
        id: id(version),
        shard: Shard(0),
        endpoint: "127.0.0.1:1".into(),
        zone: "zone".repeat(40),
        template: String::new(),
        template_version: 0,
        intent: IntentId(version.to_string()),
        intended_at: Timestamp::EPOCH,
        launched_at: Timestamp::EPOCH,
        first_answer: None,
        replaces: None,
        state: MemberState::Pending,
    };
    let call = Call::Terminate { instance: id(version), shard: Shard(0) };
    let intent = |version: u64| IntentId(format!("{version:06}"));
    let rosters = BTreeMap::from([(Shard(0), RosterNumber(version))]);
    let at = Timestamp::from_millis(version);
    Claim {
        expected: (version > 1).then(|| version - 1),
        head: Head { version, rosters, ..Head::default() },
        put_members: vec![member],
        delete_members: version.checked_sub(MEMBERS).map(id).into_iter().collect(),
        put_intents: vec![Intent {
            id: intent(version),
            at,
            cause: Cause::Load,
            policy: None,
            call,
            attempt: 0,
            lease: None,
            first_leased_at: None,
        }],
        cancel_intents: (version > 1).then(|| intent(version - 1)).into_iter().collect(),
        put_rosters: vec![roster(version)],
        put_policy: None,
        put_learnt: None,
        activity: vec![Activity {
            group: group(),
            at,
            id: format!("{version:06}"),
            event: Event::PolicyAccepted { version: PolicyVersion(version) },
        }],
    }
}

/// That the store holds the claim of one version, whole, and nothing of the next.
async fn complete(store: &SqliteStore) -> u64 {
    let Some(GroupState { head, members: found, intents, .. }) = store.read(&group()).await.expect("a read") else {
        assert_eq!(store.since(&group(), Timestamp::EPOCH, 1).await.expect("a read"), Vec::new());
        return 0;
    };
    let version = head.version;
    assert_eq!(head, claim(version).head);
    assert_eq!(found.into_iter().map(|member| member.id).collect::<Vec<_>>(), members(version));
    assert_eq!(intents, claim(version).put_intents);
    let stored = async |number| store.roster(&group(), Shard(0), RosterNumber(number)).await.expect("a read");
    assert_eq!((stored(version).await, stored(version + 1).await), (Some(roster(version)), None));
    let activity = store.since(&group(), Timestamp::EPOCH, usize::MAX).await.expect("a read");
    let expected: Vec<Activity> = (1..=version).flat_map(|version| claim(version).activity).collect();
    assert_eq!(activity, expected);
    version
}

/// The child: claims the next version again and again, and says each one that was committed.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var(STORE) else { return };
    let claims = std::env::var(CLAIMS).map_or(u64::MAX, |claims| claims.parse().expect("a number"));
    let store = SqliteStore::open(path).expect("the store");
    let mut won = 0;
    while won < claims {
        let version = store.head(&group()).await.expect("a read").map_or(0, |head| head.version) + 1;
        match store.claim(&claim(version)).await {
            Ok(()) => {
                won += 1;
                println!("committed {version}");
            }
            Err(StoreError::Conflict | StoreError::Throttled(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A child and the versions that it says.
struct Writer(Child, Lines<BufReader<ChildStdout>>);

impl Writer {
    fn start(path: &Path, claims: Option<u64>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the path of this binary"));
        command.args(["child", "--exact", "--nocapture"]).env(STORE, path).stdout(Stdio::piped());
        command.envs(claims.map(|claims| (CLAIMS, claims.to_string())));
        let mut child = command.spawn().expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self(child, lines)
    }
}

impl Iterator for Writer {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        // Between the versions stand the lines of the test harness; a killed child's last line may be cut.
        self.1.by_ref().map_while(Result::ok).find_map(|line| line.split_once("committed ")?.1.parse().ok())
    }
}

#[tokio::test]
async fn s7_writers_in_several_processes_lose_no_version() {
    const CLAIMS_EACH: u64 = 40;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let writers: Vec<Writer> = (0..4).map(|_| Writer::start(&path, Some(CLAIMS_EACH))).collect();
    let mut versions = Vec::new();
    for mut writer in writers {
        versions.extend(&mut writer);
        assert!(writer.0.wait().expect("its end").success());
    }
    let distinct: BTreeSet<u64> = versions.iter().copied().collect();
    assert_eq!(versions.len(), distinct.len(), "no version was given to two writers");
    assert_eq!(distinct, (1..=4 * CLAIMS_EACH).collect());
    let store = SqliteStore::open(&path).expect("the store");
    assert_eq!(complete(&store).await, 4 * CLAIMS_EACH);
}

#[tokio::test]
async fn l1_a_writer_that_is_killed_leaves_one_whole_claim_and_none_that_it_had_told_of_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let mut random = fastrand::Rng::with_seed(11);
    let mut before = 0;
    for round in 0..12 {
        let mut writer = Writer::start(&path, None);
        let told = writer.by_ref().take(random.usize(1..20)).last().expect("a first claim");
        // The child is somewhere in a later write; how far it has come is as good as random.
        for _ in 0..random.u32(..200_000) {
            std::hint::spin_loop();
        }
        writer.0.kill().expect("SIGKILL");
        writer.0.wait().expect("its end");
        let told = writer.last().unwrap_or(told);
        let store = SqliteStore::open(&path).expect("the store after the kill");
        let version = complete(&store).await;
        assert!(version >= told, "round {round}: {told} was told, {version} is there");
        assert!(version > before, "round {round}: the last writer went on where the one before it had ended");
        before = version;
    }
}
