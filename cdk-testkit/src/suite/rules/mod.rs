//! The rules, by what they are about.

mod check;
mod compatible;
mod discover;
mod formats;
pub(super) mod odd;
mod read;
mod read_records;
mod run;
mod schema_walk;
mod spec;
mod spec_ui;
mod state;
mod wire;
mod write;
mod write_rows;

use super::rule::Rule;

/// All rules, in the order in which they are reported.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        run::RULES,
        wire::RULES,
        spec::RULES,
        spec_ui::RULES,
        check::RULES,
        discover::RULES,
        compatible::RULES,
        read::RULES,
        read_records::RULES,
        state::RULES,
        write::RULES,
        write_rows::RULES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn rules_have_names_of_their_own_and_say_why() {
        let mut ids = HashSet::new();
        for rule in super::all() {
            assert!(ids.insert(rule.id), "{} twice", rule.id);
            assert!(
                rule.id.contains('.') && rule.title.ends_with('.'),
                "{}",
                rule.id
            );
            assert!(rule.protocol.ends_with('.'), "{}", rule.id);
        }
    }
}
