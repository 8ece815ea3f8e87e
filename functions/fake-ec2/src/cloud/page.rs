//! Pages: `MaxResults` in, `NextToken` out and in again.

use crate::fault::Fault;
use crate::query::Params;

/// What a token begins with; the rest is the number of the next thing. Opaque to clients.
const TOKEN: &str = "fe2-";

/// The page that a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    from: usize,
    most: Option<u32>,
}

impl Page {
    /// Takes `MaxResults` and `NextToken`. Where ids are `named`, under `ids`, EC2 takes no page.
    pub(crate) fn take(params: &mut Params, named: bool, ids: &str, least: u32, most: u32) -> Result<Self, Fault> {
        let asked = params.number("MaxResults")?;
        let token = params.take("NextToken").filter(|token| !token.is_empty());
        if named && asked.is_some() {
            let message = format!("The parameter {ids} cannot be used with the parameter maxResults");
            return Err(Fault::new("InvalidParameterCombination", message));
        }
        // More than the most is allowed, and gives the most.
        if let Some(asked) = asked.filter(|asked| *asked < least) {
            let message = format!(
                "Value ( {asked} ) for parameter maxResults is invalid. Expecting a value greater than {least}."
            );
            return Err(Fault::new("InvalidParameterValue", message));
        }
        let number = |token: String| {
            let number = token.strip_prefix(TOKEN).and_then(|number| usize::from_str_radix(number, 16).ok());
            number.ok_or_else(|| Fault::new("InvalidNextToken", "The specified NextToken is not valid."))
        };
        Ok(Self { from: token.map(number).transpose()?.unwrap_or(0), most: asked.map(|asked| asked.min(most)) })
    }

    /// The things of this page, from things in the order of their numbers, and the token of the next.
    pub(crate) fn cut<T>(self, things: impl Iterator<Item = (usize, T)>, largest: u32) -> (Vec<T>, Option<String>) {
        let most = self.most.unwrap_or(largest).min(largest).max(1);
        let mut page = Vec::new();
        for (number, thing) in things.filter(|(number, _)| *number >= self.from) {
            if u32::try_from(page.len()).unwrap_or(u32::MAX) == most {
                return (page, Some(format!("{TOKEN}{number:012x}")));
            }
            page.push(thing);
        }
        (page, None)
    }
}
