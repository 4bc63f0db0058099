//! The ways in which an answer may fail to come, or come otherwise than anybody expected.

use dwenv::facts::{Record, RecordStatus, Records};

/// These records, once for each way in which the answer to `probe` may fail; and what that way is called.
pub fn failing(records: &Records, probe: &str) -> Vec<(&'static str, Records)> {
    let missing = ended(RecordStatus::Missing, "");
    let ways = [
        ("absent", None),
        ("refused", Some(Record::refused("for some reason"))),
        ("timed out", Some(Record::timed_out())),
        ("missing", Some(missing)),
        (
            "ended with 1",
            Some(ended(RecordStatus::Done(1), "no such thing")),
        ),
        ("garbled", Some(Record::done("?\u{fffd}{| \n!!"))),
    ];
    let with = |(way, record)| {
        let mut records = records.clone();
        match record {
            Some(record) => records.insert(probe, record),
            None => drop(records.records.remove(probe)),
        }
        (way, records)
    };
    ways.into_iter().map(with).collect()
}

pub fn ended(status: RecordStatus, output: &str) -> Record {
    Record {
        status,
        output: output.to_owned(),
        duration_ms: 1,
    }
}
