//! Paths into JSON trees by the rules of Python's `dpath`: keys, list indices, globs, creation of what is missing.

use serde_json::{Map, Value};

/// One step of a path.
type Step<'a> = &'a str;

/// True when a path has to be matched against every branch instead of being followed.
pub(crate) fn has_globs(path: &[String]) -> bool {
    path.iter().any(|step| is_glob(step))
}

pub(crate) fn is_glob(step: &str) -> bool {
    step.contains(['*', '?', '['])
}

/// The value at a path; with globs the first match.
pub(crate) fn get<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    if has_globs(path) {
        return values(value, path).into_iter().next();
    }
    path.iter()
        .try_fold(value, |value, step| child(value, step))
}

fn child<'a>(value: &'a Value, step: Step<'_>) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(step),
        Value::Array(items) => items.get(index(items.len(), step)?),
        _ => None,
    }
}

/// A list index; negative ones count from the end.
fn index(len: usize, step: Step<'_>) -> Option<usize> {
    let number: i64 = step.parse().ok()?;
    let number = match number {
        negative @ i64::MIN..0 => i64::try_from(len).ok()?.checked_add(negative)?,
        number => number,
    };
    usize::try_from(number).ok().filter(|at| *at < len)
}

/// All values a path with globs matches, parents before children, level by level below each parent.
pub(crate) fn values<'a>(value: &'a Value, path: &[String]) -> Vec<&'a Value> {
    let mut found = Vec::new();
    collect(value, path, &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &[String], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = path.split_first() else {
        return found.push(value);
    };
    if step == "**" {
        collect(value, rest, found);
        for child in children(value) {
            collect(child.1, path, found);
        }
        return;
    }
    for (key, child) in children(value) {
        if key == *step || (is_glob(step) && glob(step, &key)) {
            collect(child, rest, found);
        }
    }
}

fn children(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, value)| (at.to_string(), value))
            .collect(),
        _ => Vec::new(),
    }
}

/// Sets a value, creating objects (or arrays, before a numeric step) on the way. False when a scalar is in the way.
pub(crate) fn set(value: &mut Value, path: &[String], new: Value) -> bool {
    let Some((step, rest)) = path.split_first() else {
        *value = new;
        return true;
    };
    match slot(value, step) {
        Some(slot) => fill(slot, rest, new),
        None => false,
    }
}

/// The same where null stands for what is missing.
pub(crate) fn fill(slot: &mut Value, path: &[String], new: Value) -> bool {
    if let Some(next) = path.first()
        && slot.is_null()
    {
        let is_index = !next.is_empty() && next.bytes().all(|byte| byte.is_ascii_digit());
        *slot = if is_index {
            Value::Array(Vec::new())
        } else {
            Value::Object(Map::new())
        };
    }
    set(slot, path, new)
}

/// Replaces what a path leads to (all matches of globs); false when there is nothing.
pub(crate) fn replace(value: &mut Value, path: &[String], new: &Value) -> bool {
    let Some((step, rest)) = path.split_first() else {
        *value = new.clone();
        return true;
    };
    let mut has_replaced = false;
    for key in matching_keys(value, step) {
        if let Some(child) = child_mut(value, &key) {
            has_replaced |= replace(child, rest, new);
        }
    }
    has_replaced
}

fn slot<'a>(value: &'a mut Value, step: Step<'_>) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => Some(map.entry(step.to_owned()).or_insert(Value::Null)),
        Value::Array(items) => {
            let at: usize = step.parse().ok().filter(|at| *at < 1 << 20)?;
            if items.len() <= at {
                items.resize(at + 1, Value::Null);
            }
            items.get_mut(at)
        }
        _ => None,
    }
}

/// Removes what a path leads to (all matches of globs); list items become null or go when last.
pub(crate) fn remove(value: &mut Value, path: &[String]) {
    remove_if(value, path, &mut |_| true);
}

/// Removes those of the values a path leads to that `may_remove` agrees to.
pub(crate) fn remove_if(
    value: &mut Value,
    path: &[String],
    may_remove: &mut impl FnMut(&Value) -> bool,
) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    if step == "**" {
        // Any number of steps, none included.
        remove_if(value, rest, may_remove);
        for key in matching_keys(value, step).iter().rev() {
            if let Some(child) = child_mut(value, key) {
                remove_if(child, path, may_remove);
            }
            if rest.is_empty() && child_mut(value, key).is_some_and(|child| may_remove(child)) {
                remove_key(value, key);
            }
        }
        return;
    }
    // Backwards, so that list items at the end go one after the other.
    for key in matching_keys(value, step).iter().rev() {
        let Some(child) = child_mut(value, key) else {
            continue;
        };
        if !rest.is_empty() {
            remove_if(child, rest, may_remove);
        } else if may_remove(child) {
            remove_key(value, key);
        }
    }
}

/// Removes all leaves (texts, numbers, flags and nulls at any depth) that `may_remove` agrees to.
pub(crate) fn remove_leaves(value: &mut Value, may_remove: &mut impl FnMut(&Value) -> bool) {
    for key in matching_keys(value, "*").iter().rev() {
        let Some(child) = child_mut(value, key) else {
            continue;
        };
        if matches!(child, Value::Object(_) | Value::Array(_)) {
            remove_leaves(child, may_remove);
        } else if may_remove(child) {
            remove_key(value, key);
        }
    }
}

