//! What cannot be derived is refused where it stands, with the remedy. After a change of a message:
//! `TRYBUILD=overwrite cargo test -p cqrs-macros`.

#[test]
fn refusals_name_the_field_and_the_remedy() {
    trybuild::TestCases::new().compile_fail("tests/refusals/*.rs");
}
