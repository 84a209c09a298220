//! Methods of texts.

use std::rc::Rc;

use super::eval::Given;
use super::value::{Eval, Val, other_fault, type_fault};

/// A text longer than this is a mistake of the manifest.
const MAX_WIDTH: i128 = 1 << 20;

/// Calls a method of `str`.
pub(super) fn call<'a>(text: &str, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    let own = |text: String| Ok(Val::text(text));
    match name {
        "lower" | "casefold" => own(text.to_lowercase()),
        "upper" => own(text.to_uppercase()),
        "capitalize" => own(capitalized(text)),
        "title" => own(titled(text)),
        "swapcase" => own(text.chars().map(swapped).collect()),
        "strip" => own(stripped(text, args, true, true)?),
        "lstrip" => own(stripped(text, args, true, false)?),
        "rstrip" => own(stripped(text, args, false, true)?),
        "removeprefix" | "removesuffix" => {
            let part = args.need(0, "part", name)?;
            let part = part.as_str(name)?;
            let kept = if name == "removeprefix" {
                text.strip_prefix(part)
            } else {
                text.strip_suffix(part)
            };
            own(kept.unwrap_or(text).to_owned())
        }
        "split" | "rsplit" => split(text, name == "rsplit", args),
        "splitlines" => {
            let keeps_ends = args.get(0, "keepends").is_some_and(|flag| flag.is_true());
            let lines: Vec<&str> = match keeps_ends {
                true => text.split_inclusive('\n').collect(),
                false => text.lines().collect(),
            };
            let lines = lines.into_iter().map(|line| Val::text(line.to_owned()));
            Ok(Val::list(lines.collect()))
        }
        "partition" | "rpartition" => {
            let part = args.need(0, "sep", name)?;
            let part = part.as_str(name)?;
            if part.is_empty() {
                return other_fault("empty separator");
            }
            let found = if name == "partition" {
                text.split_once(part)
            } else {
                text.rsplit_once(part)
            };
            let parts = match found {
                Some((before, after)) => [before, part, after],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Ok(Val::Tuple(Rc::new(
                parts.map(|part| Val::text(part.to_owned())).into(),
            )))
        }
        "join" => join(text, args),
        "replace" => {
            let (old, new) = (args.need(0, "old", name)?, args.need(1, "new", name)?);
            let count = args
                .get(2, "count")
                .and_then(|count| count.as_int())
                .unwrap_or(-1);
            own(match usize::try_from(count) {
                Ok(count) => text.replacen(old.as_str(name)?, new.as_str(name)?, count),
                Err(_) => text.replace(old.as_str(name)?, new.as_str(name)?),
            })
        }
        "startswith" | "endswith" => affix(text, args, name),
        "find" | "rfind" | "index" | "rindex" => find(text, name, args),
        "count" => {
            let part = args.need(0, "sub", name)?;
            let found = window(text, args)
                .map(|(_, text)| Ok(text.matches(part.as_str(name)?).count()))
                .transpose()?;
            Ok(Val::Int(found.unwrap_or(0) as i128))
        }
        "zfill" | "ljust" | "rjust" | "center" => own(padded(text, name, args)?),
        "encode" => own(text.to_owned()),
        "expandtabs" => own(without_tabs(text, args)),
        "format" => format(text, args).map(Val::text),
        "format_map" => {
            let values = args.need(0, "mapping", name)?.entries().unwrap_or_default();
            format_by(text, |field| {
                let found = values.iter().find(|(key, _)| key.to_text() == field);
                found.map(|(_, value)| value.clone())
            })
            .map(Val::text)
        }
        _ => Ok(Val::Bool(is(text, name))),
    }
}

