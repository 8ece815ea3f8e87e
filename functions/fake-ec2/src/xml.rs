//! The EC2 Query protocol, outwards: elements in EC2's order and spelling.

use std::fmt::{Display, Write};

use jiff::Timestamp;

use crate::fault::Fault;
use crate::query::Texts;

/// An answer that grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Xml(String);

impl Xml {
    /// `<name>text</name>`; characters that XML cannot hold are left out.
    pub(crate) fn text(&mut self, name: &str, text: impl Display) {
        let text: String = text.to_string().chars().filter(|c| *c >= ' ' || matches!(c, '\t' | '\n' | '\r')).collect();
        // Writing to a String cannot fail.
        let _written = write!(self.0, "<{name}>{}</{name}>", quick_xml::escape::escape(&text));
    }

    /// `<name>text</name>`, when there is a text.
    pub(crate) fn maybe(&mut self, name: &str, text: Option<impl Display>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A moment, as EC2 writes it.
    pub(crate) fn time(&mut self, name: &str, time: Timestamp) {
        self.text(name, time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"));
    }

    /// `<name>...</name>`.
    pub(crate) fn node(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let _written = write!(self.0, "<{name}>");
        fill(self);
        let _written = write!(self.0, "</{name}>");
    }

    /// `<name><item>...</item>...</name>`.
    pub(crate) fn items<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, fill: impl Fn(&mut Self, T)) {
        self.node(name, |list| items.into_iter().for_each(|item| list.node("item", |node| fill(node, item))));
    }

    /// Tags.
    pub(crate) fn tags(&mut self, tags: &Texts) {
        self.items("tagSet", tags, |item, (key, value)| {
            item.text("key", key);
            item.text("value", value);
        });
    }

    /// The whole answer to `action`.
    pub(crate) fn answer(self, action: &str, request: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response \
             xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{request}</requestId>{}</{action}Response>",
            self.0
        )
    }
}

/// The whole answer of a failure.
pub(crate) fn failure(fault: &Fault, request: &str) -> String {
    let mut error = Xml::default();
    error.node("Errors", |errors| {
        errors.node("Error", |error| {
            error.text("Code", &fault.code);
            error.text("Message", &fault.message);
        });
    });
    error.text("RequestID", request);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>{}</Response>", error.0)
}
