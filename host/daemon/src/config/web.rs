//! The folders of pages, by the names of their apps.

use std::collections::BTreeMap;
use std::path::PathBuf;

use annals_core::name::AppName;

use super::value::{BadValue, Setting};

/// Folders by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebFolders(BTreeMap<AppName, PathBuf>);

impl WebFolders {
    /// The apps and their folders, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&AppName, &PathBuf)> {
        self.0.iter()
    }

    /// The table that the text of a file is, or the list that a variable or flag is.
    fn pairs(text: &str) -> Option<Vec<(String, String)>> {
        let text = text.trim();
        if text.starts_with('{') {
            let table: toml::Table = format!("folders = {text}").parse().ok()?;
            let folders = table.get("folders")?.as_table()?.iter();
            return folders.map(|(name, dir)| Some((name.clone(), dir.as_str()?.into()))).collect();
        }
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').map(|(name, dir)| (name.into(), dir.into())))
            .collect()
    }
}

impl Setting for WebFolders {
    const FORM: &'static str = "a table such as `{ todo = \"plugins/todo/web\" }`, or in a variable or \
        flag `todo=plugins/todo/web`, several with a comma between them";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let bad = || BadValue::of::<Self>(text);
        let mut folders = BTreeMap::new();
        for (name, dir) in Self::pairs(text).ok_or_else(bad)? {
            let name = AppName::new(&name).map_err(|_| bad())?;
            let is_new = !dir.is_empty() && folders.insert(name, PathBuf::from(dir)).is_none();
            if !is_new {
                return Err(bad());
            }
        }
        Ok(Self(folders))
    }

    fn to_toml(&self) -> String {
        let pair = |(name, dir): (&AppName, &PathBuf)| {
            let dir = toml::Value::String(dir.display().to_string());
            format!("{name} = {dir}")
        };
        let pairs: Vec<_> = self.iter().map(pair).collect();
        if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_from_files_variables_and_flags() {
        // Guards every form, and that what is printed is read as itself.
        let expected = "{ shop = 'b \"c\"', todo = \"/a,b\" }";
        assert_eq!(WebFolders::parse(expected).unwrap().to_toml(), expected);
        let flag = WebFolders::parse("todo=a/web,shop=b=c").unwrap();
        assert_eq!(flag.to_toml(), "{ shop = \"b=c\", todo = \"a/web\" }");
        for none in ["", "{}", " {} "] {
            assert_eq!(WebFolders::parse(none).unwrap(), WebFolders::default());
        }
        for bad in ["todo", "todo=", "To Do=a", "=a", "todo=a,todo=b", "{ todo = 1 }", "{ todo"] {
            assert!(WebFolders::parse(bad).is_err(), "{bad}");
        }
    }
}
