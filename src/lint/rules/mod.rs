//! The rules, one file a group. A rule that is not told in section and verse by its `why` is none.

mod compose;
mod database;
mod images;
mod machine;
mod network;
mod scripts;

use super::{Language, Rule, Source};
use crate::workshop::is_untouched;

/// Every rule there is.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let groups: [&'static [Rule]; 6] = [
        machine::RULES,
        network::RULES,
        images::RULES,
        compose::RULES,
        database::RULES,
        scripts::RULES,
    ];
    groups.into_iter().flatten()
}

/// Whether dwenv wrote the file itself: what is wrong in it stands in config.toml, and is told there.
pub fn is_generated(file: &Source) -> bool {
    file.language == Language::Vagrantfile && is_untouched(&file.text)
}