fn is(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let has_case = text
        .chars()
        .any(|letter| letter.is_lowercase() || letter.is_uppercase());
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isdigit" | "isdecimal" => all(|letter| letter.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isascii" => text.is_ascii(),
        "isidentifier" => {
            !text.starts_with(|letter: char| letter.is_numeric())
                && all(|letter| letter.is_alphanumeric() || letter == '_')
        }
        "isprintable" => text
            .chars()
            .all(|letter| letter == ' ' || !(letter.is_control() || letter.is_whitespace())),
        "isspace" => all(char::is_whitespace),
        "islower" => has_case && !text.chars().any(char::is_uppercase),
        "isupper" => has_case && !text.chars().any(char::is_lowercase),
        _ => has_case && titled(text) == text,
    }
}

fn swapped(letter: char) -> char {
    let other = if letter.is_uppercase() {
        letter.to_lowercase().next()
    } else {
        letter.to_uppercase().next()
    };
    other.unwrap_or(letter)
}

pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first
            .to_uppercase()
            .chain(letters.as_str().to_lowercase().chars())
            .collect(),
        None => String::new(),
    }
}

fn titled(text: &str) -> String {
    let mut is_inside = false;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_inside {
            out.extend(letter.to_lowercase());
        } else {
            out.extend(letter.to_uppercase());
        }
        is_inside = letter.is_alphabetic();
    }
    out
}

fn stripped(text: &str, args: &Given<'_>, at_start: bool, at_end: bool) -> Eval<String> {
    let letters = match args.get(0, "chars") {
        None | Some(Val::None) => None,
        Some(letters) => Some(letters.as_str("strip")?.to_owned()),
    };
    let drops = |letter: char| match &letters {
        None => letter.is_whitespace(),
        Some(letters) => letters.contains(letter),
    };
    let text = if at_start {
        text.trim_start_matches(drops)
    } else {
        text
    };
    Ok(if at_end {
        text.trim_end_matches(drops)
    } else {
        text
    }
    .to_owned())
}

fn split<'a>(text: &str, from_end: bool, args: &Given<'a>) -> Eval<Val<'a>> {
    let most = args.get(1, "maxsplit").and_then(|most| most.as_int());
    let most = most.and_then(|most| usize::try_from(most).ok());
    let parts: Vec<&str> = match args.get(0, "sep") {
        None | Some(Val::None) => split_blanks(text, most, from_end),
        Some(part) => {
            let part = part.as_str("split")?.to_owned();
            if part.is_empty() {
                return other_fault("empty separator");
            }
            match (most, from_end) {
                (None, _) => text.split(&part).collect(),
                (Some(most), false) => text.splitn(most + 1, &part).collect(),
                (Some(most), true) => {
                    let mut parts: Vec<_> = text.rsplitn(most + 1, &part).collect();
                    parts.reverse();
                    parts
                }
            }
        }
    };
    Ok(Val::list(
        parts
            .into_iter()
            .map(|part| Val::text(part.to_owned()))
            .collect(),
    ))
}

/// Between blanks; when `most` cuts were made, the rest keeps its outer blanks.
fn split_blanks(text: &str, most: Option<usize>, from_end: bool) -> Vec<&str> {
    let Some(most) = most else {
        return text.split_whitespace().collect();
    };
    let trimmed = |text| match from_end {
        true => str::trim_end(text),
        false => str::trim_start(text),
    };
    let mut parts = Vec::new();
    let mut rest = trimmed(text);
    while !rest.is_empty() {
        let at = match from_end {
            true => rest.rfind(char::is_whitespace),
            false => rest.find(char::is_whitespace),
        };
        let Some(at) = at.filter(|_| parts.len() < most) else {
            parts.push(rest);
            break;
        };
        let (part, left) = match from_end {
            true => (rest[at..].trim_start(), &rest[..at]),
            false => (&rest[..at], &rest[at..]),
        };
        parts.push(part);
        rest = trimmed(left);
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn join<'a>(text: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    let items = args.need(0, "iterable", "join")?.items()?;
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(text);
        }
        match item {
            Val::Str(part) => out.push_str(part),
            other => {
                return type_fault(format!(
                    "sequence item {at}: expected str instance, {} found",
                    other.type_name()
                ));
            }
        }
    }
    Ok(Val::text(out))
}

