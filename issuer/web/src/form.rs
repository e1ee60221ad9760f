//! The fields of a form or of an address: as they were sent, and as the office reads what people type (`crate::typed`).

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use permit_domain::EvidenceForm;

use crate::typed;

/// The largest body of a form, bytes.
pub(crate) const FORM_LIMIT: usize = 64 * 1024;

/// Names and values, in the order of the form.
pub(crate) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = FormRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, FormRejection> {
        Form::from_request(request, state)
            .await
            .map(|Form(fields)| Self(fields))
    }
}

impl Fields {
    /// Of a form that nobody has filled in yet.
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Every field but those whose name begins so, as it was sent.
    pub(crate) fn without(&self, prefix: &str) -> Vec<(String, String)> {
        let kept = self.0.iter().filter(|(name, _)| !name.starts_with(prefix));
        kept.cloned().collect()
    }

    /// The value of a field without the blanks around it; nothing where it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(of, _)| of == name)
            .map_or("", |(_, value)| value.trim())
    }

    /// A number or a code, as [`typed::token`] reads it.
    pub(crate) fn token(&self, name: &str) -> String {
        typed::token(self.text(name))
    }

    /// A number, as [`typed::number`] reads it.
    pub(crate) fn number(&self, name: &str) -> String {
        typed::number(self.text(name))
    }

    /// A day, as [`typed::day`] reads it.
    pub(crate) fn day(&self, name: &str) -> String {
        typed::day(self.text(name))
    }

    /// An address or another line of text, as [`typed::line`] reads it.
    pub(crate) fn line(&self, name: &str) -> String {
        typed::line(self.text(name))
    }

    /// A name, as [`typed::name`] reads it.
    pub(crate) fn name(&self, name: &str) -> String {
        typed::name(self.text(name))
    }

    /// The months of insurance.
    pub(crate) fn insurance_months(&self) -> String {
        typed::months(self.text("insurance_months"))
    }

    /// The papers that were ticked, with the days that stand beside them.
    pub(crate) fn papers(&self) -> Vec<EvidenceForm> {
        let papers = self.all("evidence").map(|code| EvidenceForm {
            code: code.into(),
            from: self.day(&format!("{code}.from")).into(),
            to: typed::last_day(self.text(&format!("{code}.to"))).into(),
        });
        papers.collect()
    }

    /// Fields that were kept before.
    pub(crate) const fn kept(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// All that was typed, but for the fields with these names.
    pub(crate) fn typed(&self, without: &[&str]) -> Vec<(String, String)> {
        let typed = self
            .0
            .iter()
            .filter(|(name, _)| !without.contains(&name.as_str()));
        typed.cloned().collect()
    }

    /// Whether the form has this field, and nothing in it.
    pub(crate) fn is_empty_there(&self, name: &str) -> bool {
        let mut all = self.all(name).peekable();
        all.peek().is_some() && all.all(str::is_empty)
    }

    /// With one field more.
    pub(crate) fn with(mut self, name: &str, value: String) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    /// Every value of a field that can be chosen more than once.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(of, _)| of == name)
            .map(|(_, value)| value.trim())
    }
}
