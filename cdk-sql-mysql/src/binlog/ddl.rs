//! What statements in the log mean for tables. Only the head of a statement is looked at.

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Begins a transaction.
    Begin,
    /// Ends one.
    Commit,
    /// Changes the definition of these tables (database, table), or drops or renames them.
    Defines(Vec<(String, String)>),
    /// Empties a table without a row event.
    Truncates(String, String),
    /// Changes rows by a statement, which says nothing about the rows.
    ChangesRows,
    /// Nothing that matters here.
    Other,
}

/// Reads the head of `sql`, which ran in `database`.
pub(crate) fn meaning(sql: &str, database: &str) -> Meaning {
    let mut words = Words::new(sql);
    let Some(first) = words.keyword() else {
        return Meaning::Other;
    };
    match first.as_str() {
        "BEGIN" => Meaning::Begin,
        "COMMIT" | "ROLLBACK" => Meaning::Commit,
        "XA" => match words.keyword().as_deref() {
            Some("START" | "BEGIN") => Meaning::Begin,
            Some("COMMIT" | "ROLLBACK") => Meaning::Commit,
            _ => Meaning::Other,
        },
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" => Meaning::ChangesRows,
        "TRUNCATE" => {
            words.skip(&["TABLE"]);
            match words.table(database) {
                Some((database, table)) => Meaning::Truncates(database, table),
                None => Meaning::Other,
            }
        }
        "ALTER" | "CREATE" | "DROP" => {
            // Temporary tables are not in the log's rows.
            words.skip(&["ONLINE", "OFFLINE", "IGNORE", "OR", "REPLACE"]);
            if !words.skip(&["TABLE", "TABLES"]) {
                return Meaning::Other;
            }
            words.skip(&["IF", "NOT", "EXISTS"]);
            Meaning::Defines(words.renamed(database))
        }
        "RENAME" => {
            words.skip(&["TABLE", "TABLES"]);
            words.skip(&["IF", "EXISTS"]);
            Meaning::Defines(words.tables(database))
        }
        _ => Meaning::Other,
    }
}

/// Words, quoted names and single signs of a statement; comments are left out.
struct Words<'a> {
    rest: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Plain(String),
    Quoted(String),
    Sign(char),
}

impl<'a> Words<'a> {
    fn new(sql: &'a str) -> Self {
        Self { rest: sql }
    }

    fn next(&mut self) -> Option<Word> {
        self.skip_blank();
        let first = self.rest.chars().next()?;
        if let '`' | '"' | '\'' = first {
            return Some(self.quoted(first));
        }
        let is_part =
            |char: char| char.is_alphanumeric() || matches!(char, '_' | '$') || char as u32 >= 0x80;
        let end = self
            .rest
            .find(|char| !is_part(char))
            .unwrap_or(self.rest.len());
        let end = if end == 0 { first.len_utf8() } else { end };
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(if is_part(first) {
            Word::Plain(word.to_owned())
        } else {
            Word::Sign(first)
        })
    }

