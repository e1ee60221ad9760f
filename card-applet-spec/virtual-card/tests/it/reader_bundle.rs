//! What a terminal loads and what it refuses to load (chapter 08), with real seals and signatures.

use std::path::Path;
use std::process::Command;

use crate::pcsc_fixture::{AT, program};
use crate::reader_fixture::{Certificates, Issuer, Wanted, day, today};
use card_applet_spec::certificate::CertificateName;
use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::rehearsal;
use card_reader::{Bundle, Check, Error, MaterialError, Pinned, TerminalKey};
use program_contract::Founded;

fn material(result: Result<Bundle, Error>) -> MaterialError {
    match result {
        Err(Error::Material(error)) => error,
        other => panic!("not refused for its material: {other:?}"),
    }
}

fn wanted() -> Wanted {
    Wanted::of(&[Role::Clinic]).and(Certificates::with(Rights::role(Role::Clinic)))
}

#[test]
fn a_bundle_says_what_it_is_for() {
    let mut issuer = Issuer::new(1);
    let (key, bundle) = issuer.terminal(&wanted());
    assert_eq!(bundle.terminal(), key.name());
    assert_eq!((bundle.sequence(), bundle.last_day()), (5, day("2026-12-31")));
    assert!(bundle.serves(Role::Clinic) && !bundle.serves(Role::Transit));
    assert_eq!(bundle.chain().unwrap().rights(), Rights::role(Role::Clinic));
    assert_eq!(bundle.anchors().card_ca, issuer.card_ca.public());
}

#[test]
fn a_bundle_says_rehearsal_under_its_signature_and_a_real_one_cannot_be_made_to() {
    let mut issuer = Issuer::new(9);
    let key = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&wanted(), &key);
    let sealed = issuer.seal(plain.clone(), &key);
    assert_eq!(Bundle::founded(&sealed, &key), Ok(Founded::Rehearsal));
    // Every authority that ever signed a bundle before there were rehearsals is a real one's.
    for authority in ["YZT-TERM", "YZTROOT"] {
        issuer.root_name = CertificateName::new(authority, 1, 1);
        let real = issuer.plain_bundle(&wanted(), &key);
        let sealed = issuer.seal(real.clone(), &key);
        assert_eq!(Bundle::founded(&sealed, &key), Ok(Founded::Real), "{authority}");
        let name = issuer.root_name.0;
        let forged = CertificateName::new(rehearsal::AUTHORITY, 1, 1).0;
        let at = real.windows(16).position(|window| window == name).unwrap();
        let mut changed = real.clone();
        changed[at..at + 16].copy_from_slice(&forged);
        let sealed = issuer.seal(changed, &key);
        assert_eq!(
            Bundle::founded(&sealed, &key),
            Err(MaterialError::BundleSignature),
            "{authority}"
        );
    }
    // The program believes the bundle, whatever its key file was made to say.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key_file, bundle) = (path("bundle.key"), path("bundle"));
    key.save_new(Path::new(&key_file)).unwrap();
    let real = issuer.plain_bundle(&wanted(), &key);
    std::fs::write(&bundle, issuer.seal(real, &key)).unwrap();
    let run = |bundle: &str| {
        let asked = ["what-can-it-do", "--bundle", bundle, "--at", AT, "--json"];
        let output = Command::new(program()).args(asked).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(run(&bundle)["error"]["code"], "NOT_A_REHEARSAL");
    assert!(
        !Path::new(&format!("{key_file}.sequence")).exists(),
        "nothing was loaded"
    );
    std::fs::write(&bundle, issuer.seal(plain, &key)).unwrap();
    assert_eq!(run(&bundle)["rehearsal"], true);
}

