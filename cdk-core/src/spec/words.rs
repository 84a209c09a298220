//! Names of fields and variants as people write them.

/// Written in capitals in titles.
const ABBREVIATIONS: [&str; 26] = [
    "api", "aws", "cdc", "csv", "ftp", "gcs", "html", "http", "https", "id", "ip", "json", "jwt",
    "s3", "sftp", "sql", "ssh", "ssl", "tls", "ttl", "uri", "url", "utc", "uuid", "xml", "yaml",
];

/// `start_date`, `startDate` and `start-date` become "Start Date"; `api_key` becomes "API Key".
pub(super) fn title(name: &str) -> String {
    let words: Vec<String> = split(name).into_iter().map(capitalise).collect();
    words.join(" ")
}

fn split(name: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut after_lowercase) = (0, false);
    for (at, letter) in name.char_indices() {
        let is_separator = letter == '_' || letter == '-' || letter.is_whitespace();
        if is_separator || (after_lowercase && letter.is_uppercase()) {
            words.push(&name[start..at]);
            start = if is_separator {
                at + letter.len_utf8()
            } else {
                at
            };
        }
        after_lowercase = letter.is_lowercase();
    }
    words.push(&name[start..]);
    words.retain(|word| !word.is_empty());
    words
}

fn capitalise(word: &str) -> String {
    let lower = word.to_lowercase();
    if ABBREVIATIONS.contains(&lower.as_str()) {
        return lower.to_uppercase();
    }
    // `NO_TUNNEL` is shouting, `OAuth2.0` is a name.
    let rest_source = if word.chars().any(char::is_lowercase) {
        word
    } else {
        lower.as_str()
    };
    let mut letters = rest_source.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        for (name, words) in [
            ("start_date", "Start Date"),
            ("startDate", "Start Date"),
            ("start-date", "Start Date"),
            ("api_key", "API Key"),
            ("clientId", "Client ID"),
            ("NO_TUNNEL", "No Tunnel"),
            ("oauth2.0", "Oauth2.0"),
            ("OAuth2.0", "OAuth2.0"),
            ("FakerConfig", "Faker Config"),
            ("__größe", "Größe"),
            ("x", "X"),
            ("", ""),
        ] {
            assert_eq!(title(name), words, "{name}");
        }
    }
}
