//! Subscriptions: events shared by name. On the memory drivers with paused time, and, where a driver
//! can make a difference, on the local ones and on DynamoDB with real time.

mod bench;
mod deliveries;
mod limits;
mod members;
mod parked;
mod random;
mod waiting;
