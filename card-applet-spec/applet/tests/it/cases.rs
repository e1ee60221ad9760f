//! How many cases a property tries.

/// Cases of a property: `default` for `make test`, more where somebody asks for them (`PROPTEST_CASES`).
pub(crate) fn cases(default: u32) -> proptest::test_runner::Config {
    let mut config = proptest::test_runner::Config {
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = default;
    }
    config
}
