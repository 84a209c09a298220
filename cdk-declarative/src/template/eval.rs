//! Evaluates the syntax tree with Python's meaning.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use super::functions::Function;
use super::ops;
use super::scope::Scope;
use super::syntax::{Args, Comparison, Expr, For, Stmt, Target};
use super::value::{Dict, Eval, Fault, Val, other_fault, type_fault};
use super::{access, filters, methods, tests};

/// Statements and expressions one rendering may take. A template beyond it loops over too much.
const MAX_STEPS: usize = 5_000_000;
/// A rendered text beyond this is a mistake of the manifest.
const MAX_OUTPUT_BYTES: usize = 64 << 20;

/// One evaluation: the scope and what the template itself has bound.
pub(crate) struct Evaluator<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) parameters: &'a Value,
    bound: Vec<(Cow<'a, str>, Val<'a>)>,
    steps: usize,
}

/// The values of a call's arguments.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    pub(crate) positional: Vec<Val<'a>>,
    pub(crate) named: Vec<(&'a str, Val<'a>)>,
}

impl<'a> Given<'a> {
    /// The argument at a position, or by its name.
    pub(crate) fn get(&self, at: usize, name: &str) -> Option<Val<'a>> {
        let named = || {
            self.named
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.clone())
        };
        self.positional.get(at).cloned().or_else(named)
    }

    /// The same for an argument that has to be there.
    pub(crate) fn need(&self, at: usize, name: &str, of: &str) -> Eval<Val<'a>> {
        match self.get(at, name) {
            Some(value) => Ok(value),
            None => type_fault(format!("{of} is missing its argument '{name}'")),
        }
    }

    /// That no more than so many arguments are there.
    pub(crate) fn at_most(&self, count: usize, of: &str) -> Eval<()> {
        if self.positional.len() + self.named.len() > count {
            return type_fault(format!("{of} takes at most {count} arguments"));
        }
        Ok(())
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(scope: &'a Scope<'a>, parameters: &'a Value) -> Self {
        Self {
            scope,
            parameters,
            bound: Vec::new(),
            steps: 0,
        }
    }

    fn step(&mut self) -> Eval<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return other_fault("the template takes too many steps");
        }
        Ok(())
    }

    pub(crate) fn body(&mut self, body: &'a [Stmt], out: &mut String) -> Eval<()> {
        body.iter().try_for_each(|stmt| self.stmt(stmt, out))
    }

    fn stmt(&mut self, stmt: &'a Stmt, out: &mut String) -> Eval<()> {
        self.step()?;
        if out.len() > MAX_OUTPUT_BYTES {
            return other_fault("the rendered text gets too long");
        }
        match stmt {
            Stmt::Raw(text) => out.push_str(text),
            Stmt::Emit(value) => out.push_str(&self.expr(value)?.to_text()),
            Stmt::If(test, yes, no) => {
                let body = if self.expr(test)?.is_true() { yes } else { no };
                self.body(body, out)?;
            }
            Stmt::For(each) => self.each(each, out)?,
            Stmt::Set(target, value) => {
                let value = self.expr(value)?;
                self.bind(target, value)?;
            }
            Stmt::SetBlock(target, filter, body) => {
                let mut text = self.captured(body)?;
                if let Some((filter, args)) = filter {
                    text = filters::apply(*filter, text, self.args(args)?, self)?;
                }
                self.bind(target, text)?;
            }
            Stmt::FilterBlock(filter, args, body) => {
                let text = self.captured(body)?;
                let text = filters::apply(*filter, text, self.args(args)?, self)?;
                out.push_str(&text.to_text());
            }
            Stmt::With(values, body) => {
                let depth = self.bound.len();
                for (target, value) in values {
                    let value = self.expr(value)?;
                    self.bind_new(target, value)?;
                }
                self.body(body, out)?;
                self.bound.truncate(depth);
            }
        }
        Ok(())
    }

    fn captured(&mut self, body: &'a [Stmt]) -> Eval<Val<'a>> {
        let depth = self.bound.len();
        let mut text = String::new();
        self.body(body, &mut text)?;
        self.bound.truncate(depth);
        Ok(Val::text(text))
    }

    fn each(&mut self, each: &'a For, out: &mut String) -> Eval<()> {
        let depth = self.bound.len();
        let mut items = self.expr(&each.items)?.items()?;
        if let Some(filter) = &each.filter {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                self.bind_new(&each.target, item.clone())?;
                if self.expr(filter)?.is_true() {
                    kept.push(item);
                }
                self.bound.truncate(depth);
            }
            items = kept;
        }
        if items.is_empty() {
            self.body(&each.otherwise, out)?;
        }
        let count = items.len();
        for (at, item) in items.iter().enumerate() {
            self.bound
                .push((Cow::Borrowed("loop"), loop_variable(at, count, &items)));
            self.bind_new(&each.target, item.clone())?;
            self.body(&each.body, out)?;
            self.bound.truncate(depth);
        }
        Ok(())
    }

    fn bind(&mut self, target: &'a Target, value: Val<'a>) -> Eval<()> {
        match target {
            Target::Name(name) => {
                self.bound.push((Cow::Borrowed(name), value));
                Ok(())
            }
            Target::Several(_) => self.bind_new(target, value),
            Target::Member(name, member) => match self.variable(name) {
                Val::Namespace(entries) => {
                    set_entry(&entries, Val::text(member.as_str()), value);
                    Ok(())
                }
                _ => other_fault(format!(
                    "`{name}` is no namespace: its members can't be set"
                )),
            },
        }
    }

    fn bind_new(&mut self, target: &'a Target, value: Val<'a>) -> Eval<()> {
        let Target::Several(targets) = target else {
            return self.bind(target, value);
        };
        let items = value.items()?;
        if items.len() != targets.len() {
            return other_fault(format!(
                "{} values can't be unpacked to {} names",
                items.len(),
                targets.len()
            ));
        }
        let mut pairs = targets.iter().zip(items);
        pairs.try_for_each(|(target, item)| self.bind_new(target, item))
    }

    fn variable(&self, name: &str) -> Val<'a> {
        if let Some((_, value)) = self.bound.iter().rev().find(|(bound, _)| bound == name) {
            return value.clone();
        }
        if let Some(value) = self.scope.variable(name, self.parameters) {
            return value;
        }
        match Function::of(name) {
            Some(function) => Val::Function(function),
            None => Val::undefined(format!("'{name}' is undefined")),
        }
    }

    pub(crate) fn expr(&mut self, expr: &'a Expr) -> Eval<Val<'a>> {
        self.step()?;
        Ok(match expr {
            Expr::Const(value) => Val::of(value),
            Expr::Var(name) => self.variable(name),
            Expr::Attr(value, name) => access::attribute(&self.expr(value)?.defined()?, name),
            Expr::Item(value, key) => {
                let value = self.expr(value)?.defined()?;
                access::item(&value, &self.expr(key)?)?
            }
            Expr::Slice(value, parts) => {
                let value = self.expr(value)?.defined()?;
                let [start, stop, step] = &**parts;
                let mut part =
                    |part: &'a Option<Expr>| part.as_ref().map(|part| self.expr(part)).transpose();
                access::slice(&value, part(start)?, part(stop)?, part(step)?)?
            }
            Expr::Not(value) => Val::Bool(!self.expr(value)?.is_true()),
            Expr::Neg(value) => match self.expr(value)?.defined()? {
                Val::Float(float) => Val::Float(-float),
                Val::Delta(us) => Val::Delta(-us),
                Val::Duration(span) => Val::Duration(span.negated()),
                other => match other.as_int() {
                    Some(int) => Val::Int(-int),
                    None => {
                        return type_fault(format!(
                            "bad operand type for unary -: '{}'",
                            other.type_name()
                        ));
                    }
                },
            },
            Expr::And(left, right) => match self.expr(left)? {
                left if left.is_true() => self.expr(right)?,
                left => left,
            },
            Expr::Or(left, right) => match self.expr(left)? {
                left if left.is_true() => left,
                _ => self.expr(right)?,
            },
            Expr::Binary(op, left, right) => {
                let left = self.expr(left)?;
                ops::binary(*op, left, self.expr(right)?)?
            }
            Expr::Concat(left, right) => {
                let mut text = self.expr(left)?.to_text().into_owned();
                text.push_str(&self.expr(right)?.to_text());
                Val::text(text)
            }
            Expr::Compare(first, rest) => self.compare(first, rest)?,
            Expr::If(test, yes, no) => match (self.expr(test)?.is_true(), no) {
                (true, _) => self.expr(yes)?,
                (false, Some(no)) => self.expr(no)?,
                (false, None) => Val::undefined("the inline if has no else"),
            },
            Expr::Filter(filter, Some(value), args) => {
                let value = self.expr(value)?;
                let args = self.args(args)?;
                filters::apply(*filter, value, args, self)?
            }
            Expr::Filter(..) => return other_fault("a filter has nothing to work on"),
            Expr::Test(test, value, args) => {
                let value = self.expr(value)?;
                Val::Bool(tests::holds(*test, &value, &self.args(args)?)?)
            }
            Expr::Call(callee, args) => {
                let callee = self.expr(callee)?;
                let args = self.args(args)?;
                self.call(callee, &args)?
            }
            Expr::List(items) => Val::list(self.all(items)?),
            Expr::Tuple(items) => Val::Tuple(Rc::new(self.all(items)?)),
            Expr::Dict(entries) => {
                let dict = Dict::default();
                for (key, value) in entries {
                    let key = self.expr(key)?;
                    set_entry(&dict, key, self.expr(value)?);
                }
                Val::Dict(dict)
            }
        })
    }

    fn all(&mut self, items: &'a [Expr]) -> Eval<Vec<Val<'a>>> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    fn args(&mut self, args: &'a Args) -> Eval<Given<'a>> {
        let mut given = Given {
            positional: self.all(&args.positional)?,
            named: Vec::with_capacity(args.named.len()),
        };
        for (name, value) in &args.named {
            given.named.push((name, self.expr(value)?));
        }
        Ok(given)
    }

    fn compare(&mut self, first: &'a Expr, rest: &'a [(Comparison, Expr)]) -> Eval<Val<'a>> {
        let mut left = self.expr(first)?;
        for (op, right) in rest {
            let right = self.expr(right)?;
            if !holds(*op, &left, &right)? {
                return Ok(Val::Bool(false));
            }
            left = right;
        }
        Ok(Val::Bool(true))
    }

    fn call(&mut self, callee: Val<'a>, args: &Given<'a>) -> Eval<Val<'a>> {
        match callee {
            Val::Undefined(what) => Err(Fault::Undefined(what.into_owned())),
            Val::Function(function) => function.call(args, self.scope),
            Val::Method(value, name) => methods::call(&value, &name, args),
            other => type_fault(format!("'{}' object is not callable", other.type_name())),
        }
    }
}

