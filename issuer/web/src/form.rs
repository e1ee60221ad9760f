//! The fields of a form or of an address, as they were sent.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};

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

    /// Of what is on file.
    pub(crate) const fn of(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// The value of a field without the blanks around it; nothing where it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(of, _)| of == name)
            .map_or("", |(_, value)| value.trim())
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

    /// Every value of a field that can be chosen more than once.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(of, _)| of == name)
            .map(|(_, value)| value.trim())
    }
}
