//! Text from a guest, made fit for logs and terminals.

/// `text` cut to at most `bytes_max` bytes, without control characters: they could move the cursor
/// of a terminal or end a line of a log.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    let kept = text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default();
    let mut printable: String =
        kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if kept.len() < text.len() {
        printable.push('…');
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters_and_takes_control_characters_out() {
        // Guards the log: a guest must not write lines or colours of its own, nor half a character.
        assert_eq!(printable("a\nb\u{1b}[31m", 100), "a b [31m");
        assert_eq!(printable("aü", 2), "a…");
        assert_eq!(printable("aü", 3), "aü");
    }
}
