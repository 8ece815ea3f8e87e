//! How the processes of the local world speak: one JSON line there, one JSON line back, over a Unix socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use muster_control::ports::{Found, Launched, Mark};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// The longest message, in bytes: ten thousand instances fit.
const LONGEST: u64 = 4 << 20;
/// How long a call to the fleet may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// What the fleet is asked: what EC2 would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// DescribeInstances by the group's tag.
    List {
        /// The group.
        group: GroupName,
    },
    /// DescribeInstances by their ids.
    Describe {
        /// The group.
        group: GroupName,
        /// The instances.
        ids: Vec<InstanceId>,
    },
    /// DescribeLaunchTemplates.
    TemplateVersion {
        /// The template.
        template: String,
    },
    /// DescribeInstances by a launch's client token.
    Find {
        /// The launch.
        spec: LaunchSpec,
    },
    /// RunInstances.
    Launch {
        /// All parameters.
        spec: LaunchSpec,
        /// The intent's attempt.
        attempt: u32,
    },
    /// TerminateInstances.
    Terminate {
        /// The group.
        group: GroupName,
        /// The instance.
        instance: InstanceId,
        /// The intent.
        intent: IntentId,
        /// Its attempt.
        attempt: u32,
    },
    /// CreateTags, DeleteTags.
    Mark {
        /// The group.
        group: GroupName,
        /// The instance.
        instance: InstanceId,
        /// The mark.
        mark: Mark,
        /// Whether it is set, or taken off.
        on: bool,
    },
}

/// What the fleet answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// To `List` and `Describe`.
    Listed(Vec<FleetInstance>),
    /// To `TemplateVersion`.
    Version(u64),
    /// To `Find`.
    Found(Found),
    /// To `Launch`.
    Launched(Launched),
    /// To `Terminate`.
    Terminated,
    /// To `Mark`.
    Marked,
    /// A later attempt has been seen.
    Superseded,
    /// There is no capacity for a launch.
    NoCapacity(String),
    /// The call can never succeed as it is.
    Refused(String),
    /// The token's instance has ended.
    Ended(String),
    /// It failed; it may be tried again.
    Failed(String),
}

/// Reads one line of JSON. None: the other side has closed.
pub async fn read<T: DeserializeOwned>(from: impl AsyncRead + Unpin) -> io::Result<Option<T>> {
    let mut line = String::new();
    BufReader::new(from.take(LONGEST)).read_line(&mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

/// Writes one line of JSON.
pub async fn write(to: &mut (impl AsyncWriteExt + Unpin), message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// One call over a connection of its own.
pub async fn call(socket: &Path, request: &Request) -> io::Result<Response> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        write(&mut stream, request).await?;
        read(&mut stream).await?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    tokio::time::timeout(DEADLINE, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
