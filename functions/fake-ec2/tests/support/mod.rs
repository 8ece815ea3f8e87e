//! Answers as trees, so that a test names an element by its path.
#![allow(dead_code, reason = "each test binary uses its own part")]

use quick_xml::Reader;
use quick_xml::events::Event;

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Its name.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
    /// What is inside.
    pub(crate) children: Vec<Tree>,
}

impl Tree {
    /// Reads a document; panics where it is not well formed.
    pub(crate) fn read(xml: &str) -> Self {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().expect("well-formed XML") {
                Event::Start(start) => {
                    let name = start.name().as_ref().to_owned();
                    open.push(Self { name, ..Self::default() });
                }
                Event::Empty(empty) => {
                    let name = empty.name().as_ref().to_owned();
                    open.last_mut().expect("a root").children.push(Self { name, ..Self::default() });
                }
                Event::End(_) => {
                    let done = open.pop().expect("an element");
                    open.last_mut().expect("a root").children.push(done);
                }
                Event::Text(text) => {
                    open.last_mut().expect("a root").text += &text;
                }
                Event::GeneralRef(entity) => {
                    let character = match &*entity {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        other => panic!("the entity {other}"),
                    };
                    open.last_mut().expect("a root").text.push(character);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(open.len(), 1, "an element is not closed");
        let mut root = open.pop().expect("a root");
        assert_eq!(root.children.len(), 1, "one root");
        root.children.pop().expect("a root")
    }

    /// Everything at the path `a/b/c`.
    pub(crate) fn all(&self, path: &str) -> Vec<&Self> {
        let mut here = vec![self];
        for name in path.split('/') {
            here = here.into_iter().flat_map(|tree| tree.children.iter().filter(|child| child.name == name)).collect();
        }
        here
    }

    /// The texts of everything at the path.
    pub(crate) fn texts(&self, path: &str) -> Vec<&str> {
        self.all(path).into_iter().map(|tree| tree.text.as_str()).collect()
    }

    /// The text of the one thing at the path.
    pub(crate) fn text(&self, path: &str) -> &str {
        match &self.texts(path)[..] {
            [text] => text,
            other => panic!("{} things at {path} in {self:?}", other.len()),
        }
    }

    /// Whether there is anything at the path.
    pub(crate) fn has(&self, path: &str) -> bool {
        !self.all(path).is_empty()
    }
}
