//! The fleet process passes the suite that every fleet must pass, behind its socket.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use muster::local::fleet_client::FleetClient;
use muster_control::ports::Fleet;
use muster_control::{fleet_conformance, fleet_fencing_conformance, fleet_fencing_model};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec, Token};
use muster_core::snapshot::InstanceState;

/// A fleet process, ended with the test. Its instances never boot: its agent ends at once.
struct FleetProcess {
    child: Child,
    files: Option<tempfile::TempDir>,
}

impl FleetProcess {
    fn start(files: tempfile::TempDir) -> (FleetClient, Self) {
        let directory = files.path().to_str().expect("a path").to_owned();
        let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(["local", "fleet", "--group", "example", "--state", &directory, "--run", &directory])
            .args(["--parent-pid", &std::process::id().to_string()])
            .args(["--agent", "/bin/true", "--scenario", "calm", "--began-ms", "0", "--seed", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the fleet starts");
        let socket = PathBuf::from(directory).join("fleet.sock");
        // The socket is made when the fleet listens.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(child.try_wait().expect("a child").is_none(), "the fleet has ended");
            std::thread::yield_now();
        }
        (FleetClient(socket), Self { child, files: Some(files) })
    }

    /// Kills the fleet with SIGKILL, and starts another over the same ledger.
    fn killed(mut self) -> (FleetClient, Self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
        Self::start(self.files.take().expect("its own directory"))
    }
}

impl Drop for FleetProcess {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn fleet() -> (FleetClient, FleetProcess) {
    FleetProcess::start(tempfile::tempdir().expect("a directory"))
}

fleet_conformance!(fleet());
fleet_fencing_conformance!(fleet());
// Each case has a process of its own.
fleet_fencing_model!(24, "tests/model.regressions", fleet());

#[tokio::test]
async fn a_killed_fleet_remembers_what_it_has_said() {
    let (client, process) = fleet().await;
    let spec = LaunchSpec {
        group: GroupName::default(),
        shard: Default::default(),
        zone: "a".into(),
        instance_type: String::new(),
        template: String::new(),
        template_version: 0,
        intent: IntentId("launching".into()),
        token: Token("one".into()),
        replaces: None,
    };
    let made = client.launch(&spec, 2).await.expect("a launch");
    let (client, process) = process.killed();
    assert_eq!(client.launch(&spec, 3).await.expect("the same launch"), made);
    let late = client.launch(&spec, 1).await;
    assert!(matches!(late, Err(muster_control::ports::FleetError::Superseded)), "attempts are remembered: {late:?}");
    let ending = IntentId("ending".into());
    client.terminate(&GroupName::default(), &made.id, &ending, 1).await.expect("a termination");
    let (client, _process) = process.killed();
    let listed = client.list(&GroupName::default()).await.expect("a listing");
    assert_eq!(listed.len(), 1);
    assert!(matches!(listed[0].state, InstanceState::ShuttingDown | InstanceState::Terminated));
}
