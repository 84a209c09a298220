//! Python's `%` formatting of texts.

use super::value::{Eval, Val, other_fault, type_fault};

/// `format % values`.
pub(super) fn format(format: &str, values: &Val<'_>) -> Eval<String> {
    let given: Vec<Val<'_>> = match values {
        Val::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mut given = given.into_iter();
    let mut out = String::new();
    let mut letters = format.chars().peekable();
    let mut uses_keys = false;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut key = None;
        if letters.next_if_eq(&'(').is_some() {
            key = Some(
                letters
                    .by_ref()
                    .take_while(|letter| *letter != ')')
                    .collect::<String>(),
            );
            uses_keys = true;
        }
        let mut flags = String::new();
        while let Some(flag) = letters.next_if(|letter| "-+ #0123456789.".contains(*letter)) {
            flags.push(flag);
        }
        let Some(kind) = letters.next() else {
            return other_fault("incomplete format");
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match key {
            Some(key) => match values.key(&Val::text(key.clone())) {
                Some(value) => value,
                None => return other_fault(format!("no value for `{key}` in a format")),
            },
            None => match given.next() {
                Some(value) => value,
                None => return type_fault("not enough arguments for format string"),
            },
        };
        out.push_str(&one(kind, &flags, &value)?);
    }
    if !uses_keys && given.next().is_some() && values.entries().is_none() {
        return type_fault("not all arguments converted during string formatting");
    }
    Ok(out)
}

fn one(kind: char, flags: &str, value: &Val<'_>) -> Eval<String> {
    let (flags, precision) = match flags.split_once('.') {
        Some((flags, precision)) => (
            flags,
            Some(precision.parse::<usize>().unwrap_or(0).min(100)),
        ),
        None => (flags, None),
    };
    let width_at = flags
        .find(|c: char| ('1'..='9').contains(&c))
        .unwrap_or(flags.len());
    let (flags, width) = flags.split_at(width_at);
    let width = width.parse::<usize>().unwrap_or(0).min(1000);
    let number = |text: String| {
        let negative = text.starts_with('-');
        match flags {
            _ if negative => text,
            _ if flags.contains('+') => format!("+{text}"),
            _ if flags.contains(' ') => format!(" {text}"),
            _ => text,
        }
    };
    let text = match kind {
        's' => cut(value.to_text().into_owned(), precision),
        'r' | 'a' => {
            let mut text = String::new();
            value.push_repr(&mut text);
            cut(text, precision)
        }
        'd' | 'i' | 'u' => number(whole(value)?.to_string()),
        'x' => number(format!("{:x}", whole(value)?)),
        'X' => number(format!("{:X}", whole(value)?)),
        'o' => number(format!("{:o}", whole(value)?)),
        'f' | 'F' => match value.as_float() {
            Some(float) => number(format!("{float:.*}", precision.unwrap_or(6))),
            None => return type_fault("must be real number"),
        },
        other => return other_fault(format!("`%{other}` is not supported in a format")),
    };
    let missing = width.saturating_sub(text.chars().count());
    Ok(if flags.contains('-') {
        text + &" ".repeat(missing)
    } else if flags.contains('0') && kind != 's' {
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        " ".repeat(missing) + &text
    })
}

fn cut(text: String, precision: Option<usize>) -> String {
    match precision {
        Some(length) => text.chars().take(length).collect(),
        None => text,
    }
}

fn whole(value: &Val<'_>) -> Eval<i128> {
    match (value.as_int(), value.as_float()) {
        (Some(int), _) => Ok(int),
        (None, Some(float)) => Ok(float.trunc() as i128),
        _ => type_fault(format!(
            "%d format: a number is required, not {}",
            value.type_name()
        )),
    }
}
