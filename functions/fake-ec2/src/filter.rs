//! Filters: a value matches when any of a filter's patterns does, a thing when all of its filters do.
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>

use crate::fault::Fault;
use crate::query::Params;

/// EC2's limits on one request.
const MOST_FILTERS: usize = 50;
const MOST_VALUES: usize = 200;

/// `Filter.N.Name` with its `Filter.N.Value.M`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) name: String,
    patterns: Vec<String>,
}

impl Filter {
    /// Takes the filters of a request. `known` says which names there are; `tag:KEY` always is one where tags are.
    pub(crate) fn take(params: &mut Params, known: &[&str]) -> Result<Vec<Self>, Fault> {
        let mut filters = Vec::new();
        for mut part in params.structures("Filter")? {
            let name = part.need("Name")?;
            let patterns = part.list("Value")?;
            part.finish()?;
            if patterns.is_empty() {
                return Err(Fault::new("InvalidParameterValue", format!("The filter '{name}' has no values.")));
            }
            if patterns.len() > MOST_VALUES || filters.len() >= MOST_FILTERS {
                let message = format!("At most {MOST_FILTERS} filters of {MOST_VALUES} values.");
                return Err(Fault::new("FilterLimitExceeded", message));
            }
            let tag = name.starts_with("tag:") && known.contains(&"tag-key");
            if !tag && !known.contains(&name.as_str()) {
                return Err(Fault::new("InvalidParameterValue", format!("The filter '{name}' is invalid")));
            }
            filters.push(Self { name, patterns });
        }
        Ok(filters)
    }

    /// Whether `value` matches any of the patterns.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, value))
    }
}

/// `*` is any number of characters, `?` is one, and a backslash takes a character's meaning away. Case counts.
fn matches(pattern: &str, value: &str) -> bool {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Just(characters.next().unwrap_or('\\')),
            other => Token::Just(other),
        });
    }
    let value: Vec<char> = value.chars().collect();
    // Where to go on when the text after the last `*` did not fit: linear but for one step back at a time.
    let (mut t, mut v, mut back) = (0, 0, None);
    while v < value.len() {
        match tokens.get(t) {
            Some(Token::Any) => {
                back = Some((t, v));
                t += 1;
            }
            Some(Token::One) => (t, v) = (t + 1, v + 1),
            Some(Token::Just(c)) if *c == value[v] => (t, v) = (t + 1, v + 1),
            _ => match back {
                None => return false,
                Some((star, from)) => {
                    (t, v) = (star + 1, from + 1);
                    back = Some((star, from + 1));
                }
            },
        }
    }
    tokens[t..].iter().all(|token| matches!(token, Token::Any))
}

enum Token {
    Any,
    One,
    Just(char),
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_documented() {
        let cases = [
            ("web", "web", true),
            ("web", "Web", false),
            ("web", "webs", false),
            ("web*", "web", true),
            ("*web", "my-web", true),
            ("w*b*x", "wbbbx", true),
            ("w*b*x", "wbbb", false),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("*", "", true),
            ("?", "", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\?", "ab", false),
            (r"a\\b", r"a\b", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, value, expected) in cases {
            assert_eq!(matches(pattern, value), expected, "{pattern:?} on {value:?}");
        }
    }
}
