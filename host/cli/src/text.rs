//! Numbers and tables for people.

/// A size: `96.4 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, bytes)| count >= *bytes);
    let Some((unit, bytes)) = unit else {
        return format!("{count} bytes");
    };
    // Tenths are enough for people, and exact in whole numbers.
    let tenths = u128::from(count) * 10 / u128::from(*bytes);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A whole number with its thousands apart: `30 000`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        let is_start_of_group = index > 0 && (digits.len() - index).is_multiple_of(3);
        if is_start_of_group {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 event`, `2 events`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(number))
}

/// Rows with their columns below each other, two spaces apart.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns_count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..columns_count).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        // Guards the figures in the output of `plugin build` and `bench`.
        assert_eq!(
            [0, 1_023, 1_024, 98_765, 3 << 30].map(bytes),
            ["0 bytes", "1023 bytes", "1.0 KiB", "96.4 KiB", "3.0 GiB"]
        );
        assert_eq!(
            [0, 999, 1_000, 30_000, 1_234_567].map(thousands),
            ["0", "999", "1 000", "30 000", "1 234 567"]
        );
    }

    #[test]
    fn tables_have_their_columns_below_each_other() {
        // Guards lists of rows and plugins.
        let rows = [["a", "bb", "c"], ["aaa", "b", ""]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), ["a    bb  c", "aaa  b"]);
    }
}
