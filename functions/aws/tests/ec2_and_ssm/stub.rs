//! A server that answers each request as a test says, and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_aws::clients::{Connection, Deadlines};
use muster_aws::fleet::Ec2Fleet;
use muster_core::group::{GroupName, Shard};
use muster_core::intent::{IntentId, LaunchSpec, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The most that a request may be.
const LONGEST: usize = 1 << 20;

/// A request: its form, or its body as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The fields of the form.
    pub(crate) form: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

impl Request {
    /// EC2's action.
    pub(crate) fn action(&self) -> &str {
        self.form.get("Action").map_or("", String::as_str)
    }
}

/// What the stub does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Answers.
    Whole(u16, String),
    /// Promises more than comes, and closes.
    Torn(u16, String),
    /// Says nothing of the length, sends this and closes: the end looks like one.
    CutOff(u16, String),
    /// Keeps the connection and says nothing.
    Silence,
    /// Begins, and goes on for ever, a byte at a time.
    Trickle,
}

/// The stub. It ends with this value.
pub(crate) struct Stub {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    _server: JoinSet<()>,
}

impl Stub {
    /// Answers by `answer`.
    pub(crate) async fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (log, answer) = (asked.clone(), Arc::new(answer));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (log.clone(), answer.clone());
                connections.spawn(async move {
                    let _closed = converse(stream, &log, &*answer).await;
                });
            }
        });
        Self { address, asked, _server: server }
    }

    /// Gives these answers, each to one request, and the last one to all that follow.
    pub(crate) async fn giving(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        answers.reverse();
        let answers = Mutex::new(answers);
        Self::start(move |_| {
            let mut left = answers.lock().unwrap_or_else(PoisonError::into_inner);
            if left.len() > 1 { left.pop() } else { left.last().cloned() }.expect("an answer")
        })
        .await
    }

    /// A fleet that asks it.
    pub(crate) async fn fleet(&self) -> Ec2Fleet {
        self.fleet_within(Deadlines::default()).await
    }

    /// The same, with other deadlines.
    pub(crate) async fn fleet_within(&self, deadlines: Deadlines) -> Ec2Fleet {
        Ec2Fleet::new(&self.connection(deadlines).await, "test", 7717)
    }

    /// A connection to it.
    pub(crate) async fn connection(&self, deadlines: Deadlines) -> Connection {
        Connection::local(&format!("http://{}", self.address), deadlines).await
    }

    /// What it was asked.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The actions that it was asked for.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.asked().iter().map(|request| request.action().to_owned()).collect()
    }

    /// The only request of an action.
    pub(crate) fn only(&self, action: &str) -> Request {
        let mut asked = self.asked();
        asked.retain(|request| request.action() == action);
        assert_eq!(asked.len(), 1, "{action}");
        asked.remove(0)
    }
}

async fn converse(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read(&mut stream, &mut buffer).await? else { return Ok(()) };
        log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let head = |status: u16, rest: &str| format!("HTTP/1.1 {status} Stub\r\nContent-Type: text/xml\r\n{rest}\r\n");
        match answer(&request) {
            Answer::Whole(status, body) => {
                let head = head(status, &format!("Content-Length: {}\r\n", body.len()));
                stream.write_all(format!("{head}{body}").as_bytes()).await?;
            }
            Answer::Torn(status, body) => {
                let head = head(status, &format!("Content-Length: {}\r\n", body.len() + 100));
                return stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
            Answer::CutOff(status, body) => {
                let head = head(status, "Connection: close\r\n");
                return stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
            Answer::Silence => std::future::pending().await,
            Answer::Trickle => {
                stream.write_all(head(200, "").as_bytes()).await?;
                loop {
                    stream.write_all(b" ").await?;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
}

/// Reads one request; what comes after it stays in the buffer.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    loop {
        let head = buffer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head) = head {
            let fields = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length = fields.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
            let all = head + 4 + length;
            if buffer.len() >= all {
                let body = String::from_utf8_lossy(&buffer[head + 4..all]).into_owned();
                buffer.drain(..all);
                let form = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                return Ok(Some(Request { form, body }));
            }
        }
        assert!(buffer.len() < LONGEST, "the request has an end");
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// EC2's answer to `action`, with this in it. <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-query-api.html>
pub(crate) fn ec2(action: &str, inner: &str) -> Answer {
    Answer::Whole(200, xml(action, inner))
}

/// The text of such an answer.
pub(crate) fn xml(action: &str, inner: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>
    {inner}
</{action}Response>"#
    )
}

/// EC2's error, with this code. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
pub(crate) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Whole(
        status,
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#
        ),
    )
}

/// An instance as EC2 writes it, in this state and with these tags; without an address when `address` is empty.
pub(crate) fn instance(id: &str, state: &str, address: &str, tags: &[(&str, &str)]) -> String {
    let tags: String =
        tags.iter().map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>")).collect();
    let address = match address {
        "" => String::new(),
        given => format!("<privateIpAddress>{given}</privateIpAddress>"),
    };
    format!(
        "<item><instanceId>{id}</instanceId><imageId>ami-0abcdef1234567890</imageId><instanceState><code>16</code>\
         <name>{state}</name></instanceState>{address}<instanceType>t3.small</instanceType>\
         <launchTime>2026-11-22T10:00:00.000Z</launchTime><tagSet>{tags}</tagSet></item>"
    )
}

/// EC2's list of instances.
pub(crate) fn described(instances: &[String]) -> Answer {
    ec2("DescribeInstances", &reservations(instances))
}

/// What such a list holds.
pub(crate) fn reservations(instances: &[String]) -> String {
    let each = instances.iter().map(|instance| {
        format!(
            "<item><reservationId>r-1234567890abcdef0</reservationId><instancesSet>{instance}</instancesSet></item>"
        )
    });
    format!("<reservationSet>{}</reservationSet>", each.collect::<String>())
}

/// EC2's answer to a launch.
pub(crate) fn ran(instance: &str) -> Answer {
    let inner = format!(
        "<reservationId>r-1234567890abcdef0</reservationId><ownerId>123456789012</ownerId>\
         <instancesSet>{instance}</instancesSet>"
    );
    ec2("RunInstances", &inner)
}

/// The tags of an instance of [`group`], launched for [`spec`].
pub(crate) const OURS: &[(&str, &str)] =
    &[("muster:stack", "test"), ("muster:group", "web"), ("muster:intent", "18f-0000000007-000")];

/// The group of these tests.
pub(crate) fn group() -> GroupName {
    "web".parse().expect("a name")
}

/// A launch.
pub(crate) fn spec() -> LaunchSpec {
    LaunchSpec {
        group: group(),
        shard: Shard(0),
        zone: "us-east-1a".into(),
        instance_type: "t3.small".into(),
        template: "lt-0123456789abcdef0".into(),
        template_version: 3,
        intent: IntentId("18f-0000000007-000".into()),
        token: Token("5ca1ab1e".repeat(8)),
        replaces: None,
    }
}
