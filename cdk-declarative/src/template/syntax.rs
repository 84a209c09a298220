//! The syntax tree of a template: minijinja parses, and its tree is copied to one that owns its texts.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::{self, ast};
use minijinja::value::ValueKind;
use serde_json::{Number, Value};

use super::filters::Filter;
use super::functions::Function;
use super::methods;
use super::ops::Op;
use super::tests::Test;

/// A statement.
#[derive(Debug, Clone)]
pub(crate) enum Stmt {
    Raw(String),
    Emit(Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    For(Box<For>),
    Set(Target, Expr),
    /// `{% set x %}…{% endset %}`, through a filter if there is one.
    SetBlock(Target, Option<(Filter, Args)>, Vec<Stmt>),
    /// `{% filter upper %}…{% endfilter %}`.
    FilterBlock(Filter, Args, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
}

#[derive(Debug, Clone)]
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) items: Expr,
    pub(crate) filter: Option<Expr>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) otherwise: Vec<Stmt>,
}

/// What a value is bound to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Name(String),
    /// A member of a `namespace()`.
    Member(String, String),
    Several(Vec<Target>),
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Const(Value),
    Var(String),
    Attr(Box<Expr>, String),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Filter(Filter, Option<Box<Expr>>, Args),
    Test(Test, Box<Expr>, Args),
    Call(Box<Expr>, Args),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
    In,
    NotIn,
}

/// The arguments of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(String, Expr)>,
}

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) body: Vec<Stmt>,
    /// The variables that the scope has to give, and what is read of each.
    pub(crate) variables: Variables,
}

type Variables = BTreeMap<String, Reads>;

/// What a template reads of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The members of these names, if they are there.
    Members(BTreeSet<String>),
    /// More than that.
    Whole,
}

impl Reads {
    fn note(&mut self, member: Option<&str>) {
        match (self, member) {
            (Self::Members(members), Some(member)) => drop(members.insert(member.to_owned())),
            (reads, None) => *reads = Self::Whole,
            (Self::Whole, Some(_)) => {}
        }
    }
}

/// Parses a template; the error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
    let parsed = match parse_text(text) {
        Ok(parsed) => Ok(parsed),
        // Jinja lets a colon end a statement, as Python does.
        Err(error) => match without_colons(text) {
            Some(text) => parse_text(&text).map_err(|_| error),
            None => Err(error),
        },
    };
    let mut parsed = parsed?;
    names_in(&parsed.body, &mut BTreeSet::new(), &mut parsed.variables);
    Ok(parsed)
}

fn parse_text(text: &str) -> Result<Parsed, String> {
    let tree =
        machinery::parse(text, "template", Default::default()).map_err(|error| {
            match error.detail() {
                Some(detail) => detail.to_owned(),
                None => error.kind().to_string(),
            }
        })?;
    let ast::Stmt::Template(template) = &tree else {
        return Err("not a template".to_owned());
    };
    Ok(Parsed {
        body: stmts(&template.children)?,
        variables: Variables::new(),
    })
}

