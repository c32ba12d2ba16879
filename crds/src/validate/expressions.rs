//! CEL expressions in manifests.

use cel::Program;
use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr};

use crate::values::CelExpression;

/// What is wrong with an expression that may use only `variables`; `None` if nothing is.
pub(super) fn problem(expression: &CelExpression, variables: &[&str]) -> Option<String> {
    if expression.as_str().trim().is_empty() {
        return Some("the expression is empty".to_owned());
    }
    let program = match Program::compile(expression.as_str()) {
        Ok(program) => program,
        // the parser's message begins with its own position, and spans lines
        Err(errors) => {
            let text = errors.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            return Some(format!("is no CEL expression: {text}"));
        }
    };
    let mut unknown = Vec::new();
    free_variables(
        program.expression(),
        &mut variables.iter().map(|name| (*name).to_owned()).collect(),
        &mut unknown,
    );
    unknown.sort_unstable();
    unknown.dedup();
    match unknown.first() {
        None => None,
        Some(name) => Some(format!("uses `{name}`, but only {} can be used here", variables.join(", "))),
    }
}

/// Whether an optional condition is there at all; an empty one counts as absent.
pub(super) fn present(expression: Option<&CelExpression>) -> Option<&CelExpression> {
    expression.filter(|expression| !expression.as_str().trim().is_empty())
}

/// Names in `expression` that neither `bound` nor a macro of it binds.
fn free_variables(expression: &IdedExpr, bound: &mut Vec<String>, unknown: &mut Vec<String>) {
    match &expression.expr {
        Expr::Ident(name) => {
            if !name.starts_with('@') && !bound.contains(name) {
                unknown.push(name.clone());
            }
        }
        Expr::Call(call) => {
            call.target.iter().for_each(|target| free_variables(target, bound, unknown));
            call.args.iter().for_each(|argument| free_variables(argument, bound, unknown));
        }
        Expr::Select(select) => free_variables(&select.operand, bound, unknown),
        Expr::List(list) => list.elements.iter().for_each(|element| free_variables(element, bound, unknown)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| entry_variables(entry, bound, unknown)),
        Expr::Struct(value) => value.entries.iter().for_each(|entry| entry_variables(entry, bound, unknown)),
        Expr::Comprehension(comprehension) => {
            free_variables(&comprehension.iter_range, bound, unknown);
            free_variables(&comprehension.accu_init, bound, unknown);
            let outer = bound.len();
            bound.push(comprehension.iter_var.clone());
            bound.extend(comprehension.iter_var2.clone());
            bound.push(comprehension.accu_var.clone());
            for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                free_variables(part, bound, unknown);
            }
            bound.truncate(outer);
        }
        Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn entry_variables(entry: &IdedEntryExpr, bound: &mut Vec<String>, unknown: &mut Vec<String>) {
    match &entry.expr {
        EntryExpr::StructField(field) => free_variables(&field.value, bound, unknown),
        EntryExpr::MapEntry(entry) => {
            free_variables(&entry.key, bound, unknown);
            free_variables(&entry.value, bound, unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(text: &str) -> Option<String> {
        problem(&text.parse().expect("an expression"), &["event"])
    }

    #[test]
    fn takes_what_uses_only_known_variables() {
        for text in [
            "event.aggregateId",
            "event.data.items.all(item, item.amount > 0)",
            "event.data.items.map(item, {item.name: event.id})",
            "has(event.data.x) ? event.data.x : 'none'",
            "[event.id, 'x'].exists_one(i, i == event.id)",
        ] {
            assert_eq!(problem_of(text), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_expression_or_uses_more() {
        assert!(problem_of(" ").is_some_and(|text| text.contains("empty")));
        for text in ["event.", "1 +", "((", "event..id", "'", "\u{7f}", "event.x y", ")"] {
            assert!(problem_of(text).is_some_and(|message| message.contains("no CEL")), "{text}");
        }
        assert_eq!(
            problem_of("doc.id + event.id").as_deref(),
            Some("uses `doc`, but only event can be used here")
        );
        // the macro's variable is bound only inside the macro
        assert!(problem_of("event.items.all(i, i > 0) && i > 0").is_some_and(|text| text.contains("`i`")));
    }
}
