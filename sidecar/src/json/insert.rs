use super::scan::{NotJson, skip_space};

/// Adds members at the end of a JSON object; what is there stays byte for byte.
///
/// Fails if `object` is not an object. Names are not looked for: the caller knows that none is there already.
pub fn insert_members(object: &[u8], members: &[(&str, &str)]) -> Result<Vec<u8>, NotJson> {
    let begin = skip_space(object, 0);
    let end = object.iter().rposition(|byte| *byte == b'}').ok_or(NotJson(object.len()))?;
    if object.get(begin) != Some(&b'{') || end <= begin {
        return Err(NotJson(begin));
    }
    let mut is_first = skip_space(object, begin + 1) == end;
    let mut edited = Vec::with_capacity(object.len() + members.len() * 32);
    edited.extend_from_slice(&object[..end]);
    for (name, value) in members {
        if !std::mem::take(&mut is_first) {
            edited.push(b',');
        }
        for (text, after) in [(name, b':'), (value, b' ')] {
            serde_json::to_writer(&mut edited, text).expect("strings serialise");
            edited.push(after);
        }
        edited.pop();
    }
    edited.extend_from_slice(&object[end..]);
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_and_the_rest_stays_as_it_is() {
        let with = |object: &str| {
            let edited = insert_members(object.as_bytes(), &[("$by", "a\"b"), ("$pod", "p")]);
            String::from_utf8(edited.expect("an object")).expect("UTF-8")
        };
        assert_eq!(with("{}"), r#"{"$by":"a\"b","$pod":"p"}"#);
        assert_eq!(with(" { } "), r#" { "$by":"a\"b","$pod":"p"} "#);
        assert_eq!(with(r#"{"a" : 1e400,"a":"}"}"#), r#"{"a" : 1e400,"a":"}","$by":"a\"b","$pod":"p"}"#);
        for bad in ["", "[]", "null", "}", "{"] {
            assert!(insert_members(bad.as_bytes(), &[]).is_err(), "{bad}");
        }
    }
}