fn matching_keys(value: &Value, step: Step<'_>) -> Vec<String> {
    if !is_glob(step) {
        return match child(value, step) {
            Some(_) => vec![step.to_owned()],
            None => Vec::new(),
        };
    }
    let keys = children(value).into_iter().map(|(key, _)| key);
    keys.filter(|key| key == step || step == "**" || glob(step, key))
        .collect()
}

fn child_mut<'a>(value: &'a mut Value, step: Step<'_>) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => {
            let at = index(items.len(), step)?;
            items.get_mut(at)
        }
        _ => None,
    }
}

fn remove_key(value: &mut Value, key: &str) {
    match value {
        Value::Object(map) => drop(map.shift_remove(key)),
        Value::Array(items) => {
            let Some(at) = index(items.len(), key) else {
                return;
            };
            if at + 1 == items.len() {
                items.pop();
            } else if let Some(item) = items.get_mut(at) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

/// Matches by the rules of Python's `fnmatch`, case-sensitive.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    glob_chars(&pattern, &text)
}

fn glob_chars(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|from| glob_chars(rest, &text[from..])),
        Some(('?', rest)) => !text.is_empty() && glob_chars(rest, &text[1..]),
        Some(('[', rest)) => match class(rest) {
            Some((class, after)) => match text.split_first() {
                Some((first, text)) => in_class(class, *first) && glob_chars(after, text),
                None => false,
            },
            None => text.first() == Some(&'[') && glob_chars(rest, &text[1..]),
        },
        Some((literal, rest)) => text.first() == Some(literal) && glob_chars(rest, &text[1..]),
    }
}

/// The inside of a `[…]` and what follows it.
fn class(pattern: &[char]) -> Option<(&[char], &[char])> {
    let skip = match pattern {
        ['!', ']', ..] => 2,
        [']' | '!', ..] => 1,
        _ => 0,
    };
    let end = pattern.iter().skip(skip).position(|c| *c == ']')? + skip;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn in_class(class: &[char], c: char) -> bool {
    let (is_negated, class) = match class.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut at = 0;
    let mut is_in = false;
    while at < class.len() {
        if at + 2 < class.len() && class[at + 1] == '-' {
            is_in |= class[at] <= c && c <= class[at + 2];
            at += 3;
        } else {
            is_in |= class[at] == c;
            at += 1;
        }
    }
    is_in != is_negated
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn steps_are_keys_or_indices() {
        let value = json!({"a": {"0": "key"}, "b": [1, {"c": 2}]});
        assert_eq!(get(&value, &path("a/0")), Some(&json!("key")));
        assert_eq!(get(&value, &path("b/1/c")), Some(&json!(2)));
        assert_eq!(get(&value, &path("b/-1/c")), Some(&json!(2)));
        assert_eq!(get(&value, &path("b/x")), None);
        assert_eq!(get(&value, &path("a/0/x")), None);
        assert_eq!(get(&value, &[]), Some(&value));
    }

    #[test]
    fn globs_match_keys_of_one_level_and_two_stars_any_number() {
        let value = json!({"x1": {"id": 1}, "x2": {"id": 2}, "y": [{"id": 3}]});
        assert_eq!(values(&value, &path("x*/id")), [&json!(1), &json!(2)]);
        assert_eq!(values(&value, &path("*/id")), [&json!(1), &json!(2)]);
        assert_eq!(values(&value, &path("**/id")).len(), 3);
        assert_eq!(values(&value, &path("x[!1]/id")), [&json!(2)]);
    }

    #[test]
    fn setting_creates_objects_and_extends_arrays() {
        let mut value = json!({"list": ["a"]});
        assert!(set(&mut value, &path("list/3"), json!("d")));
        assert!(set(&mut value, &path("new/0/deep"), json!(1)));
        assert_eq!(
            value,
            json!({"list": ["a", null, null, "d"], "new": [{"deep": 1}]})
        );
        assert!(!set(&mut value, &path("list/0/x"), json!(1)));
    }

    #[test]
    fn removing_takes_all_matches() {
        let mut value =
            json!({"a": 1, "b": {"a": null, "c": 2}, "d": [1, 2], "e": [{"a": 1}, {"a": 2}]});
        remove(&mut value, &path("b/*"));
        remove(&mut value, &path("d/1"));
        remove(&mut value, &path("nope/x"));
        remove(&mut value, &path("e/*/a"));
        assert_eq!(value, json!({"a": 1, "b": {}, "d": [1], "e": [{}, {}]}));
        remove(&mut value, &path("e/*"));
        assert_eq!(value, json!({"a": 1, "b": {}, "d": [1], "e": []}));
    }

    #[test]
    fn two_stars_remove_at_any_depth() {
        let mut value = json!({"x": 1, "a": {"x": 2, "b": [{"x": 3, "y": 4}]}});
        remove(&mut value, &path("**/x"));
        assert_eq!(value, json!({"a": {"b": [{"y": 4}]}}));
        remove(&mut value, &path("a/**"));
        assert_eq!(value, json!({"a": {}}));
    }

    #[test]
    fn leaves_are_removed_wherever_they_are() {
        let mut value = json!({"a": null, "b": {"c": null, "d": 1}, "e": [null, 2, null], "f": {}});
        remove_leaves(&mut value, &mut |value| value.is_null());
        assert_eq!(value, json!({"b": {"d": 1}, "e": [null, 2], "f": {}}));
    }
}
