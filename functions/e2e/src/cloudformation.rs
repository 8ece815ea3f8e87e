//! A stub of CloudFormation: the calls that `muster group` makes of it, over the Query protocol. It makes nothing: a stack is its
//! parameters, its tags and its statuses, which move on with every look.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html>

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Looks at a stack after which it has come to the end of what is being done with it.
const LOOKS: u32 = 2;
/// An image of which no launch template can be made.
pub const BAD_IMAGE: &str = "ami-bad";

type Texts = BTreeMap<String, String>;
type Stacks = Arc<Mutex<Vec<Stack>>>;

/// A stack.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// Its ARN.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: String,
    /// Its parameters.
    pub parameters: Texts,
    /// Its tags.
    pub tags: Texts,
    exports: Vec<String>,
    template: String,
    /// How often it has been changed.
    version: u32,
    /// What it will be, and after how many looks.
    ahead: Option<(String, u32)>,
    /// What has befallen its launch template.
    events: Vec<(String, String)>,
}

/// Stacks, in the order in which they were made.
#[derive(Debug)]
pub struct CloudFormation {
    address: SocketAddr,
    stacks: Stacks,
    server: JoinHandle<()>,
}

impl CloudFormation {
    /// Listens on loopback; there are no stacks yet.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stacks = Stacks::default();
        let routes = Router::new().route("/", post(call)).with_state(Arc::clone(&stacks));
        let server = tokio::spawn(async move {
            // It serves until the task is aborted.
            let _ended = axum::serve(listener, routes).await;
        });
        Ok(Self { address, stacks, server })
    }

    /// Its URL, for AWS_ENDPOINT_URL_CLOUDFORMATION.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a stack there that somebody else has made.
    pub fn seed(&self, name: &str, tags: &[(&str, &str)], exports: &[&str]) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let exports = exports.iter().map(|name| (*name).to_owned()).collect();
        let (id, name, status) = (arn(name, 0), name.to_owned(), "CREATE_COMPLETE".to_owned());
        lock(&self.stacks).push(Stack { id, name, status, tags, exports, version: 1, ..Stack::default() });
    }

    /// The stacks that have not gone.
    pub fn stacks(&self) -> Vec<Stack> {
        lock(&self.stacks).iter().filter(|stack| !stack.is_gone()).cloned().collect()
    }

    /// The stack of that name.
    pub fn stack(&self, name: &str) -> Option<Stack> {
        self.stacks().into_iter().find(|stack| stack.name == name)
    }
}

impl Drop for CloudFormation {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(stacks: &Stacks) -> MutexGuard<'_, Vec<Stack>> {
    stacks.lock().unwrap_or_else(PoisonError::into_inner)
}

fn arn(name: &str, number: usize) -> String {
    format!("arn:aws:cloudformation:eu-central-1:111122223333:stack/{name}/{number:08x}")
}