    fn quoted(&mut self, quote: char) -> Word {
        let mut name = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        let mut end = self.rest.len();
        while let Some((at, char)) = chars.next() {
            if char != quote {
                name.push(char);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                name.push(quote);
            } else {
                end = at + 1;
                break;
            }
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        Word::Quoted(name)
    }

    /// Blanks and comments; what stands in `/*! … */` runs, so only its marks are left out.
    fn skip_blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let after =
                |from: &str, end: &str| from.split_once(end).map_or("", |(_, rest)| rest).len();
            let left = if self.rest.starts_with("/*!") || self.rest.starts_with("/*M!") {
                let mark = self.rest.trim_start_matches(['/', '*', 'M', '!']);
                mark.trim_start_matches(|char: char| char.is_ascii_digit())
                    .len()
            } else if self.rest.starts_with("*/") {
                self.rest.len() - 2
            } else if self.rest.starts_with("/*") {
                after(self.rest, "*/")
            } else if self.rest.starts_with('#') || self.rest.starts_with("-- ") {
                after(self.rest, "\n")
            } else {
                return;
            };
            self.rest = self.rest.get(self.rest.len() - left..).unwrap_or_default();
        }
    }

    fn keyword(&mut self) -> Option<String> {
        match self.next()? {
            Word::Plain(word) => Some(word.to_ascii_uppercase()),
            _ => None,
        }
    }

    /// Leaves out these keywords at the front; whether there was any.
    fn skip(&mut self, keywords: &[&str]) -> bool {
        let mut is_any = false;
        loop {
            let before = self.rest;
            match self.keyword() {
                Some(word) if keywords.contains(&word.as_str()) => is_any = true,
                _ => {
                    self.rest = before;
                    return is_any;
                }
            }
        }
    }

    /// `table` or `database.table`.
    fn table(&mut self, database: &str) -> Option<(String, String)> {
        let name = |word| match word {
            Word::Plain(name) | Word::Quoted(name) => Some(name),
            Word::Sign(_) => None,
        };
        let first = name(self.next()?)?;
        let before = self.rest;
        if let Some(Word::Sign('.')) = self.next()
            && let Some(second) = self.next().and_then(name)
        {
            return Some((first, second));
        }
        self.rest = before;
        Some((database.to_owned(), first))
    }

    /// The table at the front, others after commas (DROP), and what it is renamed to (ALTER … RENAME).
    fn renamed(&mut self, database: &str) -> Vec<(String, String)> {
        let mut tables: Vec<_> = self.table(database).into_iter().collect();
        while let Some(word) = self.next() {
            match word {
                Word::Sign(',') => {}
                Word::Plain(word) if word.eq_ignore_ascii_case("RENAME") => {
                    let is_part = self.skip(&["COLUMN", "INDEX", "KEY"]);
                    self.skip(&["TO", "AS"]);
                    if !is_part {
                        tables.extend(self.table(database));
                    }
                }
                Word::Plain(name) | Word::Quoted(name) => tables.push((database.to_owned(), name)),
                Word::Sign(_) => {}
            }
        }
        tables
    }

    /// All names: `a TO b, c TO d.e`.
    fn tables(&mut self, database: &str) -> Vec<(String, String)> {
        let mut tables = Vec::new();
        while let Some(table) = self.table(database) {
            tables.push(table);
            self.skip(&["TO", "WAIT", "NOWAIT"]);
            let before = self.rest;
            if self.next() != Some(Word::Sign(',')) {
                self.rest = before;
            }
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defines(sql: &str, table: (&str, &str)) -> bool {
        match meaning(sql, "shop") {
            Meaning::Defines(tables) => tables.contains(&(table.0.to_owned(), table.1.to_owned())),
            _ => false,
        }
    }

    #[test]
    fn every_form_of_a_definition_names_its_tables() {
        for sql in [
            "ALTER TABLE t ADD x INT",
            "alter online table `t` add x int",
            "/* app */ ALTER TABLE shop.t DROP x",
            "ALTER TABLE `shop` . `t` RENAME COLUMN a TO b",
            "CREATE OR REPLACE TABLE t (id INT)",
            "CREATE TABLE IF NOT EXISTS `t` LIKE u",
            "DROP TABLE IF EXISTS a, t /* generated by server */",
            "RENAME TABLE a TO b, other.c TO shop.t",
            "ALTER TABLE a RENAME TO t",
            "/*!40000 ALTER TABLE `t` DISABLE KEYS */",
        ] {
            assert!(
                defines(sql, ("shop", "t")),
                "{sql}: {:?}",
                meaning(sql, "shop")
            );
        }
        assert!(defines("ALTER TABLE other.t ADD x INT", ("other", "t")));
        assert!(!defines("ALTER TABLE other.t ADD x INT", ("shop", "t")));
        assert!(!defines("CREATE TEMPORARY TABLE t (id INT)", ("shop", "t")));
    }

    #[test]
    fn names_with_quotes_and_signs_are_read_whole() {
        assert!(defines("DROP TABLE `a``b.c`", ("shop", "a`b.c")));
        assert!(defines("ALTER TABLE größe ADD x INT", ("shop", "größe")));
    }

    #[test]
    fn transactions_truncations_and_changes_by_statement_are_told_apart() {
        assert_eq!(meaning("BEGIN", ""), Meaning::Begin);
        assert_eq!(meaning("COMMIT", ""), Meaning::Commit);
        assert_eq!(meaning("XA START X'01',X'',1", ""), Meaning::Begin);
        let truncates = Meaning::Truncates("shop".to_owned(), "t".to_owned());
        assert_eq!(meaning("TRUNCATE TABLE t", "shop"), truncates);
        assert_eq!(meaning("truncate `shop`.`t`", "x"), truncates);
        assert_eq!(
            meaning("insert into t values (1)", ""),
            Meaning::ChangesRows
        );
        assert_eq!(meaning("GRANT SELECT ON t TO u", ""), Meaning::Other);
        assert_eq!(meaning("", ""), Meaning::Other);
        assert_eq!(meaning("/* only a comment", ""), Meaning::Other);
    }
}