#[test]
fn a_bundle_of_another_terminal_is_refused() {
    let mut issuer = Issuer::new(2);
    let ours = issuer.enrol("terminal 1");
    let theirs = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&wanted(), &theirs);
    let sealed = issuer.seal(plain, &theirs);
    assert_eq!(
        material(Bundle::open(&sealed, &ours, None, today())),
        MaterialError::BundleSeal
    );
    // Sealed to us, made for a terminal of another name.
    let other = issuer.enrol("terminal 2");
    assert_eq!(
        material(issuer.bundle(&wanted(), &other)),
        MaterialError::BundleName
    );
    // Sealed to us, with a leaf for another terminal's key.
    let plain = issuer.plain_bundle(&wanted(), &theirs);
    let sealed = issuer.seal(plain, &ours);
    assert_eq!(
        material(Bundle::open(&sealed, &ours, None, today())),
        MaterialError::BundleForm
    );
}

#[test]
fn a_bundle_of_another_authority_is_refused() {
    let mut issuer = Issuer::new(3);
    let pinned = Pinned {
        vault: [7; 16],
        root: Issuer::new(4).root.public(),
    };
    let key = TerminalKey::generate("terminal 1".parse().unwrap(), pinned, &mut issuer.rng);
    assert_eq!(
        material(issuer.bundle(&wanted(), &key)),
        MaterialError::BundleSignature
    );
}

#[test]
fn an_older_bundle_is_never_loaded_and_the_same_one_is() {
    let mut issuer = Issuer::new(5);
    let key = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&wanted(), &key);
    let sealed = issuer.seal(plain, &key);
    assert_eq!(
        material(Bundle::open(&sealed, &key, Some(6), today())),
        MaterialError::BundleOlder {
            offered: 5,
            loaded: 6
        }
    );
    for loaded in [None, Some(4), Some(5)] {
        assert_eq!(
            Bundle::open(&sealed, &key, loaded, today()).unwrap().sequence(),
            5
        );
    }
    assert_eq!(
        Bundle::open(&sealed, &key, None, day("2027-01-01")).unwrap_err(),
        Check::BundleDays.into()
    );
}

#[test]
fn any_single_bit_flipped_in_a_sealed_bundle_is_refused() {
    let mut issuer = Issuer::new(6);
    let key = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&Wanted::of(&[Role::Clinic]), &key);
    let sealed = issuer.seal(plain, &key);
    Bundle::open(&sealed, &key, None, today()).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            material(Bundle::open(&damaged, &key, None, today())),
            MaterialError::BundleSeal
        );
    }
}

#[test]
fn any_single_bit_flipped_under_the_seal_is_refused() {
    let mut issuer = Issuer::new(7);
    let key = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&Wanted::of(&[Role::Clinic]), &key);
    for bit in 0..plain.len() * 8 {
        let mut damaged = plain.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let sealed = issuer.seal(damaged, &key);
        assert!(matches!(
            material(Bundle::open(&sealed, &key, None, today())),
            MaterialError::BundleSignature | MaterialError::BundleForm
        ));
    }
}

#[test]
fn a_bundle_cut_anywhere_or_of_random_bytes_is_refused_without_panic() {
    let mut issuer = Issuer::new(8);
    let key = issuer.enrol("terminal 1");
    let plain = issuer.plain_bundle(&wanted(), &key);
    let sealed = issuer.seal(plain.clone(), &key);
    for length in 0..sealed.len() {
        assert_eq!(
            material(Bundle::open(&sealed[..length], &key, None, today())),
            MaterialError::BundleSeal
        );
    }
    for length in (0..plain.len()).step_by(7) {
        let sealed = issuer.seal(plain[..length].to_vec(), &key);
        let error = material(Bundle::open(&sealed, &key, None, today()));
        assert!(
            matches!(error, MaterialError::BundleForm | MaterialError::BundleSignature),
            "{error:?}"
        );
    }
    for _ in 0..500 {
        let bytes = issuer.random::<400>().to_vec();
        let sealed = issuer.seal(bytes, &key);
        material(Bundle::open(&sealed, &key, None, today()));
    }
}
