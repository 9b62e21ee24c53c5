//! What a daemon says of a projection, as far as it is printed.

use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Output;
use crate::text::{count, thousands};

/// A projection.
#[derive(Debug, Deserialize)]
pub(super) struct Projection {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) build: u32,
    pub(super) phase: String,
    pub(super) events_count: u64,
    pub(super) parked_count: u64,
    pub(super) partitions: Vec<Partition>,
    pub(super) rebuild: Option<Rebuild>,
    pub(super) previous: Option<Previous>,
}

/// How far a view is in a partition.
#[derive(Debug, Deserialize)]
pub(super) struct Partition {
    pub(super) partition: u32,
    pub(super) checkpoint: Option<u64>,
    pub(super) head: Option<u64>,
}

/// A view that is built.
#[derive(Debug, Deserialize)]
pub(super) struct Rebuild {
    pub(super) phase: String,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) build: u32,
    pub(super) started_at: String,
    pub(super) cuts_over: String,
    pub(super) partitions: Vec<Partition>,
    pub(super) events_count: u64,
    pub(super) events_per_second: Option<u64>,
    pub(super) attempts: Option<u32>,
    pub(super) comparison: Option<Comparison>,
}

/// A view that can be restored.
#[derive(Debug, Deserialize)]
pub(super) struct Previous {
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) until: String,
    pub(super) comparison: Option<Comparison>,
}

/// How two views compare.
#[derive(Debug, Deserialize)]
pub(super) struct Comparison {
    compared_at: String,
    old_rows_count: u64,
    new_rows_count: u64,
    new_parked_count: u64,
    only_old: Differing,
    only_new: Differing,
    different: Differing,
    is_exact: bool,
}

#[derive(Debug, Deserialize)]
struct Differing {
    count: u64,
    examples: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    table: String,
    key: String,
    old: Option<Value>,
    new: Option<Value>,
}

impl Comparison {
    /// How many streams of the new view wait behind an event that could not be handled.
    pub(super) fn parked_count(&self) -> u64 {
        self.new_parked_count
    }

    /// How many rows differ.
    pub(super) fn differences_count(&self) -> u64 {
        let counts = [&self.only_old, &self.only_new, &self.different].map(|it| it.count);
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// Prints what differs.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        self.lines().into_iter().try_for_each(|line| output.line(line))
    }

    fn lines(&self) -> Vec<String> {
        let (old, new) = (count(self.old_rows_count, "row"), thousands(self.new_rows_count));
        let mut lines = vec![format!(
            "compared at {}: {old} in the old view, {new} in the new one",
            self.compared_at
        )];
        if self.new_parked_count > 0 {
            let streams = count(self.new_parked_count, "stream");
            lines.push(format!("  the new view has {streams} behind parked events"));
        }
        if self.differences_count() == 0 {
            lines.push("  no row differs".to_owned());
        }
        let sorts = [
            ("only in the old view", &self.only_old),
            ("only in the new view", &self.only_new),
            ("with other values", &self.different),
        ];
        for (sort, differing) in sorts.into_iter().filter(|(_, differing)| differing.count > 0) {
            lines.push(format!("  {} {sort}", count(differing.count, "row")));
            lines.extend(differing.examples.iter().map(|row| format!("    {}", row.text())));
        }
        if !self.is_exact && self.differences_count() > 0 {
            lines.push(
                "  not exact: the views could not be held at the same place, or too many rows differ"
                    .to_owned(),
            );
        }
        lines
    }
}

impl Row {
    fn text(&self) -> String {
        let Self { table, key, old, new } = self;
        match (old, new) {
            (Some(old), Some(new)) => format!("{table} {key}: {old} is {new} in the new one"),
            (Some(value), None) | (None, Some(value)) => format!("{table} {key}: {value}"),
            (None, None) => format!("{table} {key}"),
        }
    }
}

/// How far partitions are: positions handled, and positions there are.
pub(super) fn done_of_total(partitions: &[Partition]) -> (u64, u64) {
    // A position is a place, and the first is 0.
    let place = |position: Option<u64>| position.map_or(0, |position| position.saturating_add(1));
    let sum = |places: &mut dyn Iterator<Item = u64>| places.fold(0, u64::saturating_add);
    let done = sum(&mut partitions.iter().map(|it| place(it.checkpoint.min(it.head))));
    (done, sum(&mut partitions.iter().map(|it| place(it.head))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_with_their_examples() {
        // Guards what an operator decides by: numbers, rows, and whether they are exact.
        let row =
            |old: Value, new: Value| json!({"table": "rows", "key": "k", "old": old, "new": new});
        let mut comparison = json!({
            "compared_at": "T", "old_rows_count": 1_234, "new_rows_count": 2, "new_parked_count": 0, "is_exact": true,
            "only_old": {"count": 1, "examples": [row(json!(1), Value::Null)]},
            "only_new": {"count": 0, "examples": []},
            "different": {"count": 2, "examples": [row(json!({"a": 1}), json!("x"))]},
        });
        let lines = |json: &Value| Comparison::deserialize(json).unwrap().lines();
        assert_eq!(
            lines(&comparison),
            [
                "compared at T: 1 234 rows in the old view, 2 in the new one",
                "  1 row only in the old view",
                "    rows k: 1",
                "  2 rows with other values",
                "    rows k: {\"a\":1} is \"x\" in the new one",
            ]
        );
        comparison["is_exact"] = json!(false);
        let last = lines(&comparison).pop().unwrap();
        assert!(last.starts_with("  not exact"), "{last}");
        for sort in ["only_old", "different"] {
            comparison[sort] = json!({"count": 0, "examples": []});
        }
        assert_eq!(lines(&comparison)[1..], ["  no row differs"]);
    }

    #[test]
    fn how_far_a_view_is_counts_places() {
        // Guards the bar: an empty partition is done, and a view that is ahead of the head that was
        // asked for before is not more than whole.
        let at = |checkpoint, head| Partition { partition: 0, checkpoint, head };
        let partitions = [at(None, None), at(Some(4), Some(9)), at(Some(3), Some(1))];
        assert_eq!(done_of_total(&partitions), (7, 12));
    }
}