impl Stack {
    fn is_gone(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// Begins what ends as `end`.
    fn begin(&mut self, status: &str, end: &str) {
        self.status = status.to_owned();
        self.ahead = Some((end.to_owned(), LOOKS));
        self.events.push((status.to_owned(), String::new()));
    }

    /// Moves on, as somebody looks.
    fn look(&mut self) {
        match self.ahead.take() {
            Some((end, 0)) => {
                self.status = end.clone();
                self.events.push((end, String::new()));
            }
            Some((end, left)) => self.ahead = Some((end, left - 1)),
            None => {}
        }
    }

    fn xml(&self) -> String {
        let mut outputs = vec![
            ("LaunchTemplate", format!("lt-{}", self.name), None),
            ("LatestVersion", self.version.to_string(), None),
        ];
        outputs.extend(self.parameters.get("Group").map(|group| ("Policy", format!("/muster/{group}/policy"), None)));
        outputs.extend(self.exports.iter().map(|name| ("Exported", "value".to_owned(), Some(name))));
        let outputs = outputs.iter().map(|(key, value, export)| {
            let export = export.map_or(String::new(), |name| element("ExportName", name));
            format!("{}{}{export}", element("OutputKey", key), element("OutputValue", value))
        });
        let pairs = |map: &Texts, key: &'static str, value: &'static str| -> Vec<String> {
            map.iter().map(|(k, v)| element(key, k) + &element(value, v)).collect()
        };
        [
            element("StackId", &self.id),
            element("StackName", &self.name),
            element("CreationTime", "2026-11-22T10:00:00Z"),
            element("StackStatus", &self.status),
            members("Parameters", pairs(&self.parameters, "ParameterKey", "ParameterValue")),
            members("Outputs", outputs),
            members("Tags", pairs(&self.tags, "Key", "Value")),
        ]
        .concat()
    }
}

/// An error as CloudFormation gives it.
struct Refusal(&'static str, String);

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal("ValidationError", message.into())
}

async fn call(State(stacks): State<Stacks>, body: Bytes) -> Response {
    let form: Texts = form_urlencoded::parse(&body).into_owned().collect();
    let action = form.get("Action").cloned().unwrap_or_default();
    let mut stacks = lock(&stacks);
    let answered = match action.as_str() {
        "CreateStack" => create(&mut stacks, &form),
        "UpdateStack" => update(&mut stacks, &form),
        "DeleteStack" => delete(&mut stacks, &form),
        "DescribeStacks" => describe(&mut stacks, &form),
        "DescribeStackEvents" => events(&stacks, &form),
        _ => Err(Refusal("InvalidAction", format!("Could not find operation {action}"))),
    };
    let (status, text) = match answered {
        Ok(result) => {
            let result = format!("<{action}Result>{result}</{action}Result>");
            let metadata = "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>";
            (StatusCode::OK, format!("<{action}Response>{result}{metadata}</{action}Response>"))
        }
        Err(Refusal(code, message)) => {
            let error = element("Type", "Sender") + &element("Code", code) + &element("Message", &message);
            let error = format!("<ErrorResponse><Error>{error}</Error><RequestId>r-1</RequestId></ErrorResponse>");
            (StatusCode::BAD_REQUEST, error)
        }
    };
    (status, [("content-type", "text/xml")], text).into_response()
}

fn create(stacks: &mut Vec<Stack>, form: &Texts) -> Result<String, Refusal> {
    let name = &form["StackName"];
    if stacks.iter().any(|stack| stack.name == *name && !stack.is_gone()) {
        return Err(Refusal("AlreadyExistsException", format!("Stack [{name}] already exists")));
    }
    let template = form["TemplateBody"].clone();
    let parameters = parameters(form, &template, &Texts::new())?;
    let id = arn(name, stacks.len());
    let tags = given(form, "Tags", "Key", "Value");
    let mut stack = Stack { id, name: name.clone(), parameters, tags, template, version: 1, ..Stack::default() };
    if form.get("Capabilities.member.1").map(String::as_str) != Some("CAPABILITY_IAM") {
        return Err(Refusal("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]".into()));
    }
    if stack.parameters.get("Image").is_some_and(|image| image == BAD_IMAGE) {
        stack.begin("CREATE_IN_PROGRESS", "ROLLBACK_COMPLETE");
        stack.events.push(("CREATE_FAILED".into(), "The image id '[ami-bad]' does not exist".into()));
    } else {
        stack.begin("CREATE_IN_PROGRESS", "CREATE_COMPLETE");
    }
    let answer = element("StackId", &stack.id);
    stacks.push(stack);
    Ok(answer)
}

fn update(stacks: &mut [Stack], form: &Texts) -> Result<String, Refusal> {
    let stack = named(stacks, form)?;
    if stack.ahead.is_some() || stack.status == "ROLLBACK_COMPLETE" {
        let (id, status) = (&stack.id, &stack.status);
        return Err(invalid(format!("Stack:{id} is in {status} state and can not be updated.")));
    }
    let template = form["TemplateBody"].clone();
    let parameters = parameters(form, &template, &stack.parameters)?;
    let tags = given(form, "Tags", "Key", "Value");
    if (&parameters, &tags, &template) == (&stack.parameters, &stack.tags, &stack.template) {
        return Err(invalid("No updates are to be performed."));
    }
    (stack.parameters, stack.tags, stack.template) = (parameters, tags, template);
    stack.version += 1;
    stack.begin("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE");
    Ok(element("StackId", &stack.id))
}

fn delete(stacks: &mut [Stack], form: &Texts) -> Result<String, Refusal> {
    if let Ok(stack) = named(stacks, form) {
        stack.begin("DELETE_IN_PROGRESS", "DELETE_COMPLETE");
    }
    Ok(String::new())
}

/// A stack that has gone is found by its ARN.
fn describe(stacks: &mut [Stack], form: &Texts) -> Result<String, Refusal> {
    let Some(name) = form.get("StackName") else {
        return Ok(members("Stacks", stacks.iter().filter(|stack| !stack.is_gone()).map(Stack::xml)));
    };
    let stack = named(stacks, form).map_err(|_| invalid(format!("Stack with id {name} does not exist")))?;
    stack.look();
    Ok(members("Stacks", [stack.xml()]))
}

fn events(stacks: &[Stack], form: &Texts) -> Result<String, Refusal> {
    let name = &form["StackName"];
    let stack = stacks.iter().find(|stack| stack.id == *name).ok_or_else(|| invalid("Stack does not exist"))?;
    let events = stack.events.iter().enumerate().rev().map(|(number, (status, reason))| {
        let reason = if reason.is_empty() { String::new() } else { element("ResourceStatusReason", reason) };
        [
            element("StackId", &stack.id),
            element("StackName", &stack.name),
            element("EventId", &format!("event-{number}")),
            element("LogicalResourceId", "LaunchTemplate"),
            element("ResourceType", "AWS::EC2::LaunchTemplate"),
            element("ResourceStatus", status),
            element("Timestamp", "2026-11-22T10:00:00Z"),
            reason,
        ]
        .concat()
    });
    Ok(members("StackEvents", events))
}

fn named<'a>(stacks: &'a mut [Stack], form: &Texts) -> Result<&'a mut Stack, Refusal> {
    let name = &form["StackName"];
    let found = stacks.iter_mut().find(|stack| stack.id == *name || (stack.name == *name && !stack.is_gone()));
    found.ok_or_else(|| invalid(format!("Stack [{name}] does not exist")))
}

