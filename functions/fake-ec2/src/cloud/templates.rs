//! The calls on launch templates.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::fault::Fault;
use crate::filter::Filter;
use crate::query::{Params, Texts};
use crate::xml::Xml;

use super::page::Page;
use super::template::{Template, Version, take_data};
use super::{Cloud, tags_for};

/// The most templates, and versions of one: EC2's own limits.
const MOST_TEMPLATES: usize = 5000;
const MOST_VERSIONS: usize = 10_000;

/// What a request with a token has made.
#[derive(Clone, Debug)]
pub(crate) struct MadeTemplate {
    request: Texts,
    id: String,
    version: u64,
}

/// A launch template, by id or by name.
enum Named {
    Id(String),
    Name(String),
}

impl Cloud {
    fn creator(&self) -> String {
        format!("arn:aws:iam::{}:root", self.config.account)
    }

    fn template(&self, named: &Named) -> Result<usize, Fault> {
        let missing = "At least one of the launch templates specified in the request does not exist.";
        match named {
            Named::Id(id) if !super::is_id(id, "lt-") => {
                let message = format!("The specified launch template ID {id} is not valid.");
                Err(Fault::new("InvalidLaunchTemplateId.Malformed", message))
            }
            Named::Id(id) => {
                let known = self.templates.iter().position(|template| template.id == *id);
                known.ok_or_else(|| {
                    let message = format!("The specified launch template, with template ID {id}, does not exist.");
                    Fault::new("InvalidLaunchTemplateId.NotFound", message)
                })
            }
            Named::Name(name) => {
                let known = self.templates.iter().position(|template| template.name == *name);
                known.ok_or_else(|| Fault::new("InvalidLaunchTemplateName.NotFoundException", missing))
            }
        }
    }

    /// The template that a launch names, the version's number, and its data.
    pub(super) fn template_for_launch(&self, mut params: Params) -> Result<Option<(String, u64, Params)>, Fault> {
        if params.all().is_empty() {
            return Ok(None);
        }
        let named = take_named(&mut params)?;
        let version = params.take("Version");
        params.finish()?;
        let template = &self.templates[self.template(&named)?];
        let number = template.number(version.as_deref())?;
        Ok(Some((template.id.clone(), number, Params::of(template.versions[&number].data.clone()))))
    }