fn without_colons(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("%}") {
        let before = rest[..at].trim_end_matches('-').trim_end();
        match before.strip_suffix(':') {
            Some(kept) => out.push_str(kept),
            None => out.push_str(&rest[..at]),
        }
        out.push_str(if rest[..at].ends_with('-') && before.ends_with(':') {
            " -%}"
        } else {
            "%}"
        });
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    (out.len() < text.len()).then_some(out)
}

fn stmts(list: &[ast::Stmt<'_>]) -> Result<Vec<Stmt>, String> {
    list.iter().map(stmt).collect()
}

fn stmt(stmt: &ast::Stmt<'_>) -> Result<Stmt, String> {
    Ok(match stmt {
        ast::Stmt::EmitRaw(raw) => Stmt::Raw(raw.raw.to_owned()),
        ast::Stmt::EmitExpr(emit) => Stmt::Emit(expr(&emit.expr)?),
        ast::Stmt::IfCond(cond) => Stmt::If(
            expr(&cond.expr)?,
            stmts(&cond.true_body)?,
            stmts(&cond.false_body)?,
        ),
        ast::Stmt::ForLoop(each) => Stmt::For(Box::new(For {
            target: target(&each.target)?,
            items: expr(&each.iter)?,
            filter: each.filter_expr.as_ref().map(expr).transpose()?,
            body: stmts(&each.body)?,
            otherwise: stmts(&each.else_body)?,
        })),
        ast::Stmt::Set(set) => Stmt::Set(target(&set.target)?, expr(&set.expr)?),
        ast::Stmt::SetBlock(set) => {
            let through = set.filter.as_ref().map(filter_of).transpose()?;
            Stmt::SetBlock(target(&set.target)?, through, stmts(&set.body)?)
        }
        ast::Stmt::FilterBlock(block) => {
            let (filter, args) = filter_of(&block.filter)?;
            Stmt::FilterBlock(filter, args, stmts(&block.body)?)
        }
        ast::Stmt::WithBlock(with) => {
            let bound = with
                .assignments
                .iter()
                .map(|(name, value)| Ok((target(name)?, expr(value)?)));
            Stmt::With(bound.collect::<Result<_, String>>()?, stmts(&with.body)?)
        }
        _ => return Err("this statement is not available in manifests".to_owned()),
    })
}

fn filter_of(filter: &ast::Expr<'_>) -> Result<(Filter, Args), String> {
    match filter {
        ast::Expr::Filter(filter) if filter.expr.is_none() => {
            Ok((Filter::of(filter.name)?, args(&filter.args)?))
        }
        _ => Err("only a single filter can stand here".to_owned()),
    }
}

fn target(expr: &ast::Expr<'_>) -> Result<Target, String> {
    match expr {
        ast::Expr::Var(var) => Ok(Target::Name(var.id.to_owned())),
        ast::Expr::GetAttr(attr) => match &attr.expr {
            ast::Expr::Var(var) => Ok(Target::Member(var.id.to_owned(), attr.name.to_owned())),
            _ => Err("only names and members of a namespace can be set".to_owned()),
        },
        ast::Expr::List(list) => list
            .items
            .iter()
            .map(target)
            .collect::<Result<_, _>>()
            .map(Target::Several),
        ast::Expr::Tuple(tuple) => tuple
            .items
            .iter()
            .map(target)
            .collect::<Result<_, _>>()
            .map(Target::Several),
        _ => Err("only names can be set".to_owned()),
    }
}

fn boxed(tree: &ast::Expr<'_>) -> Result<Box<Expr>, String> {
    expr(tree).map(Box::new)
}

fn expr(tree: &ast::Expr<'_>) -> Result<Expr, String> {
    Ok(match tree {
        ast::Expr::Var(var) => Expr::Var(var.id.to_owned()),
        ast::Expr::Const(constant) => Expr::Const(constant_value(&constant.value)?),
        ast::Expr::Slice(slice) => {
            let part = |part: &Option<ast::Expr<'_>>| part.as_ref().map(expr).transpose();
            let parts = [part(&slice.start)?, part(&slice.stop)?, part(&slice.step)?];
            Expr::Slice(boxed(&slice.expr)?, Box::new(parts))
        }
        ast::Expr::UnaryOp(unary) => match unary.op {
            ast::UnaryOpKind::Not => Expr::Not(boxed(&unary.expr)?),
            ast::UnaryOpKind::Neg => Expr::Neg(boxed(&unary.expr)?),
        },
        ast::Expr::BinOp(binary) => {
            let (left, right) = (boxed(&binary.left)?, boxed(&binary.right)?);
            binary_expr(binary.op, left, right)
        }
        ast::Expr::Compare(compare) => {
            let ops = compare
                .ops
                .iter()
                .map(|op| Ok((comparison(op.op), expr(&op.expr)?)));
            Expr::Compare(boxed(&compare.expr)?, ops.collect::<Result<_, String>>()?)
        }
        ast::Expr::IfExpr(cond) => {
            let otherwise = cond.false_expr.as_ref().map(boxed).transpose()?;
            Expr::If(boxed(&cond.test_expr)?, boxed(&cond.true_expr)?, otherwise)
        }
        ast::Expr::Filter(filter) => {
            let value = filter.expr.as_ref().map(boxed).transpose()?;
            Expr::Filter(Filter::of(filter.name)?, value, args(&filter.args)?)
        }
        ast::Expr::Test(test) => {
            Expr::Test(Test::of(test.name)?, boxed(&test.expr)?, args(&test.args)?)
        }
        ast::Expr::GetAttr(attr) => Expr::Attr(boxed(&attr.expr)?, attr.name.to_owned()),
        ast::Expr::GetItem(item) => Expr::Item(boxed(&item.expr)?, boxed(&item.subscript_expr)?),
        ast::Expr::Call(call) => Expr::Call(boxed(&call.expr)?, args(&call.args)?),
        ast::Expr::List(list) => Expr::List(list.items.iter().map(expr).collect::<Result<_, _>>()?),
        ast::Expr::Tuple(tuple) => {
            Expr::Tuple(tuple.items.iter().map(expr).collect::<Result<_, _>>()?)
        }
        ast::Expr::Map(map) => {
            let entries = map.keys.iter().zip(&map.values);
            let entries = entries.map(|(key, value)| Ok((expr(key)?, expr(value)?)));
            Expr::Dict(entries.collect::<Result<_, String>>()?)
        }
    })
}

fn binary_expr(op: ast::BinOpKind, left: Box<Expr>, right: Box<Expr>) -> Expr {
    use ast::BinOpKind as Kind;
    let compare =
        |comparison, left, right: Box<Expr>| Expr::Compare(left, vec![(comparison, *right)]);
    match op {
        Kind::Eq => compare(Comparison::Eq, left, right),
        Kind::Ne => compare(Comparison::Ne, left, right),
        Kind::Lt => compare(Comparison::Lt, left, right),
        Kind::Lte => compare(Comparison::Lte, left, right),
        Kind::Gt => compare(Comparison::Gt, left, right),
        Kind::Gte => compare(Comparison::Gte, left, right),
        Kind::In => compare(Comparison::In, left, right),
        Kind::ScAnd => Expr::And(left, right),
        Kind::ScOr => Expr::Or(left, right),
        Kind::Concat => Expr::Concat(left, right),
        Kind::Add => Expr::Binary(Op::Add, left, right),
        Kind::Sub => Expr::Binary(Op::Sub, left, right),
        Kind::Mul => Expr::Binary(Op::Mul, left, right),
        Kind::Div => Expr::Binary(Op::Div, left, right),
        Kind::FloorDiv => Expr::Binary(Op::FloorDiv, left, right),
        Kind::Rem => Expr::Binary(Op::Rem, left, right),
        Kind::Pow => Expr::Binary(Op::Pow, left, right),
    }
}

fn comparison(op: ast::CompareOpKind) -> Comparison {
    use ast::CompareOpKind as Kind;
    match op {
        Kind::Eq => Comparison::Eq,
        Kind::Ne => Comparison::Ne,
        Kind::Lt => Comparison::Lt,
        Kind::Lte => Comparison::Lte,
        Kind::Gt => Comparison::Gt,
        Kind::Gte => Comparison::Gte,
        Kind::In => Comparison::In,
        Kind::NotIn => Comparison::NotIn,
    }
}

fn args(list: &[ast::CallArg<'_>]) -> Result<Args, String> {
    let mut args = Args::default();
    for arg in list {
        match arg {
            ast::CallArg::Pos(value) => args.positional.push(expr(value)?),
            ast::CallArg::Kwarg(name, value) => args.named.push(((*name).to_owned(), expr(value)?)),
            ast::CallArg::PosSplat(_) | ast::CallArg::KwargSplat(_) => {
                return Err("`*` and `**` in calls are not available in manifests".to_owned());
            }
        }
    }
    Ok(args)
}

fn constant_value(value: &minijinja::Value) -> Result<Value, String> {
    Ok(match value.kind() {
        ValueKind::None | ValueKind::Undefined => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::String => value.as_str().unwrap_or_default().into(),
        ValueKind::Number if value.is_integer() => match i64::try_from(value.clone()) {
            Ok(int) => int.into(),
            Err(_) => u64::try_from(value.clone())
                .map_err(|_| "a number is too large".to_owned())?
                .into(),
        },
        ValueKind::Number => {
            let float = f64::try_from(value.clone()).ok().and_then(Number::from_f64);
            Value::Number(float.ok_or("a number is too large")?)
        }
        _ => return Err("this constant is not available in manifests".to_owned()),
    })
}

/// Collects the variables that `body` reads and nothing binds.
fn names_in(body: &[Stmt], bound: &mut BTreeSet<String>, free: &mut Variables) {
    for stmt in body {
        match stmt {
            Stmt::Raw(_) => {}
            Stmt::Emit(value) => names_of(value, bound, free),
            Stmt::If(test, yes, no) => {
                names_of(test, bound, free);
                names_in(yes, bound, free);
                names_in(no, bound, free);
            }
            Stmt::For(each) => {
                names_of(&each.items, bound, free);
                let mut inner = bound.clone();
                inner.insert("loop".to_owned());
                bind(&each.target, &mut inner);
                each.filter
                    .iter()
                    .for_each(|filter| names_of(filter, &inner, free));
                names_in(&each.body, &mut inner, free);
                names_in(&each.otherwise, &mut bound.clone(), free);
            }
            Stmt::Set(target, value) => {
                names_of(value, bound, free);
                bind(target, bound);
            }
            Stmt::SetBlock(target, filter, body) => {
                filter
                    .iter()
                    .for_each(|(_, args)| names_of_args(args, bound, free));
                names_in(body, &mut bound.clone(), free);
                bind(target, bound);
            }
            Stmt::FilterBlock(_, args, body) => {
                names_of_args(args, bound, free);
                names_in(body, &mut bound.clone(), free);
            }
            Stmt::With(values, body) => {
                let mut inner = bound.clone();
                for (target, value) in values {
                    names_of(value, &inner, free);
                    bind(target, &mut inner);
                }
                names_in(body, &mut inner, free);
            }
        }
    }
}

fn bind(target: &Target, bound: &mut BTreeSet<String>) {
    match target {
        Target::Name(name) => drop(bound.insert(name.clone())),
        Target::Member(..) => {}
        Target::Several(targets) => targets.iter().for_each(|target| bind(target, bound)),
    }
}

fn names_of_args(args: &Args, bound: &BTreeSet<String>, free: &mut Variables) {
    let named = args.named.iter().map(|(_, value)| value);
    args.positional
        .iter()
        .chain(named)
        .for_each(|value| names_of(value, bound, free));
}

fn names_of(expr: &Expr, bound: &BTreeSet<String>, free: &mut Variables) {
    let mut note = |variable: &str, member: Option<&str>| {
        if !bound.contains(variable) && Function::of(variable).is_none() {
            let reads = free.entry(variable.to_owned());
            let reads = reads.or_insert_with(|| Reads::Members(BTreeSet::new()));
            reads.note(member);
        }
    };
    if let Some((variable, member)) = member_of(expr) {
        note(variable, Some(member));
        if let Expr::Call(_, args) = expr {
            names_of_args(args, bound, free);
        }
        return;
    }
    match expr {
        Expr::Const(_) => {}
        Expr::Var(name) => note(name, None),
        Expr::Attr(value, _) | Expr::Not(value) | Expr::Neg(value) => names_of(value, bound, free),
        Expr::Item(a, b)
        | Expr::And(a, b)
        | Expr::Or(a, b)
        | Expr::Binary(_, a, b)
        | Expr::Concat(a, b) => {
            names_of(a, bound, free);
            names_of(b, bound, free);
        }
        Expr::Slice(value, parts) => {
            names_of(value, bound, free);
            parts
                .iter()
                .flatten()
                .for_each(|part| names_of(part, bound, free));
        }
        Expr::Compare(first, rest) => {
            names_of(first, bound, free);
            rest.iter()
                .for_each(|(_, value)| names_of(value, bound, free));
        }
        Expr::If(test, yes, no) => {
            names_of(test, bound, free);
            names_of(yes, bound, free);
            no.iter().for_each(|value| names_of(value, bound, free));
        }
        Expr::Filter(_, value, args) => {
            value.iter().for_each(|value| names_of(value, bound, free));
            names_of_args(args, bound, free);
        }
        Expr::Test(_, value, args) | Expr::Call(value, args) => {
            names_of(value, bound, free);
            names_of_args(args, bound, free);
        }
        Expr::List(items) | Expr::Tuple(items) => {
            items.iter().for_each(|item| names_of(item, bound, free))
        }
        Expr::Dict(entries) => {
            for (key, value) in entries {
                names_of(key, bound, free);
                names_of(value, bound, free);
            }
        }
    }
}

/// The variable and the name, where `expr` reads one member of a variable and depends on nothing else of it.
fn member_of(expr: &Expr) -> Option<(&str, &str)> {
    let found = match expr {
        Expr::Attr(value, name) => (variable(value)?, name.as_str()),
        Expr::Item(value, key) => (variable(value)?, constant(key)?),
        Expr::Call(method, args) => match &**method {
            Expr::Attr(value, name) if name == "get" => {
                return Some((variable(value)?, constant(args.positional.first()?)?));
            }
            _ => return None,
        },
        Expr::Compare(key, rest) => match rest.as_slice() {
            [(Comparison::In | Comparison::NotIn, value)] => {
                return Some((variable(value)?, constant(key)?));
            }
            _ => return None,
        },
        _ => return None,
    };
    // A method sees all members.
    (!methods::is_of_dict(found.1)).then_some(found)
}

fn variable(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Var(name) => Some(name),
        _ => None,
    }
}

fn constant(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Const(Value::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_of_a_record_is_known_where_its_members_are_named() {
        let members = |text: &str| match parse(text).unwrap().variables.remove("record") {
            Some(Reads::Members(members)) => {
                Some(members.into_iter().collect::<Vec<_>>().join(" "))
            }
            Some(Reads::Whole) => None,
            None => Some(String::new()),
        };
        for (text, expected) in [
            (
                "{{ record.a }} {{ record['b']['c'] }} {{ record.get('d', record.e) }}",
                "a b d e",
            ),
            (
                "{% if 'x' not in record and record.y.items() %}{{ config.z }}{% endif %}",
                "x y",
            ),
            ("{% set record = {} %}{{ record }}", ""),
        ] {
            assert_eq!(members(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "{{ record }}",
            "{{ record.items() }}",
            "{{ record['keys'] }}",
            "{{ record[config.name] }}",
            "{{ record.get(config.name) }}",
            "{% for key in record %}{{ record.a }}{% endfor %}",
            "{{ record.a in record }}",
        ] {
            assert_eq!(members(text), None, "{text}");
        }
    }
}