fn holds(op: Comparison, left: &Val<'_>, right: &Val<'_>) -> Eval<bool> {
    use std::cmp::Ordering::{Greater, Less};
    Ok(match op {
        Comparison::Eq => left.equals(right),
        Comparison::Ne => !left.equals(right),
        Comparison::In => ops::contains(right, left)?,
        Comparison::NotIn => !ops::contains(right, left)?,
        Comparison::Lt => ops::compare(left, right)? == Some(Less),
        Comparison::Gt => ops::compare(left, right)? == Some(Greater),
        Comparison::Lte => ops::compare(left, right)?.is_some_and(|order| order != Greater),
        Comparison::Gte => ops::compare(left, right)?.is_some_and(|order| order != Less),
    })
}

/// Sets the value of a key.
pub(crate) fn set_entry<'a>(dict: &Dict<'a>, key: Val<'a>, value: Val<'a>) {
    let mut entries = dict.borrow_mut();
    match entries.iter_mut().find(|(name, _)| name.equals(&key)) {
        Some((_, old)) => *old = value,
        None => entries.push((key, value)),
    }
}

fn loop_variable<'a>(at: usize, count: usize, items: &[Val<'a>]) -> Val<'a> {
    let int = |number: usize| Val::Int(number as i128);
    let neighbour = |at: Option<usize>| {
        let item = at.and_then(|at| items.get(at)).cloned();
        item.unwrap_or_else(|| Val::undefined("there is no such item"))
    };
    let entries = vec![
        (Val::text("index"), int(at + 1)),
        (Val::text("index0"), int(at)),
        (Val::text("revindex"), int(count - at)),
        (Val::text("revindex0"), int(count - at - 1)),
        (Val::text("first"), Val::Bool(at == 0)),
        (Val::text("last"), Val::Bool(at + 1 == count)),
        (Val::text("length"), int(count)),
        (Val::text("previtem"), neighbour(at.checked_sub(1))),
        (Val::text("nextitem"), neighbour(Some(at + 1))),
    ];
    Val::Namespace(Rc::new(RefCell::new(entries)))
}
