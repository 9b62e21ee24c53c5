//! Saying something once: when it begins to fail, and when it goes on.

/// Whether something fails at present.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    is_on: bool,
}

impl Outage {
    /// Notes a failure; returns whether it is the first one.
    pub(crate) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.is_on, true)
    }

    /// Notes a success; returns whether it is the first one after failures.
    pub(crate) fn ends(&mut self) -> bool {
        std::mem::replace(&mut self.is_on, false)
    }
}

#[cfg(test)]
mod tests {
    use super::Outage;

    #[test]
    fn an_outage_begins_and_ends_once() {
        // Guards the log against a line per attempt.
        let mut outage = Outage::default();
        let said = [
            outage.ends(),
            outage.begins(),
            outage.begins(),
            outage.ends(),
            outage.ends(),
            outage.begins(),
        ];
        assert_eq!(said, [false, true, false, true, false, true]);
    }
}
