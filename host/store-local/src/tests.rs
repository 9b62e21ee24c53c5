//! Stores that releases wrote, and readers of all kinds.

mod golden;
mod readers;
