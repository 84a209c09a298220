//! Filters: Jinja's own, and those of the Python CDK.

use std::rc::Rc;

use super::eval::{Evaluator, Given};
use super::functions::{quote, quote_plus};
use super::value::{Eval, Val, other_fault, type_fault};
use super::{access, digests, ops, tests, text_filters};
use crate::python::{float_of_text, int_of_text, json_dumps, json_dumps_indented};

/// A filter, by its name in templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter(&'static str);

const NAMES: [&str; 56] = [
    "abs",
    "attr",
    "base64binascii_decode",
    "base64decode",
    "base64encode",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "format",
    "hash",
    "hmac",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "regex_replace",
    "regex_search",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "forceescape",
    "pprint",
    "groupby",
];

/// More parts than this are a mistake of the manifest.
const MAX_SLICES: usize = 1 << 16;

impl Filter {
    pub(crate) fn of(name: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|known| **known == name);
        known
            .map(|known| Self(known))
            .ok_or_else(|| format!("there is no filter `{name}`"))
    }
}

/// `value | filter(args)`.
pub(crate) fn apply<'a>(
    filter: Filter,
    value: Val<'a>,
    args: Given<'a>,
    evaluator: &mut Evaluator<'a>,
) -> Eval<Val<'a>> {
    let name = filter.0;
    match name {
        "default" | "d" => Ok(default(value, &args)),
        "int" => int(value, &args),
        "float" => float(value, &args),
        "length" | "count" => Ok(Val::Int(value.len()? as i128)),
        "list" => Ok(Val::list(value.items()?)),
        "join" => join(&value, &args),
        "first" => Ok(value.items()?.into_iter().next().unwrap_or_else(nothing)),
        "last" => Ok(value.items()?.pop().unwrap_or_else(nothing)),
        "map" => map(&value, args, evaluator),
        "select" => select(&value, &args, true, false),
        "reject" => select(&value, &args, false, false),
        "selectattr" => select(&value, &args, true, true),
        "rejectattr" => select(&value, &args, false, true),
        "sort" => sort(&value, &args),
        "max" | "min" => extreme(&value, &args, name == "max"),
        "unique" => unique(&value, &args),
        "sum" => sum(&value, &args),
        "reverse" => reverse(&value),
        "batch" => batch(&value, &args),
        "slice" => slice(&value, &args),
        "filesizeformat" => filesizeformat(&value, &args),
        "groupby" => groupby(&value, &args),
        "items" => match value.entries() {
            Some(entries) => Ok(Val::list(entries.into_iter().map(pair).collect())),
            None if matches!(value, Val::Undefined(_)) => Ok(Val::list(Vec::new())),
            None => type_fault("Can only get item pairs from a mapping."),
        },
        "dictsort" => dictsort(&value, &args),
        "attr" => {
            let key = args.need(0, "name", name)?;
            Ok(value.key(&key).unwrap_or_else(nothing))
        }
        "abs" => match value.defined()? {
            Val::Float(float) => Ok(Val::Float(float.abs())),
            other => match other.as_int() {
                Some(int) => Ok(Val::Int(int.abs())),
                None => type_fault("bad operand type for abs()"),
            },
        },
        "round" => round(&value, &args),
        "tojson" => tojson(&value, &args),
        "string" => string(value),
        "urlencode" => urlencode(&value),
        "format" => super::printf::format(&value.to_text(), &Val::Tuple(Rc::new(args.positional)))
            .map(Val::text),
        "hash" | "hmac" | "base64encode" | "base64decode" | "base64binascii_decode" => {
            digests::apply(name, &value, &args).map(Val::text)
        }
        "regex_search" | "regex_replace" => {
            super::regexes::apply(name, &value, &args).map(Val::text)
        }
        _ => text_filters::apply(name, &value, &args),
    }
}

fn nothing<'a>() -> Val<'a> {
    Val::undefined("there is no item")
}

fn pair<'a>((key, value): (Val<'a>, Val<'a>)) -> Val<'a> {
    Val::Tuple(Rc::new(vec![key, value]))
}

fn default<'a>(value: Val<'a>, args: &Given<'a>) -> Val<'a> {
    let also_false = args.get(1, "boolean").is_some_and(|flag| flag.is_true());
    if matches!(value, Val::Undefined(_)) || (also_false && !value.is_true()) {
        return args.get(0, "default_value").unwrap_or(Val::text(""));
    }
    value
}

