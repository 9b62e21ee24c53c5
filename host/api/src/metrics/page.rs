//! The text format of Prometheus: families of samples, one per line.

use std::fmt::Write as _;

/// What becomes of a figure over time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It only grows, until the host or the plugin starts again.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A page of figures.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family: the samples that follow are of it.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.family = name;
        // Writing to a string cannot fail.
        _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a whole number.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.name(labels);
        _ = writeln!(self.text, " {value}");
    }

    /// Adds a time in seconds.
    pub(super) fn seconds(&mut self, labels: &[(&str, &str)], time_ns: u64) {
        self.name(labels);
        let (seconds, rest_ns) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
        _ = writeln!(self.text, " {seconds}.{rest_ns:09}");
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn name(&mut self, labels: &[(&str, &str)]) {
        self.text.push_str(self.family);
        let mut before = '{';
        for (label, value) in labels {
            debug_assert!(
                !value.contains(['"', '\\', '\n']),
                "a name or a word of ours, which needs no escape"
            );
            _ = write!(self.text, "{before}{label}=\"{value}\"");
            before = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_the_format_has_it() {
        // Guards what others parse: names, labels, whole numbers and times.
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Things.");
        page.sample(&[("plugin", "account"), ("handler", "decide")], u64::MAX);
        page.seconds(&[("plugin", "account")], 1_020_000_003);
        page.family("b", Kind::Gauge, "Others.");
        page.sample(&[], 0);
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\n\
                        a_total{plugin=\"account\",handler=\"decide\"} 18446744073709551615\n\
                        a_total{plugin=\"account\"} 1.020000003\n\
                        # HELP b Others.\n# TYPE b gauge\nb 0\n";
        assert_eq!(page.into_text(), expected);
    }
}