/// The part of the text that the arguments `start` and `end` leave, and the letters before it.
fn window<'t>(text: &'t str, args: &Given<'_>) -> Option<(usize, &'t str)> {
    let bound = |at: usize, name: &str| args.get(at, name).and_then(|value| value.as_int());
    let (start, end) = (bound(1, "start"), bound(2, "end"));
    if start.is_none() && end.is_none() {
        return Some((0, text));
    }
    let length = text.chars().count() as i128;
    let from_start = |at: i128| if at < 0 { (at + length).max(0) } else { at };
    let start = start.map_or(0, from_start);
    let end = end.map_or(length, from_start).min(length);
    if start > end {
        return None;
    }
    let place = |at: i128| {
        let mut places = text.char_indices().map(|(place, _)| place);
        places.nth(at as usize).unwrap_or(text.len())
    };
    Some((start as usize, &text[place(start)..place(end)]))
}

fn affix<'a>(text: &str, args: &Given<'a>, name: &str) -> Eval<Val<'a>> {
    let part = args.need(0, "affix", name)?;
    let parts = match &part {
        Val::Tuple(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let Some((_, text)) = window(text, args) else {
        return Ok(Val::Bool(false));
    };
    for part in parts {
        let part = part.as_str(name)?;
        let holds = match name {
            "startswith" => text.starts_with(part),
            _ => text.ends_with(part),
        };
        if holds {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn find<'a>(text: &str, name: &str, args: &Given<'a>) -> Eval<Val<'a>> {
    let part = args.need(0, "sub", name)?;
    let part = part.as_str(name)?;
    let at = window(text, args).and_then(|(before, text)| {
        let at = match name.starts_with('r') {
            true => text.rfind(part),
            false => text.find(part),
        };
        at.map(|at| before + text[..at].chars().count())
    });
    match at {
        Some(at) => Ok(Val::Int(at as i128)),
        None if name.ends_with("index") => other_fault("substring not found"),
        None => Ok(Val::Int(-1)),
    }
}

/// Blanks up to the next column that is a multiple of `tabsize`.
fn without_tabs(text: &str, args: &Given<'_>) -> String {
    let size = args.get(0, "tabsize").and_then(|size| size.as_int());
    let size = usize::try_from(size.unwrap_or(8).min(1000)).unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for letter in text.chars() {
        match letter {
            '\t' if size == 0 => {}
            '\t' => {
                let blanks = size - column % size;
                out.push_str(&" ".repeat(blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                out.push(letter);
                column = 0;
            }
            letter => {
                out.push(letter);
                column += 1;
            }
        }
    }
    out
}

fn padded(text: &str, name: &str, args: &Given<'_>) -> Eval<String> {
    let Some(width) = args.need(0, "width", name)?.as_int() else {
        return type_fault(format!("{name} needs a whole number"));
    };
    let filler = match args.get(1, "fillchar") {
        Some(filler) => filler.as_str(name)?.to_owned(),
        None => " ".to_owned(),
    };
    let missing = usize::try_from(width.min(MAX_WIDTH))
        .unwrap_or(0)
        .saturating_sub(text.chars().count());
    Ok(match name {
        "ljust" => text.to_owned() + &filler.repeat(missing),
        "rjust" => filler.repeat(missing) + text,
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        _ => {
            let left = missing / 2 + (missing & usize::try_from(width).unwrap_or(0) & 1);
            filler.repeat(left) + text + &filler.repeat(missing - left)
        }
    })
}

/// `str.format` with plain fields: `{}`, `{0}`, `{name}`.
fn format<'a>(text: &str, args: &Given<'a>) -> Eval<String> {
    let mut next = 0;
    format_by(text, |field| match field.parse::<usize>() {
        Ok(at) => args.positional.get(at).cloned(),
        Err(_) if field.is_empty() => {
            next += 1;
            args.positional.get(next - 1).cloned()
        }
        Err(_) => args.get(usize::MAX, field),
    })
}

/// The same with what gives the value of a field.
fn format_by<'a>(text: &str, mut value_of: impl FnMut(&str) -> Option<Val<'a>>) -> Eval<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let Some(end) = rest.find('}').filter(|_| brace == "{") else {
            return other_fault("a brace of the format stands alone");
        };
        let (field, spec) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
        let Some(value) = value_of(field) else {
            return other_fault(format!("there is no value for `{field}` of the format"));
        };
        out.push_str(&with_spec(&value, spec)?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// `[[fill]align][sign][#][0][width][,][.precision][type]`.
fn with_spec(value: &Val<'_>, spec: &str) -> Eval<String> {
    if spec.is_empty() {
        return Ok(value.to_text().into_owned());
    }
    let letters: Vec<char> = spec.chars().collect();
    let is_align = |at: usize| {
        let letter = letters.get(at).copied();
        letter.filter(|letter| "<>^=".contains(*letter))
    };
    let (mut fill, mut align, mut at) = match (is_align(1), is_align(0)) {
        (Some(align), _) => (letters[0], Some(align), 2),
        (None, Some(align)) => (' ', Some(align), 1),
        (None, None) => (' ', None, 0),
    };
    let mut take = |wanted: &str| {
        let from = at;
        while letters
            .get(at)
            .is_some_and(|letter| wanted.contains(*letter))
        {
            at += 1;
        }
        letters[from..at].iter().collect::<String>()
    };
    let sign = take("+- #");
    let width = take("0123456789");
    let separator = take(",_");
    let precision = take(".0123456789");
    let kind = take("sdfFxXoeEgG%");
    if at < letters.len() || kind.len() > 1 {
        return other_fault(format!("the format `{spec}` is not supported"));
    }
    let is_number = value.as_float().is_some() && kind != "s";
    if width.starts_with('0') && align.is_none() && is_number {
        (fill, align) = ('0', Some('='));
    }
    let text = body_of(value, &sign, &precision, &kind, is_number)?;
    let text = match separator.chars().next() {
        Some(separator) if is_number => grouped(&text, separator),
        _ => text,
    };
    let width = width.parse::<usize>().unwrap_or(0).min(1000);
    let missing = width.saturating_sub(text.chars().count());
    let pad = |count: usize| String::from(fill).repeat(count);
    Ok(match align.unwrap_or(if is_number { '>' } else { '<' }) {
        '<' => text + &pad(missing),
        '^' => pad(missing / 2) + &text + &pad(missing - missing / 2),
        '=' => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+', ' '])));
            format!("{sign}{}{digits}", pad(missing))
        }
        _ => pad(missing) + &text,
    })
}

/// A value without padding and separators.
fn body_of(
    value: &Val<'_>,
    sign: &str,
    precision: &str,
    kind: &str,
    is_number: bool,
) -> Eval<String> {
    let plain = kind.is_empty() && (!is_number || precision.is_empty());
    let kind = match kind {
        "" if plain => "s",
        "" => return other_fault("a precision without a letter is not supported in a format"),
        "%" => {
            let percent = value.as_float().unwrap_or(0.0) * 100.0;
            let places = precision.trim_start_matches('.').parse().unwrap_or(6);
            return Ok(format!("{percent:.places$}%"));
        }
        kind => kind,
    };
    let sign = if is_number { sign } else { "" };
    super::printf::format(
        &format!("%{sign}{precision}{kind}"),
        &Val::Tuple(Rc::new(vec![value.clone()])),
    )
}

/// The whole part in groups of three digits.
fn grouped(text: &str, separator: char) -> String {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let digits = whole.trim_start_matches(['-', '+', ' ']);
    let mut out = whole[..whole.len() - digits.len()].to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out + rest
}
