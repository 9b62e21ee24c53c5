//! What the threads of a log have in common: each does one step after the other. A test can take the
//! steps itself, in an order that a seed decides.

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was done, or waited for.
    Worked,
    /// There was nothing to do, or no room to do it.
    Idle,
    /// There will never be anything to do.
    Ended,
}

/// What a step does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenIdle {
    Wait,
    Return,
}
