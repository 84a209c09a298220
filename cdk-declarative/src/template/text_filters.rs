//! Filters that take their value as text.

use super::eval::Given;
use super::strings;
use super::value::{Eval, Val};

/// `value | name(args)` for a value taken as text.
pub(super) fn apply<'a>(name: &str, value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let text = value.to_text();
    Ok(Val::text(match name {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "capitalize" => strings::capitalized(&text),
        "escape" | "e" | "forceescape" => escaped(&text),
        "wordcount" => {
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            return Ok(Val::Int(
                words.filter(|word| !word.is_empty()).count() as i128
            ));
        }
        "trim" => return strings::call(&text, "strip", args),
        "center" if args.get(0, "width").is_none() => {
            let width = Given {
                positional: vec![Val::Int(80)],
                named: Vec::new(),
            };
            return strings::call(&text, name, &width);
        }
        "center" | "replace" => return strings::call(&text, name, args),
        "title" => title(&text),
        "truncate" => truncate(&text, args),
        "indent" => indent(&text, args),
        // `safe` and `pprint`
        _ => text.into_owned(),
    }))
}

fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('\'', "&#39;").replace('"', "&#34;")
}

/// Words begin after blanks and opening brackets.
fn title(text: &str) -> String {
    let mut starts = true;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if starts {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
        starts = letter.is_whitespace() || "-({[<".contains(letter);
    }
    out
}

fn truncate(text: &str, args: &Given<'_>) -> String {
    let number = |at, name, default| {
        let given = args.get(at, name).and_then(|value| value.as_int());
        given.map_or(default, |number| usize::try_from(number).unwrap_or(0))
    };
    let length = number(0, "length", 255);
    let leeway = number(3, "leeway", 5);
    if text.chars().count() <= length.saturating_add(leeway) {
        return text.to_owned();
    }
    let end = args
        .get(2, "end")
        .map_or("...".to_owned(), |end| end.to_text().into_owned());
    let kept: String = text
        .chars()
        .take(length.saturating_sub(end.chars().count()))
        .collect();
    let kills_words = args.get(1, "killwords").is_some_and(|flag| flag.is_true());
    match kept.rsplit_once(' ').filter(|_| !kills_words) {
        Some((kept, _)) => format!("{kept}{end}"),
        None => kept + &end,
    }
}

fn indent(text: &str, args: &Given<'_>) -> String {
    let width = match args.get(0, "width") {
        Some(Val::Str(text)) => text.into_owned(),
        Some(width) => " ".repeat(
            width
                .as_int()
                .map_or(4, |width| usize::try_from(width.min(1000)).unwrap_or(0)),
        ),
        None => "    ".to_owned(),
    };
    let first = args.get(1, "first").is_some_and(|flag| flag.is_true());
    let blank = args.get(2, "blank").is_some_and(|flag| flag.is_true());
    let lines = text.split('\n').enumerate().map(|(at, line)| {
        let indents = if at == 0 {
            first
        } else {
            blank || !line.is_empty()
        };
        if indents {
            format!("{width}{line}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
