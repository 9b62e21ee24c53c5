//! Writes `docs/reference/configuration.md` from the structs.

use std::fmt::Write as _;

use super::{Config, variable};

/// The page about the configuration, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for area in Config::default().areas() {
        // Writing to a string cannot fail.
        _ = writeln!(page, "\n## `[{}]`\n\n{}", area.name(), joined(area.doc()));
        for entry in area.entries() {
            _ = writeln!(
                page,
                "\n### `{}.{}`\n\n{}\n\n- Default: `{}`\n- Variable: `{}`\n- Write {}.",
                area.name(),
                entry.key,
                joined(entry.doc),
                entry.toml,
                variable(area.name(), entry.key),
                entry.form,
            );
        }
        if area.name() == "limits" {
            page.push_str(PLUGINS);
        }
    }
    page
}

const PLUGINS: &str = "
## `[plugins.NAME]`

What the plugin `NAME` may use, where that is not what holds for all: each key of `[limits]`, and
`residents_max`, `decision_events_max` and `batch_writes_max`, can be set here for one plugin, and no other
key. There are no variables for these areas.

```toml
[plugins.shop-cart]
memory_bytes_max = \"256MiB\"
decide_fuel_max = 50000000
```

The name of a component is known only when it has described itself. Until then it may use, of each limit,
the most that `[limits]` or any of these areas allows; it is checked and described again under its own.
";

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by a test of `annals-daemon`. Rewrite it with UPDATE_SNAPSHOTS=1. -->

The daemon reads `annals.toml` in the folder it is started in, or the file that `--config` names. A
variable goes before the file, and a flag before the variable. A key that is not listed here is an
error. `annals serve --print-config` prints what is in force.
";

/// Lines of documentation as one paragraph.
fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::reference;

    #[test]
    fn configuration_reference_is_what_the_structs_say() {
        // Guards `docs/reference/configuration.md`. Rewrite it with UPDATE_SNAPSHOTS=1.
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
        let page = reference();
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "is not up to date: run with UPDATE_SNAPSHOTS=1";
        assert!(written == page, "`{}` {hint}", path.display());
    }
}
