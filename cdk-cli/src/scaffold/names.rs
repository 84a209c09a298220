//! What a connector is called, made of what a user types.

use cdk_core::{ConnectorError, Result};

/// Longer names are no names of crates, images and folders.
const MAX_BYTES: usize = 60;

/// The words of a name: `MyCustomAPI`, `my-custom-api` and `my custom api` have the same ones, in lower case.
pub(super) fn words(text: &str) -> Vec<String> {
    let characters: Vec<_> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, &character) in characters.iter().enumerate() {
        if !character.is_ascii_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let after = characters.get(at + 1);
        // `myApi` and the `S` of `APIServer` begin a word.
        let begins = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        word.push(character.to_ascii_lowercase());
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// The name of the crate, the folder and the image: `source-my-custom-api`.
pub(super) fn connector(kind: &str, text: &str) -> Result<String> {
    let role = kind.split('-').next().unwrap_or(kind);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ' | '.');
    if let Some(bad) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(ConnectorError::config(format!(
            "`{text}` is no name for a connector: it has {bad:?} in it. Use letters (a to z), digits, `-`, `_` or spaces."
        )));
    }
    let mut words = words(text);
    if words.first().is_some_and(|first| first == role) {
        words.remove(0);
    }
    if words.is_empty() {
        return Err(ConnectorError::config(format!(
            "`{text}` is no name for a connector: nothing is left of it. Name what it reads or writes, as in `MyCustomAPI`."
        )));
    }
    let name = format!("{role}-{}", words.join("-"));
    if name.len() > MAX_BYTES {
        return Err(ConnectorError::config(format!(
            "`{name}` is too long for the name of a connector. Use at most {MAX_BYTES} characters."
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_name_gives_the_same_one() {
        for text in [
            "MyCustomAPI",
            "my-custom-api",
            "my_custom_api",
            "My Custom API",
            "source-my-custom-api",
            "SourceMyCustomApi",
            "--my..custom--api--",
        ] {
            assert_eq!(
                connector("source-http", text).unwrap(),
                "source-my-custom-api",
                "{text}"
            );
        }
    }

    #[test]
    fn acronyms_digits_and_keywords_are_names_too() {
        for (text, name) in [
            ("S3Bucket", "source-s3-bucket"),
            ("3rdParty", "source-3rd-party"),
            ("APIServerV2", "source-api-server-v2"),
            ("type", "source-type"),
            ("self", "source-self"),
            ("2024", "source-2024"),
            ("x", "source-x"),
        ] {
            assert_eq!(connector("source-file", text).unwrap(), name);
        }
        assert_eq!(
            connector("destination", "Lake").unwrap(),
            "destination-lake"
        );
    }

    #[test]
    fn bad_names_are_refused_with_what_is_wrong() {
        for (text, said) in [
            ("", "nothing is left"),
            ("---", "nothing is left"),
            ("source", "nothing is left"),
            ("../evil", "'/'"),
            ("Übung", "'Ü'"),
            ("a\nb", "'\\n'"),
            ("{{x}}", "'{'"),
        ] {
            let error = connector("source-http", text).unwrap_err();
            assert!(error.message().contains(said), "{text}: {error}");
        }
        let error = connector("source-http", &"x".repeat(100)).unwrap_err();
        assert!(error.message().contains("too long"), "{error}");
    }
}
