//! Records that rang for nobody: one item of the stack's, in the control table.

use muster_control::ports::{Rejected, Rejections, StoreError};
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Tables;
use super::items::{Key, number, text};
use super::schema::PARTITION_KEY;
use super::transaction::Expression;

/// The item: its time is a number, for it is changed where it is.
#[derive(Serialize, Deserialize)]
struct Counted {
    records: u64,
    last_at: u64,
    reason: String,
}

impl Rejections for Tables {
    /// Made once: after a lost answer the same again would count twice.
    async fn reject(&self, records: u32, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        let update = Expression::new("ADD #records :records SET #last_at = :last_at, #reason = :reason")
            .name("#pk", PARTITION_KEY)
            .name("#records", "records")
            .name("#last_at", "last_at")
            .name("#reason", "reason")
            .value(":records", number(records))
            .value(":last_at", number(at.as_millis()))
            .value(":reason", text(reason));
        self.update_once(&Key::rejections(), &update, "attribute_not_exists(#pk) OR attribute_exists(#records)").await
    }

    async fn rejected(&self) -> Result<Option<Rejected>, StoreError> {
        let counted: Option<Counted> = self.one(&self.names.control, &Key::rejections()).await?;
        Ok(counted.map(|Counted { records, last_at, reason }| Rejected {
            records,
            last_at: Timestamp::from_millis(last_at),
            reason,
        }))
    }
}
