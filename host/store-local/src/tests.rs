//! Stores that releases wrote: they open for ever.

mod golden;
