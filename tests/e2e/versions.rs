//! Versions of plugins on the real binary: swaps under load, the command line, and a folder that is
//! watched.

mod load;
mod talk;
mod watched;