fn int<'a>(value: Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let value = value.defined()?;
    let base = args
        .get(1, "base")
        .and_then(|base| base.as_int())
        .unwrap_or(10);
    let read = match &value {
        Val::Str(text) if base == 10 => int_of_text(text),
        Val::Str(text) => {
            let digits = text
                .trim()
                .trim_start_matches("0x")
                .trim_start_matches("0o")
                .trim_start_matches("0b");
            u32::try_from(base).ok().and_then(|base| match base {
                2..=36 => i128::from_str_radix(digits, base).ok(),
                _ => None,
            })
        }
        other => other.as_int(),
    };
    let truncated = || match &value {
        Val::Str(text) => float_of_text(text),
        other => other.as_float(),
    };
    let whole =
        |float: f64| (float.is_finite() && float.abs() < 1e38).then_some(float.trunc() as i128);
    match read.or_else(|| truncated().and_then(whole)) {
        Some(int) => Ok(Val::Int(int)),
        None => Ok(args.get(0, "default").unwrap_or(Val::Int(0))),
    }
}

fn float<'a>(value: Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let value = value.defined()?;
    let read = match &value {
        Val::Str(text) => float_of_text(text),
        other => other.as_float(),
    };
    Ok(read.map_or_else(
        || args.get(0, "default").unwrap_or(Val::Float(0.0)),
        Val::Float,
    ))
}

fn join<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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
fn by_attribute<'a>(item: &Val<'a>, attribute: Option<&Val<'a>>) -> Eval<Val<'a>> {
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

fn map<'a>(value: &Val<'a>, mut args: Given<'a>, evaluator: &mut Evaluator<'a>) -> Eval<Val<'a>> {
    if !value.is_true() {
        return Ok(Val::list(Vec::new()));
    }
    let items = value.items()?;
    let attribute = args.get(usize::MAX, "attribute");
    let mut mapped = Vec::with_capacity(items.len());
    if attribute.is_some() {
        let default = args.get(usize::MAX, "default");
        for item in &items {
            mapped.push(match (by_attribute(item, attribute.as_ref())?, &default) {
                (Val::Undefined(_), Some(default)) => default.clone(),
                (found, _) => found,
            });
        }
        return Ok(Val::list(mapped));
    }
    if args.positional.is_empty() {
        return other_fault("map needs a filter or an attribute");
    }
    let name = args.positional.remove(0);
    let filter = Filter::of(name.as_str("map")?).map_err(super::value::Fault::Other)?;
    for item in items {
        let args = Given {
            positional: args.positional.clone(),
            named: args.named.clone(),
        };
        mapped.push(apply(filter, item, args, evaluator)?);
    }
    Ok(Val::list(mapped))
}

