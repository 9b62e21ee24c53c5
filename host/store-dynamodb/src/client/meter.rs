//! Capacity units, as DynamoDB tells them with every answer.

use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units that requests consumed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Units {
    /// Read units: one is a consistent read of up to 4 KiB.
    pub reads: f64,
    /// Write units: one is a write of up to 1 KiB; in a transaction it is two.
    pub writes: f64,
    /// Requests that were answered.
    pub requests_count: u64,
}

impl std::ops::Sub for Units {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
            requests_count: self.requests_count.saturating_sub(before.requests_count),
        }
    }
}

/// Adds up what requests cost.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Units>);

impl Meter {
    /// The sum so far.
    pub(crate) fn units(&self) -> Units {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request that reads.
    pub(crate) fn read(&self, consumed: &[ConsumedCapacity]) {
        let units = consumed.iter().filter_map(ConsumedCapacity::capacity_units).sum::<f64>();
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.reads += units;
        sum.requests_count += 1;
    }

    /// Adds a request that writes.
    pub(crate) fn write(&self, consumed: &[ConsumedCapacity]) {
        let units = consumed.iter().filter_map(ConsumedCapacity::capacity_units).sum::<f64>();
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.writes += units;
        sum.requests_count += 1;
    }
}
