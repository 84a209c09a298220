//! Words that people spell in many ways: folding, and guesses at what was meant.

/// `text` in lower case without accents, spaces and punctuation: `Clé Primaire` becomes `cleprimaire`.
pub fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .map(plain)
        .filter(|char| char.is_alphanumeric())
        .collect()
}

fn plain(char: char) -> char {
    match char {
        'à' | 'á' | 'â' | 'ä' | 'ã' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'ö' | 'õ' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        // Combining accents, as some editors write them, are no letters and fall out.
        other => other,
    }
}

/// ` Did you mean …?` for the nearest of `known`, or nothing when none is near.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |known| format!(" Did you mean `{known}`?"))
}

/// The nearest of `known`, when one is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let limit = (folded.chars().count() / 3).max(1);
    let near = known
        .into_iter()
        .map(|known| (distance(&folded, &fold(known)), known));
    let nearest = near.min_by_key(|(distance, _)| *distance);
    nearest
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, known)| known)
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // cells[i][j]: from the first i characters of `a` to the first j of `b`.
    let mut cells = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cells[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let is_other = usize::from(a[i - 1] != b[j - 1]);
                let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swapped = if is_swap {
                    cells[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                let replaced = cells[i - 1][j - 1] + is_other;
                (cells[i - 1][j] + 1)
                    .min(cells[i][j - 1] + 1)
                    .min(replaced)
                    .min(swapped)
            };
        }
    }
    cells[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_fold_to_one() {
        for text in [
            "Clé Primaire",
            "cle_primaire",
            "CLE-PRIMAIRE",
            "Cle\u{301} Primaire",
        ] {
            assert_eq!(fold(text), "cleprimaire", "{text}");
        }
    }

    #[test]
    fn only_near_words_are_guessed() {
        let known = ["streams", "source", "destination"];
        assert_eq!(did_you_mean("stream", known), " Did you mean `streams`?");
        assert_eq!(did_you_mean("Sourec", known), " Did you mean `source`?");
        assert_eq!(did_you_mean("colour", known), "");
    }

    #[test]
    fn the_distance_counts_edits() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("nmae", "name", 1),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