fn select<'a>(
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
        Some(name) => {
            Some(tests::Test::of(name.as_str("select")?).map_err(super::value::Fault::Other)?)
        }
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
pub(crate) fn sorted(mut items: Vec<Val<'_>>) -> Eval<Vec<Val<'_>>> {
    let mut fault = None;
    items.sort_by(|a, b| order(a, b, &mut fault));
    fault.map_or(Ok(items), Err)
}

fn order(a: &Val<'_>, b: &Val<'_>, fault: &mut Option<super::value::Fault>) -> std::cmp::Ordering {
    match ops::compare(a, b) {
        Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
        Err(found) => {
            fault.get_or_insert(found);
            std::cmp::Ordering::Equal
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

fn sort<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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

fn extreme<'a>(value: &Val<'a>, args: &Given<'a>, is_max: bool) -> Eval<Val<'a>> {
    let keeps_case = flag(args, 0, "case_sensitive");
    let attribute = args.get(1, "attribute");
    let wanted = if is_max {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Less
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

fn unique<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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

fn sum<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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

fn reverse<'a>(value: &Val<'a>) -> Eval<Val<'a>> {
    if let Val::Str(text) = value {
        return Ok(Val::text(text.chars().rev().collect::<String>()));
    }
    let mut items = value.items()?;
    items.reverse();
    Ok(Val::list(items))
}

fn batch<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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
fn slice<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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

/// `1.5 MB`, or `1.4 MiB` if `binary`.
fn filesizeformat<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let text = value.to_text();
    let number = match value {
        Val::Str(text) => float_of_text(text),
        other => match other.clone().defined()?.as_float() {
            None => return type_fault("filesizeformat needs a number"),
            number => number,
        },
    };
    let Some(bytes) = number else {
        return other_fault(format!("could not convert string to float: '{text}'"));
    };
    let (base, infix) = match args.get(0, "binary").is_some_and(|flag| flag.is_true()) {
        true => (1024.0, "i"),
        false => (1000.0, ""),
    };
    if bytes == 1.0 {
        return Ok(Val::text("1 Byte"));
    }
    if bytes < base {
        return Ok(Val::text(format!("{} Bytes", bytes.trunc())));
    }
    let prefixes = match infix {
        "" => ["k", "M", "G", "T", "P", "E", "Z", "Y"],
        _ => ["K", "M", "G", "T", "P", "E", "Z", "Y"],
    };
    let mut size = bytes / base;
    let mut prefixes = prefixes.into_iter().peekable();
    let mut prefix = "";
    while let Some(next) = prefixes.next() {
        prefix = next;
        if size < base || prefixes.peek().is_none() {
            break;
        }
        size /= base;
    }
    Ok(Val::text(format!("{size:.1} {prefix}{infix}B")))
}

fn groupby<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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

fn dictsort<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
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

fn round<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let Some(float) = value.as_float() else {
        return type_fault("round needs a number");
    };
    let precision = args
        .get(0, "precision")
        .and_then(|precision| precision.as_int())
        .unwrap_or(0);
    let precision = precision.clamp(-300, 300) as i32;
    let scale = 10_f64.powi(precision);
    let method = args
        .get(1, "method")
        .map(|method| method.to_text().into_owned());
    let rounded = match method.as_deref() {
        Some("ceil") => (float * scale).ceil() / scale,
        Some("floor") => (float * scale).floor() / scale,
        // The shortest text of the exact value decides, as Python's `round` does.
        _ if precision >= 0 => format!("{float:.*}", precision as usize)
            .parse()
            .unwrap_or(float),
        _ => (float * scale).round_ties_even() / scale,
    };
    let is_common = method.as_deref().is_none_or(|method| method == "common");
    Ok(match value.as_int().filter(|_| is_common) {
        // Python keeps whole numbers whole.
        Some(int) if precision >= 0 => Val::Int(int),
        Some(_) => Val::Int(rounded as i128),
        None => Val::Float(rounded),
    })
}

fn tojson<'a>(value: &Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
    let Some(json) = value.to_json() else {
        return type_fault(format!(
            "Object of type {} is not JSON serializable",
            value.type_name()
        ));
    };
    let indent = args.get(0, "indent").and_then(|indent| indent.as_int());
    let text = match indent.map(|indent| usize::try_from(indent.min(1000)).unwrap_or(0)) {
        Some(indent) => json_dumps_indented(&json, indent),
        None => json_dumps(&json, (", ", ": "), true),
    };
    let text = text
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    Ok(Val::text(text.replace('\'', "\\u0027")))
}

/// The CDK's `string`: other values become JSON in three quotes, so that they stay texts.
fn string<'a>(value: Val<'a>) -> Eval<Val<'a>> {
    match value {
        Val::Str(_) => Ok(value),
        other => match other.to_json() {
            Some(json) => Ok(Val::text(format!(
                "\"\"\"{}\"\"\"",
                json_dumps(&json, (", ", ": "), false)
            ))),
            None => type_fault(format!(
                "Object of type {} is not JSON serializable",
                other.type_name()
            )),
        },
    }
}

fn urlencode<'a>(value: &Val<'a>) -> Eval<Val<'a>> {
    if let Val::Str(text) = value {
        return Ok(Val::text(quote(text, "/")));
    }
    let pairs = match value.entries() {
        Some(entries) => entries,
        None if ops::is_list(value) => {
            let mut pairs = Vec::new();
            for item in value.items()? {
                match item.items()?.as_slice() {
                    [key, value] => pairs.push((key.clone(), value.clone())),
                    _ => return other_fault("urlencode needs pairs"),
                }
            }
            pairs
        }
        None => return Ok(Val::text(quote(&value.to_text(), "/"))),
    };
    let pairs = pairs.iter().map(|(key, value)| {
        format!(
            "{}={}",
            quote_plus(&key.to_text()),
            quote_plus(&value.to_text())
        )
    });
    Ok(Val::text(pairs.collect::<Vec<_>>().join("&")))
}
