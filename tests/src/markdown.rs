//! The fenced blocks of a Markdown page.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The word after the fence: `rust`, `json`, `console`…
    pub language: &'a str,
    /// The file the block is, when the line before it is that file's name in backticks and a colon.
    pub file: Option<&'a str>,
    /// The text between the fences.
    pub text: &'a str,
}

/// All fenced blocks of a page, in order.
///
/// # Panics
/// If a fence is not closed.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = page;
    let mut before = "";
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if let Some(language) = line.strip_prefix("```") {
            let end = rest.find("```").expect("every fence is closed");
            blocks.push(Block {
                language,
                file: file_name(before),
                text: &rest[..end],
            });
            rest = rest[end..].split_once('\n').map_or("", |(_, after)| after);
            before = "";
        } else if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

fn file_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix('`')?.strip_suffix("`:")?;
    (!name.contains('`')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_knows_its_language_and_file() {
        let page = "x\n\n`a/b.json`:\n\n```json\n{}\n```\n\nThen `c`:\n```console\n$ ls\n```\n";
        let found = blocks(page);
        let json = Block {
            language: "json",
            file: Some("a/b.json"),
            text: "{}\n",
        };
        assert_eq!(found[0], json);
        assert_eq!((found[1].language, found[1].file), ("console", None));
    }
}
