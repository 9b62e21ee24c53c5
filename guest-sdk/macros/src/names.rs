//! From the names Rust uses to the names the contract uses.

/// Turns `OpenAccount` into `open-account`. A run of capitals is one word: `OpenURLNow` becomes
/// `open-url-now`. Digits stay with the word before them: `Step2Done` becomes `step2-done`.
pub(crate) fn kebab_case(name: &str) -> String {
    let letters: Vec<char> = name.trim_start_matches("r#").chars().collect();
    let mut kebab = String::with_capacity(name.len() + 8);
    for (index, letter) in letters.iter().enumerate() {
        if *letter == '_' {
            kebab.push('-');
            continue;
        }
        let before = index.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(index + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                let ends_word = before.is_lowercase() || before.is_ascii_digit();
                let ends_acronym =
                    before.is_uppercase() && after.is_some_and(|after| after.is_lowercase());
                ends_word || ends_acronym
            });
        if starts_word {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

/// Whether `name` is what the contract calls kebab-case.
pub(crate) fn is_kebab_case(name: &str) -> bool {
    let starts_with_letter = name.starts_with(|first: char| first.is_ascii_lowercase());
    let words_are_plain = name.split('-').all(|word| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    starts_with_letter && words_are_plain && name.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::{is_kebab_case, kebab_case};

    #[test]
    fn variant_names_become_kebab_case() {
        // Guards the names on the wire: changing this rule would orphan recorded events.
        let cases = [
            ("OpenAccount", "open-account"),
            ("Accept", "accept"),
            ("OpenURLNow", "open-url-now"),
            ("Step2Done", "step2-done"),
            ("Snake_Case", "snake-case"),
            ("r#Type", "type"),
        ];
        for (name, expected) in cases {
            assert_eq!(kebab_case(name), expected, "{name}");
        }
    }

    #[test]
    fn only_plain_words_joined_by_one_dash_are_kebab_case() {
        // Guards `#[annals(name = "..")]`, which the host would refuse much later.
        let long = "a".repeat(65);
        let cases = [
            ("open-account", true),
            ("step2-done", true),
            ("", false),
            ("-open", false),
            ("open-", false),
            ("open--account", false),
            ("2-steps", false),
            ("Open", false),
            ("open account", false),
            (long.as_str(), false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_kebab_case(name), expected, "{name}");
        }
    }
}
