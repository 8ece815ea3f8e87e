//! One execution environment of a function: its process, and the Runtime API that it talks to.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::runtime_api::RuntimeApi;

/// Lines of output that are kept.
const LINES_KEPT: usize = 20_000;
/// How long a process may take to its first request.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// A function's environment variables beside those that Lambda sets.
pub type Environment = Vec<(String, String)>;

/// A running bootstrap. The process ends when this is dropped.
#[derive(Debug)]
pub struct Function {
    api: RuntimeApi,
    child: Mutex<Child>,
    pid: u32,
    lines: Arc<Mutex<Vec<String>>>,
}

/// Why an invocation has no response.
#[derive(Debug)]
pub enum InvokeError {
    /// The function reported an error: `errorType`, `errorMessage`.
    Reported(Value),
    /// It took longer than its time-out. Lambda would end the environment.
    TimedOut,
    /// Its process has ended.
    Died,
}

impl Function {
    /// Starts the bootstrap at `binary` and waits until it asks for its first invocation.
    ///
    /// # Errors
    /// When it cannot be started, or reports that it cannot start: the report is the error's text.
    pub async fn start(binary: &Path, environment: &Environment) -> io::Result<Self> {
        let api = RuntimeApi::start().await?;
        let mut child = Command::new(binary)
            .env_clear()
            .envs(lambdas_own(&api, binary))
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        let lines = Arc::new(Mutex::new(Vec::new()));
        child.stdout.take().into_iter().for_each(|output| keep(output, &lines));
        child.stderr.take().into_iter().for_each(|output| keep(output, &lines));
        let function = Self { api, child: Mutex::new(child), pid, lines };
        function.wait_for_start().await?;
        Ok(function)
    }

    async fn wait_for_start(&self) -> io::Result<()> {
        let started = tokio::time::timeout(START_DEADLINE, async {
            tokio::select! {
                started = self.api.first_next() => started.map_err(|report| report.to_string()),
                () = self.ended() => Err("the process has ended".to_owned()),
            }
        });
        let told = |why: String| io::Error::other(format!("{why}\n{}", self.lines().join("\n")));
        started.await.unwrap_or_else(|_| Err("it did not start".to_owned())).map_err(told)
    }

    /// Hands an event to the function and waits for what comes of it.
    pub async fn invoke(&self, event: &Value, timeout: Duration) -> Result<Value, InvokeError> {
        let outcome = self.api.invoke(event, timeout);
        tokio::select! {
            outcome = outcome => match outcome {
                Ok(outcome) => outcome.map_err(InvokeError::Reported),
                Err(_) => Err(InvokeError::Died),
            },
            () = self.ended() => Err(InvokeError::Died),
            () = tokio::time::sleep(timeout) => Err(InvokeError::TimedOut),
        }
    }

    /// Kills the process, as the death of its host would.
    pub fn kill(&self) {
        // It may have ended by itself.
        let _ended = self.child.lock().unwrap_or_else(PoisonError::into_inner).start_kill();
    }

    /// The process' id.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has written so far, both streams.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines that are JSON objects.
    pub fn json_lines(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
    }

    /// Ends when the process has.
    async fn ended(&self) {
        loop {
            let state = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            if !matches!(state, Ok(None)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What Lambda sets. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
fn lambdas_own(api: &RuntimeApi, binary: &Path) -> Environment {
    let name = binary.file_name().and_then(OsStr::to_str).unwrap_or("function");
    let own = [
        ("AWS_LAMBDA_RUNTIME_API", api.address().to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    own.map(|(key, value)| (key.to_owned(), value)).into()
}

fn keep(output: impl AsyncRead + Unpin + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    tokio::spawn(async move {
        let mut read = BufReader::new(output).lines();
        while let Ok(Some(line)) = read.next_line().await {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_KEPT {
                lines.push(line);
            }
        }
    });
}
