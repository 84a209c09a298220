//! Fills in a template. The templates are Liquid, as `cargo generate` reads it; of that they use what Jinja has too:
//! values, the filters below, and `if`.

use cdk_core::{ErrorContext, Result};
use minijinja::{Environment, UndefinedBehavior};

/// What a template is filled in with, by name.
pub(super) type Values = [(&'static str, String)];

/// The text of a template's file, filled in.
pub(super) fn render(file: &str, text: &str, values: &Values) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("kebab_case", |name: String| name.replace('_', "-"));
    environment.add_filter("pascal_case", |name: String| joined(&name, ""));
    environment.add_filter("title_case", |name: String| joined(&name, " "));
    // Nothing is HTML here.
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    // The last line feed is taken for the template's own.
    let text = format!("{text}\n");
    let pairs = values.iter().map(|(name, value)| (*name, value.as_str()));
    let rendered = environment.render_str(&text, minijinja::Value::from_pairs(pairs));
    rendered.system_error(format!("The template's file {file} can't be filled in."))
}

/// The words of a name in snake case, each with a capital.
fn joined(name: &str, between: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_choices_are_filled_in() {
        let values = [
            ("crate_name", "source_3rd_api".to_owned()),
            ("auth", "none".to_owned()),
        ];
        let text = "{{ crate_name | kebab_case }} {{ crate_name | pascal_case }} {{ crate_name | title_case }}\n\
                    {% if auth == \"none\" %}open{% endif %}{% if auth != \"none\" %}closed{% endif %} & <b>\n";
        let rendered = render("a", text, &values).unwrap();
        assert_eq!(
            rendered,
            "source-3rd-api Source3rdApi Source 3rd Api\nopen & <b>\n"
        );
        assert!(render("a", "{{ nothing }}", &values).is_err());
    }
}