    pub(super) fn create_launch_template(&mut self, now: Timestamp, mut params: Params) -> Result<Xml, Fault> {
        let request = params.all().clone();
        let name = params.need("LaunchTemplateName")?;
        let token = params.take("ClientToken").filter(|token| !token.is_empty());
        let description = params.take("VersionDescription");
        let tags = tags_for(super::take_tag_specifications(&mut params)?, "launch-template", &["launch-template"])?;
        let data = take_data(&mut params)?;
        params.refuse(&["Operator"])?;
        params.finish_request()?;
        if data.is_empty() {
            return Err(Fault::missing("LaunchTemplateData"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.()/".contains(c);
        if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
            let message = format!("The launch template name {name} is not valid: 3-128 letters, digits and -_.()/");
            return Err(Fault::new("InvalidLaunchTemplateName.MalformedException", message));
        }
        let mut xml = Xml::default();
        if let Some(made) = self.made_template(token.as_deref(), &request)? {
            let template = &self.templates[self.template(&Named::Id(made.id))?];
            xml.node("launchTemplate", |node| template.write(node, &self.creator()));
            return Ok(xml);
        }
        if self.templates.iter().any(|template| template.name == name) {
            return Err(Fault::new(
                "InvalidLaunchTemplateName.AlreadyExistsException",
                "Launch template name already in use.",
            ));
        }
        if self.templates.len() >= MOST_TEMPLATES {
            return Err(Fault::new("LaunchTemplateLimitExceeded", "There are too many launch templates."));
        }
        let id = self.fresh_id("lt-");
        let first = Version { created: now, description, data };
        let versions = BTreeMap::from([(1, first)]);
        self.templates.push(Template { id: id.clone(), name, created: now, default: 1, versions, tags });
        self.remember_template(token, request, &id, 1);
        let template = &self.templates[self.template(&Named::Id(id))?];
        xml.node("launchTemplate", |node| template.write(node, &self.creator()));
        Ok(xml)
    }

    pub(super) fn create_launch_template_version(&mut self, now: Timestamp, mut params: Params) -> Result<Xml, Fault> {
        let request = params.all().clone();
        let named = take_named(&mut params)?;
        let source = params.take("SourceVersion");
        let token = params.take("ClientToken").filter(|token| !token.is_empty());
        let description = params.take("VersionDescription");
        let data = take_data(&mut params)?;
        params.ignore(&["ResolveAlias"]);
        params.finish_request()?;
        let at = self.template(&named)?;
        let number = match self.made_template(token.as_deref(), &request)? {
            Some(made) => made.version,
            None => {
                let template = &mut self.templates[at];
                // A version with a source begins as its copy, and what is given replaces what the source has of it.
                let mut whole = match source {
                    Some(source) => template.versions[&template.number(Some(&source))?].data.clone(),
                    None => Texts::new(),
                };
                let root = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
                whole.retain(|name, _| !data.keys().any(|given| root(given) == root(name)));
                whole.extend(data);
                if whole.is_empty() {
                    return Err(Fault::missing("LaunchTemplateData"));
                }
                if template.versions.len() >= MOST_VERSIONS {
                    let message = "The launch template has too many versions.";
                    return Err(Fault::new("VersionLimitExceeded", message));
                }
                let number = template.latest() + 1;
                template.versions.insert(number, Version { created: now, description, data: whole });
                let id = template.id.clone();
                self.remember_template(token, request, &id, number);
                number
            }
        };
        let mut xml = Xml::default();
        xml.node("launchTemplateVersion", |node| self.templates[at].write_version(number, node, &self.creator()));
        Ok(xml)
    }

    pub(super) fn modify_launch_template(&mut self, mut params: Params) -> Result<Xml, Fault> {
        let named = take_named(&mut params)?;
        let version = params.take("SetDefaultVersion");
        params.ignore(&["ClientToken"]);
        params.finish_request()?;
        let at = self.template(&named)?;
        let version = version.ok_or_else(|| Fault::missing("SetDefaultVersion"))?;
        self.templates[at].default = self.templates[at].number(Some(&version))?;
        let mut xml = Xml::default();
        xml.node("launchTemplate", |node| self.templates[at].write(node, &self.creator()));
        Ok(xml)
    }

    pub(super) fn describe_launch_templates(&self, mut params: Params) -> Result<Xml, Fault> {
        let ids = params.list("LaunchTemplateId")?;
        let names = params.list("LaunchTemplateName")?;
        let filters = Filter::take(&mut params, &["launch-template-name", "tag-key"])?;
        let page = Page::take(&mut params, false, "", 1, 200)?;
        params.ignore(&["IncludeManagedResources"]);
        params.finish_request()?;
        let mut wanted = Vec::new();
        for named in ids.into_iter().map(Named::Id).chain(names.into_iter().map(Named::Name)) {
            wanted.push(self.template(&named)?);
        }
        let shown = self.templates.iter().enumerate().filter(|(at, template)| {
            (wanted.is_empty() || wanted.contains(at))
                && filters.iter().all(|filter| match filter.name.as_str() {
                    "launch-template-name" => filter.accepts(&template.name),
                    _ => super::tag_filter(filter, &template.tags),
                })
        });
        let (shown, next) = page.cut(shown, self.config.settings.page_size);
        let mut xml = Xml::default();
        xml.items("launchTemplates", shown, |item, template| template.write(item, &self.creator()));
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    pub(super) fn describe_launch_template_versions(&self, mut params: Params) -> Result<Xml, Fault> {
        let named = params.all().keys().any(|name| name.starts_with("LaunchTemplateI") || name == "LaunchTemplateName");
        let named = named.then(|| take_named(&mut params)).transpose()?;
        let versions = params.list("LaunchTemplateVersion")?;
        let least = params.take("MinVersion");
        let most = params.take("MaxVersion");
        let filters = Filter::take(&mut params, &["image-id", "instance-type", "is-default-version"])?;
        let page = Page::take(&mut params, false, "", 1, 200)?;
        params.ignore(&["IncludeManagedResources", "ResolveAlias"]);
        params.finish_request()?;
        let mut wanted = Vec::new();
        match &named {
            Some(named) => {
                let template = &self.templates[self.template(named)?];
                for version in &versions {
                    wanted.push((template, template.number(Some(version))?));
                }
                if versions.is_empty() {
                    let bound = |bound: &Option<String>| bound.as_deref().map(|b| template.number(Some(b))).transpose();
                    let (least, most) = (bound(&least)?.unwrap_or(1), bound(&most)?.unwrap_or(u64::MAX));
                    let inside = template.versions.keys().rev().filter(|number| (least..=most).contains(*number));
                    wanted.extend(inside.map(|number| (template, *number)));
                }
            }
            // Without a template the call tells of the default or latest versions of all.
            None if versions.is_empty() => return Err(Fault::missing("LaunchTemplateId")),
            None => {
                for version in &versions {
                    if !matches!(version.as_str(), "$Default" | "$Latest") {
                        return Err(Fault::value("LaunchTemplateVersion", version));
                    }
                    for template in &self.templates {
                        wanted.push((template, template.number(Some(version))?));
                    }
                }
            }
        }
        let shown = wanted.into_iter().filter(|(template, number)| {
            let data = &template.versions[number].data;
            filters.iter().all(|filter| match filter.name.as_str() {
                "image-id" => data.get("ImageId").is_some_and(|image| filter.accepts(image)),
                "instance-type" => data.get("InstanceType").is_some_and(|kind| filter.accepts(kind)),
                _ => filter.accepts(if template.default == *number { "true" } else { "false" }),
            })
        });
        let (shown, next) = page.cut(shown.enumerate(), self.config.settings.page_size);
        let mut xml = Xml::default();
        xml.items("launchTemplateVersionSet", shown, |item, (template, number)| {
            template.write_version(number, item, &self.creator());
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    /// What the request with this token has made before.
    fn made_template(&self, token: Option<&str>, request: &Texts) -> Result<Option<MadeTemplate>, Fault> {
        match token.and_then(|token| self.made_templates.get(token)) {
            None => Ok(None),
            Some(made) if made.request == *request => Ok(Some(made.clone())),
            Some(_) => Err(super::token::mismatch()),
        }
    }

    fn remember_template(&mut self, token: Option<String>, request: Texts, id: &str, version: u64) {
        if let Some(token) = token {
            self.made_templates.insert(token, MadeTemplate { request, id: id.into(), version });
        }
    }
}

fn take_named(params: &mut Params) -> Result<Named, Fault> {
    match (params.take("LaunchTemplateId"), params.take("LaunchTemplateName")) {
        (Some(id), None) => Ok(Named::Id(id)),
        (None, Some(name)) => Ok(Named::Name(name)),
        (None, None) => Err(Fault::missing("LaunchTemplateId")),
        (Some(_), Some(_)) => {
            let message = "Specify either a launch template ID or a launch template name, not both.";
            Err(Fault::new("InvalidParameterCombination", message))
        }
    }
}
