//! The query of a request: each parameter once, numbers as numbers.

use std::collections::BTreeMap;

use muster_core::time::Timestamp;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::route::{Ask, Param};

/// Parameters of a query at most.
const MOST: usize = 16;

/// A moment that is asked for.
pub(super) const TIME: &str = "integer";

/// The parameters of a part of the record.
pub(super) const SPAN: &[Param] = &[
    Param {
        name: "from",
        about: "From when on, in milliseconds since 1970. Default: an hour before `until`.",
        kind: TIME,
    },
    Param { name: "until", about: "Until before when. Default: now.", kind: TIME },
    Param { name: "points", about: "Points at most, 1-720; a large group gets fewer. Default: 240.", kind: "integer" },
    Param { name: "since", about: "Only what is after this moment.", kind: TIME },
];

/// The parameters of `query`.
pub(super) fn parse(query: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if found.len() == MOST {
            return Err(Problem::bad_request("the query has too many parameters"));
        }
        if found.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(Problem::bad_request(&format!("the query says {:?} twice", short(&name))));
        }
    }
    Ok(found)
}

impl Ask {
    /// A whole number, if it is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            Problem::bad_request(&format!("{name} is {:?}: it must be a whole number from 0 on", short(text)))
        })?;
        Ok(Some(number))
    }

    /// A number that is not large.
    pub(super) fn count(&self, name: &str) -> Result<Option<u32>, Problem> {
        Ok(self.number(name)?.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// A moment in milliseconds since 1970, if it is there.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        Ok(self.number(name)?.map(Timestamp::from_millis))
    }

    /// One of a set of words, if it is there.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.query.get(name).map(|text| word(name, text)).transpose()
    }

    /// Whether something is so; not when it is not said.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        let Some(text) = self.query.get(name) else { return Ok(false) };
        text.parse()
            .map_err(|_| Problem::bad_request(&format!("{name} is {:?}: it must be true or false", short(text))))
    }

    /// Words of a set, separated by commas.
    pub(super) fn words<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let text = self.query.get(name).map(String::as_str).unwrap_or_default();
        text.split(',').filter(|text| !text.is_empty()).take(64).map(|text| word(name, text)).collect()
    }
}

fn word<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Problem> {
    serde_json::from_value(text.into())
        .map_err(|error| Problem::bad_request(&format!("{name} is {:?}: {}", short(text), short(&error.to_string()))))
}

/// The start of a foreign text.
pub(super) fn short(text: &str) -> String {
    text.chars().take(200).collect()
}
