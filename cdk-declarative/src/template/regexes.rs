//! Regular expressions with Python's meaning.

use std::cell::RefCell;
use std::collections::HashMap;

use fancy_regex::{Captures, Regex};

use super::eval::Given;
use super::value::{Eval, Fault, Val};

/// Templates use few expressions; more than that are computed ones, which are not kept.
const MAX_KEPT: usize = 64;

thread_local! {
    static KEPT: RefCell<HashMap<String, Regex>> = RefCell::default();
}

pub(super) fn apply(name: &str, value: &Val<'_>, args: &Given<'_>) -> Eval<String> {
    let text = value.as_str(name)?;
    let pattern = args.need(0, "regex", name)?;
    let regex = compiled(pattern.as_str(name)?)?;
    if name == "regex_search" {
        let found = regex.captures(text).map_err(fault)?;
        let group = found.and_then(|found| found.get(1).map(|group| group.as_str().to_owned()));
        return Ok(group.unwrap_or_default());
    }
    let replacement = args.need(1, "replacement", name)?;
    let replacement = replacement.as_str(name)?.to_owned();
    let replaced = regex.try_replacen(text, 0, |found: &Captures<'_, str>| {
        expanded(&replacement, found)
    });
    Ok(replaced.map_err(fault)?.into_owned())
}

#[allow(clippy::needless_pass_by_value)] // goes into `map_err`
fn fault(error: fancy_regex::Error) -> Fault {
    Fault::Other(format!("the regular expression fails: {error}"))
}

fn compiled(pattern: &str) -> Eval<Regex> {
    KEPT.with_borrow_mut(|kept| {
        if let Some(regex) = kept.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Regex::new(pattern).map_err(fault)?;
        if kept.len() < MAX_KEPT {
            kept.insert(pattern.to_owned(), regex.clone());
        }
        Ok(regex)
    })
}

/// Python's replacement text: `\1`, `\g<1>`, `\g<name>`, `\n`.
fn expanded(replacement: &str, found: &Captures<'_, str>) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.push_str(rest[..digits].parse().map_or("", group));
            rest = &rest[digits..];
        } else if let Some((name, after)) = rest
            .strip_prefix("g<")
            .and_then(|rest| rest.split_once('>'))
        {
            out.push_str(match name.parse() {
                Ok(at) => group(at),
                Err(_) => found.name(name).map_or("", |group| group.as_str()),
            });
            rest = after;
        } else if let Some(letter) = rest.chars().next() {
            out.push(match letter {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            });
            rest = &rest[letter.len_utf8()..];
        }
    }
    out.push_str(rest);
    out
}
