//! Documents and numbers as they stand in rows.

use rusqlite::{OptionalExtension, Params, Transaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Failure, corrupt};

/// A document that a row holds and that is not what we write.
#[derive(Debug, thiserror::Error)]
#[error("the document {excerpt:?} is not a {what}")]
struct BadDocument {
    what: &'static str,
    excerpt: String,
    #[source]
    source: serde_json::Error,
}

/// A number that no column holds.
#[derive(Debug, thiserror::Error)]
#[error("the number {0} is above what SQLite stores")]
struct TooLarge(u64);

/// A number as a column holds it.
pub(crate) fn number(value: u64) -> Result<i64, Failure> {
    i64::try_from(value).map_err(|_| corrupt(TooLarge(value)))
}

/// An item as its row holds it.
pub(crate) fn encode<T: Serialize>(item: &T) -> Result<String, Failure> {
    serde_json::to_string(item).map_err(corrupt)
}

/// A row's document as the item that it is.
pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|source| {
        let what = std::any::type_name::<T>().rsplit("::").next().unwrap_or("document");
        corrupt(BadDocument { what, excerpt: text.chars().take(60).collect(), source })
    })
}

/// The one item that `sql` selects, if it is there.
pub(crate) fn one<T: DeserializeOwned>(
    work: &Transaction<'_>,
    sql: &str,
    params: impl Params,
) -> Result<Option<T>, Failure> {
    let text: Option<String> = work.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    text.as_deref().map(decode).transpose()
}

/// All items that `sql` selects, in its order.
pub(crate) fn all<T: DeserializeOwned>(
    work: &Transaction<'_>,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>, Failure> {
    let mut statement = work.prepare_cached(sql)?;
    let texts: Vec<String> = statement.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
    texts.iter().map(|text| decode(text)).collect()
}

/// Carries out one statement; how many rows it changed.
pub(crate) fn run(work: &Transaction<'_>, sql: &str, params: impl Params) -> Result<usize, Failure> {
    Ok(work.prepare_cached(sql)?.execute(params)?)
}