/// The values of the template's parameters, or why there are none.
fn parameters(form: &Texts, template: &str, before: &Texts) -> Result<Texts, Refusal> {
    let known = template_parameters(template);
    let mut values = given(form, "Parameters", "ParameterKey", "ParameterValue");
    for name in given(form, "Parameters", "ParameterKey", "UsePreviousValue").keys() {
        values.extend(before.get(name).map(|value| (name.clone(), value.clone())));
    }
    let unknown: Vec<&String> = values.keys().filter(|name| !known.contains_key(*name)).collect();
    if !unknown.is_empty() {
        return Err(invalid(format!("Parameters: {unknown:?} do not exist in the template")));
    }
    for (name, default) in known {
        let value = values.get(&name).cloned().or(default);
        let value = value.ok_or_else(|| invalid(format!("Parameters: [{name}] must have values")))?;
        values.insert(name, value);
    }
    Ok(values)
}

/// The template's parameters with their defaults, as far as that is read by its lines.
fn template_parameters(template: &str) -> BTreeMap<String, Option<String>> {
    let section = template.split("\nParameters:\n").nth(1).unwrap_or_default();
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for line in section.lines().take_while(|line| line.is_empty() || line.starts_with(' ')) {
        if let Some(default) = line.strip_prefix("    Default: ") {
            let value = default.trim_matches('"').to_owned();
            found.iter_mut().last().into_iter().for_each(|(_, default)| *default = Some(value.clone()));
        } else if !line.starts_with("   ") {
            found.extend(line.trim().strip_suffix(':').map(|name| (name.to_owned(), None)));
        }
    }
    found.into_iter().collect()
}

/// The pairs of a list in the form; those of which the second is missing are left out.
fn given(form: &Texts, list: &str, key: &str, value: &str) -> Texts {
    let pair = |number: u32| {
        let part = |name: &str| form.get(&format!("{list}.member.{number}.{name}")).cloned();
        part(key).map(|key| (key, part(value)))
    };
    (1..).map_while(pair).filter_map(|(key, value)| Some((key, value?))).collect()
}

fn element(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<{name}>{text}</{name}>")
}

fn members(name: &str, of: impl IntoIterator<Item = String>) -> String {
    let mut list = String::new();
    for member in of {
        let _infallible = write!(list, "<member>{member}</member>");
    }
    format!("<{name}>{list}</{name}>")
}
