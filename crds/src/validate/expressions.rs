//! CEL expressions in manifests.

use cel::Program;
use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr};

use crate::values::CelExpression;

/// Deeper nesting of brackets than this is refused: the parser needs up to 200 KiB of stack for each level.
const MAX_NESTING: usize = 32;
/// Enough for that nesting and for the longest chain of operators that an expression can hold. Pages that are not
/// touched cost nothing.
const STACK_BYTES: usize = 64 << 20;

/// What is wrong with an expression that may use only `variables`; `None` if nothing is.
///
/// Manifests come from strangers where there is an operator, and the parser recurses without a bound and panics on
/// some input. So nesting is bounded before, and the parser has a thread of its own.
pub(super) fn problem(expression: &CelExpression, variables: &[&str]) -> Option<String> {
    if expression.as_str().trim().is_empty() {
        return Some("the expression is empty".to_owned());
    }
    if nesting(expression.as_str()) > MAX_NESTING {
        return Some(format!("the expression has brackets deeper than {MAX_NESTING} levels"));
    }
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK_BYTES);
        match parser.spawn_scoped(scope, || problem_on_this_stack(expression, variables)) {
            Ok(parsing) => {
                let panicked =
                    || Some("is no CEL expression that can be read: too many operators".to_owned());
                parsing.join().unwrap_or_else(|_| panicked())
            }
            Err(error) => Some(format!("could not be checked: {error}")),
        }
    })
}

fn problem_on_this_stack(expression: &CelExpression, variables: &[&str]) -> Option<String> {
    let program = match Program::compile(expression.as_str()) {
        Ok(program) => program,
        // the parser's message begins with its own position, and spans lines
        Err(errors) => {
            let text = errors.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            return Some(format!("is no CEL expression: {text}"));
        }
    };
    let mut unknown = Vec::new();
    let mut bound = variables.iter().map(|name| (*name).to_owned()).collect();
    free_variables(program.expression(), &mut bound, &mut unknown);
    unknown.sort_unstable();
    unknown.dedup();
    let name = unknown.first()?;
    Some(format!("uses `{name}`, but only {} can be used here", variables.join(", ")))
}

/// How deep brackets are nested; never less than they are. Where text could hide a closing bracket from a simple
/// look (escapes, raw, triple-quoted and unfinished text, comments), every opening bracket counts as one level.
fn nesting(text: &str) -> usize {
    let opens = |byte: u8| matches!(byte, b'(' | b'[' | b'{');
    let all = text.bytes().filter(|byte| opens(*byte)).count();
    let doubtful = ["\\", "//", "\"\"\"", "'''", "r\"", "r'", "R\"", "R'"];
    if doubtful.iter().any(|part| text.contains(part)) {
        return all;
    }
    let (mut depth, mut deepest, mut quote) = (0_usize, 0, None);
    for byte in text.bytes() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) if matches!(byte, b'\n' | b'\r') => return all,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if opens(byte) => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            None if matches!(byte, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            None => {}
        }
    }
    if quote.is_some() { all } else { deepest }
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
    fn no_expression_harms_its_reader() {
        let parts = [
            ("(", ")"),
            ("[", "]"),
            ("{1:", "}"),
            ("f(", ")"),
            ("event.all(x,", ")"),
            ("-", ""),
            ("!", ""),
            ("-(", ")"),
            ("true?2:", ""),
            ("true?", ":1"),
            ("", "+1"),
            ("", "&&true"),
            ("", ".a"),
            ("", ".f()"),
            ("", "[1]"),
            ("1 in ", ""),
            ("", "<1"),
        ];
        for (open, close) in parts {
            let most = CelExpression::MAX_LENGTH / (open.len() + close.len()) - 1;
            for depth in [1, MAX_NESTING, MAX_NESTING + 1, 120, most] {
                let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let problem = problem_of(&text);
                let too_deep = problem.is_some_and(|problem| problem.contains("deeper than"));
                let is_bracket = open.contains(['(', '[', '{']);
                assert_eq!(too_deep, is_bracket && depth > MAX_NESTING, "{open}1{close} {depth} deep");
            }
        }
    }

    #[test]
    fn no_text_hides_nesting() {
        let deep = "(".repeat(40);
        for hidden in [
            format!("{deep}'{}'{deep}", ")".repeat(40)),
            format!("{deep}\"{}\"{deep}", "]".repeat(40)),
            format!("{deep}'\\'{}'{deep}", ")".repeat(40)),
            format!("{deep}r'\\'+'{}'{deep}", ")".repeat(40)),
            format!("{deep}''''{}'''{deep}", ")".repeat(40)),
            format!("'{}", "(".repeat(80)),
            format!("'\n{}'", "(".repeat(80)),
            format!("{deep}// {}\n{deep}", ")".repeat(40)),
        ] {
            assert!(nesting(&hidden) >= 80, "{} levels in {hidden}", nesting(&hidden));
        }
        assert_eq!(nesting("a(b[c{d}], '(((')"), 3);
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
