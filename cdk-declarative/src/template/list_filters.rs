//! Filters of lists and dicts.

use std::cmp::Ordering;
use std::rc::Rc;

use super::eval::Given;
use super::value::{Eval, Fault, Val, other_fault};
use super::{access, ops, tests};

/// More parts than this are a mistake of the manifest.
const MAX_SLICES: usize = 1 << 16;

pub(super) fn nothing<'a>() -> Val<'a> {
    Val::undefined("there is no item")
}

pub(super) fn pair<'a>((key, value): (Val<'a>, Val<'a>)) -> Val<'a> {
    Val::Tuple(Rc::new(vec![key, value]))
}

pub(super) fn join<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let separator = args.get(0, "d").unwrap_or(Val::text(""));
    let separator = separator.to_text();
    let mut out = String::new();
    for (at, item) in value.items()?.iter().enumerate() {
        if at > 0 {
            out.push_str(&separator);
        }
        out.push_str(&by_attribute(item, args.get(1, "attribute").as_ref())?.to_text());
    }
    Ok(Val::text(out))
}

/// The item itself, or what a dotted attribute of it leads to.
pub(super) fn by_attribute<'a>(item: &Val<'a>, attribute: Option<&Val<'a>>) -> Eval<Val<'a>> {
    let Some(attribute) = attribute else {
        return Ok(item.clone());
    };
    if attribute.as_int().is_some() {
        return access::item(item, attribute);
    }
    let mut found = item.clone();
    for part in attribute.to_text().split('.') {
        let key = match part.parse::<i128>() {
            Ok(index) => Val::Int(index),
            Err(_) => Val::text(part.to_owned()),
        };
        found = access::item(&found.defined()?, &key)?;
    }
    Ok(found)
}

pub(super) fn select<'a>(
    value: &Val<'a>,
    args: &Given<'a>,
    keeps: bool,
    has_attribute: bool,
) -> Eval<Val<'a>> {
    let mut given = args.positional.iter();
    let attribute = if has_attribute {
        match given.next() {
            Some(attribute) => Some(attribute),
            None => return other_fault("an attribute is missing"),
        }
    } else {
        None
    };
    let test = match given.next() {
        Some(name) => Some(tests::Test::of(name.as_str("select")?).map_err(Fault::Other)?),
        None => None,
    };
    let rest = Given {
        positional: given.cloned().collect(),
        named: Vec::new(),
    };
    let mut kept = Vec::new();
    if !value.is_true() {
        return Ok(Val::list(kept));
    }
    for item in value.items()? {
        let tested = by_attribute(&item, attribute)?;
        let holds = match test {
            Some(test) => tests::holds(test, &tested, &rest)?,
            None => tested.is_true(),
        };
        if holds == keeps {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

/// The items in order; a fault when two of them have none.
pub(super) fn sorted(mut items: Vec<Val<'_>>) -> Eval<Vec<Val<'_>>> {
    let mut fault = None;
    items.sort_by(|a, b| order(a, b, &mut fault));
    fault.map_or(Ok(items), Err)
}

fn order(a: &Val<'_>, b: &Val<'_>, fault: &mut Option<Fault>) -> Ordering {
    match ops::compare(a, b) {
        Ok(order) => order.unwrap_or(Ordering::Equal),
        Err(found) => {
            fault.get_or_insert(found);
            Ordering::Equal
        }
    }
}

/// What items are compared by: themselves or an attribute, without regard to case unless told so.
fn comparable<'a>(item: &Val<'a>, attribute: Option<&Val<'a>>, keeps_case: bool) -> Eval<Val<'a>> {
    Ok(match by_attribute(item, attribute)? {
        Val::Str(text) if !keeps_case => Val::text(text.to_lowercase()),
        other => other,
    })
}

fn flag(args: &Given<'_>, at: usize, name: &str) -> bool {
    args.get(at, name).is_some_and(|flag| flag.is_true())
}

/// Keyed items by their keys; those that are equal stay in their order, also in reverse.
fn by_keys<'a, T>(mut keyed: Vec<(Val<'a>, T)>, is_reverse: bool) -> Eval<Vec<T>> {
    let mut fault = None;
    keyed.sort_by(|a, b| match is_reverse {
        true => order(&b.0, &a.0, &mut fault),
        false => order(&a.0, &b.0, &mut fault),
    });
    match fault {
        Some(fault) => Err(fault),
        None => Ok(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}

pub(super) fn sort<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let keeps_case = flag(args, 1, "case_sensitive");
    let attribute = args.get(2, "attribute");
    // Several attributes stand in one text.
    let attributes: Vec<Val<'a>> = match &attribute {
        Some(Val::Str(names)) => {
            let names = names.split(',');
            names.map(|name| Val::text(name.to_owned())).collect()
        }
        other => other.iter().cloned().collect(),
    };
    let mut keyed = Vec::new();
    for item in value.items()? {
        let keys = attributes.iter();
        let keys = keys.map(|attribute| comparable(&item, Some(attribute), keeps_case));
        let key = match attributes.is_empty() {
            true => comparable(&item, None, keeps_case)?,
            false => Val::Tuple(Rc::new(keys.collect::<Eval<_>>()?)),
        };
        keyed.push((key, item));
    }
    by_keys(keyed, flag(args, 0, "reverse")).map(Val::list)
}

pub(super) fn extreme<'a>(value: &Val<'a>, args: &Given<'a>, is_max: bool) -> Eval<Val<'a>> {
    let keeps_case = flag(args, 0, "case_sensitive");
    let attribute = args.get(1, "attribute");
    let wanted = if is_max {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut best: Option<(Val<'a>, Val<'a>)> = None;
    for item in value.items()? {
        let key = comparable(&item, attribute.as_ref(), keeps_case)?;
        let is_better = match &best {
            None => true,
            Some((found, _)) => ops::compare(&key, found)? == Some(wanted),
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(nothing, |(_, item)| item))
}

pub(super) fn unique<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let keeps_case = flag(args, 0, "case_sensitive");
    let attribute = args.get(1, "attribute");
    let mut kept: Vec<(Val<'a>, Val<'a>)> = Vec::new();
    for item in value.items()? {
        let key = comparable(&item, attribute.as_ref(), keeps_case)?;
        if !kept.iter().any(|(known, _)| known.equals(&key)) {
            kept.push((key, item));
        }
    }
    Ok(Val::list(kept.into_iter().map(|(_, item)| item).collect()))
}

pub(super) fn sum<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let attribute = args
        .get(0, "attribute")
        .filter(|attribute| !matches!(attribute, Val::None));
    let mut total = args.get(1, "start").unwrap_or(Val::Int(0));
    for item in value.items()? {
        total = ops::binary(
            ops::Op::Add,
            total,
            by_attribute(&item, attribute.as_ref())?,
        )?;
    }
    Ok(total)
}

pub(super) fn reverse<'a>(value: &Val<'a>) -> Eval<Val<'a>> {
    if let Val::Str(text) = value {
        return Ok(Val::text(text.chars().rev().collect::<String>()));
    }
    let mut items = value.items()?;
    items.reverse();
    Ok(Val::list(items))
}

