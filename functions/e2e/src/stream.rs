//! The stream of the sweeps, read as Lambda's event source mapping reads it.

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use serde_json::{Value, json};

/// Records of one invocation at most.
const BATCH: usize = 10;

/// Batches that are held back until the last of them has come, where they come out of order.
const HELD: usize = 3;

/// What happens to records on their way, beside being delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    /// Every batch comes twice.
    pub twice: bool,
    /// Three batches come in the opposite order, and the records of each as well: the first when those behind it have been decided on.
    pub backwards: bool,
    /// A record that nobody can understand comes first in every batch.
    pub poison: bool,
}

/// A position in the stream of one table.
pub struct Stream {
    database: Database,
    arn: String,
    shard: String,
    iterator: String,
    /// Batches that have not been delivered yet, the oldest first.
    held: Vec<Vec<Value>>,
    /// The highest key of a sweep that has been delivered.
    newest: String,
    late: u32,
}

impl Stream {
    /// The stream of `table`, from its beginning.
    ///
    /// # Panics
    /// When the table has no stream.
    pub fn of(database: &Database, table: &str) -> Self {
        let described = database
            .describe_table(serde_json::from_value(json!({ "TableName": table })).expect("a request"))
            .expect("the table");
        let described = serde_json::to_value(described).expect("plain data");
        let arn = described["Table"]["LatestStreamArn"].as_str().expect("a stream").to_owned();
        let about = DescribeStreamRequest { stream_arn: arn.clone(), ..DescribeStreamRequest::default() };
        let shards = database.describe_stream(about).expect("the stream").stream_description.shards;
        let shard = shards.first().expect("a shard").shard_id.clone();
        let from = GetShardIteratorRequest {
            stream_arn: arn.clone(),
            shard_id: shard.clone(),
            shard_iterator_type: "TRIM_HORIZON".into(),
            ..GetShardIteratorRequest::default()
        };
        let iterator = database.get_shard_iterator(from).expect("a position").shard_iterator.expect("an iterator");
        Self { database: database.clone(), arn, shard, iterator, held: Vec::new(), newest: String::new(), late: 0 }
    }

    /// The events of the records that have come since, filtered as the mapping filters: INSERT of `S#`.
    pub fn events(&mut self, delivery: Delivery) -> Vec<Value> {
        let request = GetRecordsRequest { shard_iterator: self.iterator.clone(), limit: None };
        let read = self.database.get_records(request).expect("records");
        self.iterator = read.next_shard_iterator.unwrap_or_else(|| self.iterator.clone());
        let records = read.records.into_iter().map(|record| serde_json::to_value(record).expect("plain data"));
        let wanted: Vec<Value> = records.filter(is_doorbell).map(|record| self.sourced(record)).collect();
        self.held.extend(wanted.chunks(BATCH).map(<[Value]>::to_vec));
        if delivery.backwards && self.held.len() < HELD {
            return Vec::new();
        }
        let mut batches = std::mem::take(&mut self.held);
        if delivery.backwards {
            batches.reverse();
        }
        batches.into_iter().flat_map(|batch| self.delivered(batch, delivery)).collect()
    }

    /// Batches that came after one with later sweeps than theirs.
    pub const fn late(&self) -> u32 {
        self.late
    }

    fn sourced(&self, mut record: Value) -> Value {
        record["eventSourceARN"] = json!(self.arn);
        record
    }

    fn delivered(&mut self, mut records: Vec<Value>, delivery: Delivery) -> Vec<Value> {
        let last = records.iter().map(sweep_key).max().unwrap_or_default().to_owned();
        self.late += u32::from(last < self.newest);
        self.newest = last.max(std::mem::take(&mut self.newest));
        if delivery.backwards {
            records.reverse();
        }
        if delivery.poison {
            let poison = json!({"eventName": "INSERT", "eventSource": "aws:dynamodb", "eventSourceARN": self.arn,
                "eventID": "poison", "dynamodb": {"SequenceNumber": "1", "Keys": {"pk": {"B": "AAE="}, "sk": {"N": "7"}}}});
            records.insert(0, poison);
        }
        let event = json!({ "Records": records });
        if delivery.twice { vec![event.clone(), event] } else { vec![event] }
    }

    /// The shard that is read.
    pub fn shard(&self) -> &str {
        &self.shard
    }
}

fn is_doorbell(record: &Value) -> bool {
    record["eventName"] == "INSERT" && sweep_key(record).starts_with("S#")
}

/// The sort key of the item that a record is of.
fn sweep_key(record: &Value) -> &str {
    record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap_or_default()
}
