//! Doctor's command line and its formats: what is selected, saved, judged elsewhere, shared and told.

#[path = "commands/place.rs"]
mod place;
mod doctor {
    mod formats;
    mod offline;
    mod schema;
    mod selection;
}
