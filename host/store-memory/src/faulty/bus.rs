//! A bus that loses, repeats and delays on request.

use std::sync::Arc;

use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use annals_core::port::Bus;
use annals_core::port::bus::{BusCapabilities, BusError, Wake};
use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::plan::{Call, FaultPlan, WakeFault};
use super::{pause, with_faults};

/// Wraps any bus.
#[derive(Debug, Clone)]
pub struct FaultyBus {
    bus: Arc<dyn Bus>,
    plan: Arc<dyn FaultPlan>,
}

impl FaultyBus {
    /// `bus` with the faults of `plan`.
    #[must_use]
    pub const fn new(bus: Arc<dyn Bus>, plan: Arc<dyn FaultPlan>) -> Self {
        Self { bus, plan }
    }

    async fn wake_with(
        &self,
        partition: Partition,
        head: Position,
        fault: WakeFault,
    ) -> Result<(), BusError> {
        match fault {
            WakeFault::None => self.bus.wake(partition, head).await,
            WakeFault::Dropped => Ok(()),
            WakeFault::Repeated => {
                self.bus.wake(partition, head).await?;
                self.bus.wake(partition, head).await
            }
            WakeFault::Late(delay) => {
                let bus = Arc::clone(&self.bus);
                // Ends by itself; a wake that comes too late for the runtime is one that is lost.
                tokio::spawn(async move {
                    pause(delay).await;
                    // The caller has its answer; a wake may be lost.
                    drop(bus.wake(partition, head).await);
                });
                Ok(())
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Bus for FaultyBus {
    fn capabilities(&self) -> BusCapabilities {
        self.bus.capabilities()
    }

    async fn last_published(&self, partition: Partition) -> Result<Option<Position>, BusError> {
        let work = self.bus.last_published(partition);
        with_faults(&self.plan, Call::Publish, BusError::Unavailable, work).await
    }

    async fn publish(&self, events: &[RecordedEvent]) -> Result<(), BusError> {
        let work = self.bus.publish(events);
        with_faults(&self.plan, Call::Publish, BusError::Unavailable, work).await
    }

    async fn wake(&self, partition: Partition, head: Position) -> Result<(), BusError> {
        let work = async { self.wake_with(partition, head, self.plan.wake()).await };
        with_faults(&self.plan, Call::Wake, BusError::Unavailable, work).await
    }

    fn wakes(&self) -> BoxStream<'static, Wake> {
        self.bus.wakes()
    }
}
