//! What the installation was founded as in which a command works: whether it takes `--at`.
//!
//! A terminal knows it from the anchors that it was enrolled with, and from its bundle, whose signer says it under the
//! pinned root. Both must say rehearsal. Looked at before anything is written; nothing is changed by looking.

use std::path::Path;

use card_reader::{Bundle, Pinned};
use program_contract::{Exit, Failure, Founded};

use crate::program::args::{Command, Enrolling, Material};
use crate::program::config::Config;
use crate::program::files;
use crate::program::terminal::{self, BUNDLE_MAX};

/// What the installation of a command's terminal was founded as. A command without a terminal shows none that were a rehearsal.
pub(crate) fn of(command: &Command) -> Result<Founded, Failure> {
    match command {
        Command::List(_) | Command::Info(_) => Ok(Founded::Real),
        Command::Bus(serving)
        | Command::Door(serving)
        | Command::Clinic(serving)
        | Command::Insurance(serving) => of_material(&serving.material),
        Command::Identity(identifying) => of_material(&identifying.material),
        Command::Shop(shopping) => configured(&shopping.config),
        Command::Run(running) => configured(&running.config),
        Command::Inspect(inspecting) => match &inspecting.bundle {
            Some(bundle) => of_files(
                &terminal::key_of(bundle, inspecting.terminal_key.as_deref()),
                bundle,
            ),
            None => Ok(Founded::Real),
        },
        Command::Enrol(enrolling) => Ok(anchors(enrolling)?.founded()),
        Command::Sync(syncing) => configured(&syncing.config),
        Command::SelfTest(testing) => configured(&testing.config),
        Command::WhatCanItDo(holding) => of_material(&holding.material),
    }
}

/// The anchors that a new terminal pins.
pub(crate) fn anchors(enrolling: &Enrolling) -> Result<Pinned, Failure> {
    let anchors = files::read(&enrolling.anchors, 1 << 16)?;
    Pinned::from_anchors_json(&anchors).map_err(|error| {
        // A wrong file was given; nothing of this terminal is damaged.
        let mut failure = Failure::from(error);
        failure.exit = Exit::Usage;
        failure
    })
}

fn of_material(material: &Material) -> Result<Founded, Failure> {
    match (&material.config, &material.bundle) {
        (Some(config), _) => configured(config),
        (None, Some(bundle)) => of_files(
            &terminal::key_of(bundle, material.terminal_key.as_deref()),
            bundle,
        ),
        (None, None) => Ok(Founded::Real),
    }
}

fn configured(config: &Path) -> Result<Founded, Failure> {
    let config = Config::read(config)?;
    of_files(&config.key, &config.state.join("bundle.yztb"))
}

fn of_files(key: &Path, bundle: &Path) -> Result<Founded, Failure> {
    let key = terminal::key(key)?;
    let pinned = key.pinned().founded();
    if !pinned.is_rehearsal() || !bundle.exists() {
        return Ok(pinned);
    }
    // With a bundle that does not open nothing is done, and the command itself says why.
    Ok(Bundle::founded(&files::read(bundle, BUNDLE_MAX)?, &key).unwrap_or(pinned))
}
