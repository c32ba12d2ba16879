use super::when::{About, ROUTE_NAMES};
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Functions that an expression may call; each takes time linear in what it is given.
const FUNCTIONS: &[&str] = &[
    "contains",
    "size",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "double",
    "int",
    "uint",
    "min",
    "max",
    "timestamp",
    "duration",
];

/// Largest number of `+` in an expression: each may copy a whole list or text.
const MOST_ADDITIONS: usize = 8;

/// Deepest tree of an expression: its evaluation calls itself for each level, with much stack in unoptimised builds.
const DEEPEST: usize = 24;

/// What was learnt of an expression on the way.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether it is a route's condition.
    is_route: bool,
    /// Patterns of `matches`.
    pub(super) patterns: Vec<String>,
    /// Whether `event.data` is used.
    pub(super) uses_data: bool,
    /// Whether `event.metadata` is used.
    pub(super) uses_metadata: bool,
    additions: usize,
    depth: usize,
}

/// Refuses whatever could take more time than linear in the size of an event: macros within macros, macros that come
/// back to the whole event for each element, macros that build lists, and computed patterns.
pub(super) fn check(expression: &IdedExpr, about: About) -> Result<Found, String> {
    let mut found = Found { is_route: about == About::Route, ..Found::default() };
    visit(&expression.expr, &mut Vec::new(), &mut found)?;
    if found.additions > MOST_ADDITIONS {
        return Err(format!("at most {MOST_ADDITIONS} additions are allowed"));
    }
    Ok(found)
}

fn visit<'a>(expression: &'a Expr, in_macro: &mut Vec<&'a str>, found: &mut Found) -> Result<(), String> {
    if found.depth == DEEPEST {
        return Err(format!("it may be nested {DEEPEST} deep, this one is deeper"));
    }
    found.depth += 1;
    parts(expression, in_macro, found)?;
    found.depth -= 1;
    Ok(())
}

fn parts<'a>(expression: &'a Expr, in_macro: &mut Vec<&'a str>, found: &mut Found) -> Result<(), String> {
    match expression {
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) if in_macro.contains(&name.as_str()) => Ok(()),
        Expr::Ident(name) if found.is_route && ROUTE_NAMES.contains(&name.as_str()) => {
            if !in_macro.is_empty() {
                return Err("inside all, exists and exists_one only the loop's variable can be used".into());
            }
            found.uses_metadata |= name == "metadata";
            Ok(())
        }
        Expr::Ident(name) if found.is_route => {
            Err(format!("there is no {name:?}: there are {}", ROUTE_NAMES.join(", ")))
        }
        Expr::Ident(name) if name == "event" && in_macro.is_empty() => {
            // the whole event: data and metadata too
            (found.uses_data, found.uses_metadata) = (true, true);
            Ok(())
        }
        Expr::Ident(name) if name == "event" => {
            Err("inside all, exists and exists_one only the loop's variable can be used".into())
        }
        Expr::Ident(name) => Err(format!("there is no {name:?}: the variable is called event")),
        Expr::Select(select) => {
            match &select.operand.expr {
                Expr::Ident(name) if name == "event" && in_macro.is_empty() && !found.is_route => {
                    match select.field.as_str() {
                        "data" => found.uses_data = true,
                        "metadata" => found.uses_metadata = true,
                        field if super::when::FIELDS.contains(&field) => {}
                        field => return Err(format!("an event has no field {field:?}")),
                    }
                }
                operand => visit(operand, in_macro, found)?,
            }
            Ok(())
        }
        Expr::Call(call) => {
            let is_operator = !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
            if !is_operator && !FUNCTIONS.contains(&call.func_name.as_str()) {
                return Err(format!("the function {:?} is not supported", call.func_name));
            }
            found.additions += usize::from(call.func_name == operators::ADD);
            if call.func_name == "matches" {
                match call.args.last().map(|pattern| &pattern.expr) {
                    Some(Expr::Literal(LiteralValue::String(pattern))) => {
                        found.patterns.push(pattern.inner().to_owned());
                    }
                    _ => return Err("the pattern of matches must be a text literal".into()),
                }
            }
            call.target.iter().try_for_each(|target| visit(&target.expr, in_macro, found))?;
            call.args.iter().try_for_each(|argument| visit(&argument.expr, in_macro, found))
        }
        Expr::List(list) => {
            list.elements.iter().try_for_each(|element| visit(&element.expr, in_macro, found))
        }
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                visit(&entry.key.expr, in_macro, found)?;
                visit(&entry.value.expr, in_macro, found)
            }
            EntryExpr::StructField(_) => Err("structures are not supported".into()),
        }),
        Expr::Comprehension(each) => {
            if !in_macro.is_empty() {
                return Err("all, exists and exists_one cannot stand inside each other".into());
            }
            if matches!(each.accu_init.expr, Expr::List(_) | Expr::Map(_)) {
                return Err("map and filter are not supported: use all, exists or exists_one".into());
            }
            visit(&each.iter_range.expr, in_macro, found)?;
            in_macro.push(&each.iter_var);
            in_macro.extend(each.iter_var2.as_deref());
            in_macro.push(&each.accu_var);
            for part in [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result] {
                visit(&part.expr, in_macro, found)?;
            }
            in_macro.clear();
            Ok(())
        }
        Expr::Struct(_) | Expr::Unspecified => Err("structures are not supported".into()),
    }
}