pub(super) fn batch<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let size = args.need(0, "linecount", "batch")?.as_int().unwrap_or(0);
    let size = match usize::try_from(size) {
        Ok(size) if size > 0 => size,
        _ => return other_fault("batch needs a size above 0"),
    };
    let filler = args.get(1, "fill_with").filter(|filler| !filler.is_none());
    let items = value.items()?;
    let parts = items.chunks(size).map(|part| {
        let mut part = part.to_vec();
        if let Some(filler) = &filler {
            part.resize(size, filler.clone());
        }
        Val::list(part)
    });
    Ok(Val::list(parts.collect()))
}

/// So many parts of about the same length, the longer ones first.
pub(super) fn slice<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let count = args.need(0, "slices", "slice")?.as_int().unwrap_or(0);
    let count = match usize::try_from(count) {
        Ok(count @ 1..=MAX_SLICES) => count,
        _ => return other_fault(format!("slice makes 1 to {MAX_SLICES} parts")),
    };
    let filler = args.get(1, "fill_with").filter(|filler| !filler.is_none());
    let mut items = value.items()?.into_iter();
    let (short, longer) = (items.len() / count, items.len() % count);
    let parts = (0..count).map(|at| {
        let length = short + usize::from(at < longer);
        let mut part: Vec<_> = items.by_ref().take(length).collect();
        if let Some(filler) = filler.clone().filter(|_| at >= longer) {
            part.push(filler);
        }
        Val::list(part)
    });
    Ok(Val::list(parts.collect()))
}

pub(super) fn groupby<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let attribute = args.need(0, "attribute", "groupby")?;
    let mut groups: Vec<(Val<'a>, Vec<Val<'a>>)> = Vec::new();
    let by_key = Given {
        positional: vec![Val::Bool(false), Val::Bool(false), attribute.clone()],
        named: Vec::new(),
    };
    for item in sort(value, &by_key)?.items()? {
        let key = by_attribute(&item, Some(&attribute))?.defined()?;
        match groups.last_mut().filter(|(last, _)| last.equals(&key)) {
            Some((_, items)) => items.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    Ok(Val::list(
        groups
            .into_iter()
            .map(|(key, items)| pair((key, Val::list(items))))
            .collect(),
    ))
}

pub(super) fn dictsort<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let Some(entries) = value.entries() else {
        return other_fault(format!("'{}' object has no items", value.type_name()));
    };
    let keeps_case = flag(args, 0, "case_sensitive");
    let by = args.get(1, "by").map(|by| by.to_text().into_owned());
    let by_value = match by.as_deref() {
        None | Some("key") => false,
        Some("value") => true,
        Some(_) => return other_fault("dictsort sorts by `key` or `value`"),
    };
    let keyed = entries.into_iter().map(|entry| {
        let key = if by_value { &entry.1 } else { &entry.0 };
        Ok((comparable(key, None, keeps_case)?, entry))
    });
    let sorted = by_keys(keyed.collect::<Eval<_>>()?, flag(args, 2, "reverse"))?;
    Ok(Val::list(sorted.into_iter().map(pair).collect()))
}
