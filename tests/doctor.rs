//! Doctor's command line and its formats: what is selected, saved, judged elsewhere, shared and told.

#[path = "commands/place.rs"]
#[allow(
    dead_code,
    reason = "the tests of the other commands use the rest of it"
)]
mod place;
mod doctor {
    mod formats;
    #[path = "../support/json_schema.rs"]
    mod json_schema;
    mod offline;
    mod schema;
    mod selection;
    mod time;
}
