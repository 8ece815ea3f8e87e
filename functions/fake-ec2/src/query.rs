//! The EC2 Query protocol, inwards: a form of flat names (`Filter.1.Value.2`) read into typed values. Every name must be taken by
//! the action that it is for: what is left over is an error, never silence.

use std::collections::BTreeMap;

use crate::fault::Fault;

/// The most parameters of one request.
const MOST_PARAMETERS: usize = 20_000;

/// Names that every request may carry: the envelope, and signatures of the older kinds.
const ENVELOPE: &[&str] = &[
    "Action",
    "Version",
    "AWSAccessKeyId",
    "Expires",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
];

/// Tags, or anything else that is a map of texts.
pub(crate) type Texts = BTreeMap<String, String>;

/// The parameters of a request that have not been taken yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Texts);

impl Params {
    /// Reads a form, and takes the action's name from it.
    pub(crate) fn read(form: &[u8]) -> Result<(String, Self), Fault> {
        let mut names = Texts::new();
        for (name, value) in form_urlencoded::parse(form) {
            if names.len() >= MOST_PARAMETERS || names.insert(name.to_string(), value.into_owned()).is_some() {
                let message = format!("The parameter {name} is given twice, or there are too many.");
                return Err(Fault::new("MalformedQueryString", message));
            }
        }
        let Some(action) = names.get("Action").filter(|action| !action.is_empty()).cloned() else {
            let message = "The request must contain the parameter Action";
            return Err(Fault::new("MissingAction", message));
        };
        match names.get("Version").map(String::as_str) {
            Some("2016-11-15") => {}
            Some(other) => {
                let message = format!("The requested version ({other}) of service AmazonEC2 does not exist");
                return Err(Fault::new("NoSuchVersion", message));
            }
            None => return Err(Fault::missing("Version")),
        }
        names.retain(|name, _| !ENVELOPE.contains(&name.as_str()));
        Ok((action, Self(names)))
    }

    pub(crate) const fn of(names: Texts) -> Self {
        Self(names)
    }

    pub(crate) const fn all(&self) -> &Texts {
        &self.0
    }

    /// A parameter without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(crate) fn need(&mut self, name: &str) -> Result<String, Fault> {
        self.take(name).filter(|value| !value.is_empty()).ok_or_else(|| Fault::missing(name))
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Fault> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Fault::value(name, other)),
        }
    }

    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u32>, Fault> {
        self.take(name).map(|value| value.parse().map_err(|_| Fault::value(name, &value))).transpose()
    }

    /// `NAME.1`, `NAME.2` ... in the order of their numbers.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        let mut parts = Vec::new();
        for mut part in self.structures(name)? {
            parts.push(part.take("").ok_or_else(|| Fault::new("InvalidParameterValue", format!("{name} is a list.")))?);
            part.finish()?;
        }
        Ok(parts)
    }

    /// `NAME.1.REST`, `NAME.2.REST` ... as parameters of their own, in the order of their numbers.
    pub(crate) fn structures(&mut self, name: &str) -> Result<Vec<Self>, Fault> {
        let mut parts: BTreeMap<u32, Self> = BTreeMap::new();
        for (rest, value) in self.below(name).0 {
            let (number, field) = rest.split_once('.').unwrap_or((&rest, ""));
            let number = number.parse().map_err(|_| unknown(&format!("{name}.{rest}")))?;
            parts.entry(number).or_default().0.insert(field.to_owned(), value);
        }
        Ok(parts.into_values().collect())
    }

    /// Everything whose name begins with `NAME.`, without it.
    pub(crate) fn below(&mut self, name: &str) -> Self {
        let prefix = format!("{name}.");
        let names: Vec<String> = self.0.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let taken = |key: String| self.0.remove(&key).map(|value| (key[prefix.len()..].to_owned(), value));
        Self(names.into_iter().filter_map(taken).collect())
    }

    /// Tags of `NAME.1.Key`, `NAME.1.Value` ...; a tag without a value has an empty one.
    pub(crate) fn tags(&mut self, name: &str) -> Result<Texts, Fault> {
        let mut tags = Texts::new();
        for mut tag in self.structures(name)? {
            let key = tag.need("Key")?;
            let value = tag.take("Value").unwrap_or_default();
            tag.finish()?;
            if tags.insert(key.clone(), value).is_some() {
                let message = format!("Duplicate tag key '{key}' specified.");
                return Err(Fault::new("InvalidParameterValue", message));
            }
        }
        Ok(tags)
    }

    /// What begins with one of `names` is taken and has no effect: real parameters of EC2 that mean nothing here.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        self.0.retain(|key, _| !names.contains(&key.split('.').next().unwrap_or(key)));
    }

    /// What begins with one of `names` is refused: real parameters of EC2 whose effect is not here.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<(), Fault> {
        let refused = |key: &&String| names.contains(&key.split('.').next().unwrap_or(key));
        match self.0.keys().find(refused) {
            None => Ok(()),
            Some(key) => Err(Fault::new("UnsupportedOperation", format!("This EC2 does not do {key}."))),
        }
    }

    /// Nothing may be left over.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        self.0.keys().next().map_or(Ok(()), |key| Err(unknown(key)))
    }

    /// Nothing may be left over, and a dry run ends here: the request is well formed and permitted.
    pub(crate) fn finish_request(mut self) -> Result<(), Fault> {
        let dry = self.flag("DryRun")?;
        self.finish()?;
        if dry {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(Fault::new("DryRunOperation", message));
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Fault {
    Fault::new("UnknownParameter", format!("The parameter {name} is not recognized"))
}
