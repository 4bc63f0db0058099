//! The built dwenv, as somebody at a terminal or a script meets it.

mod commands {
    mod declaration;
    mod files;
    mod first_steps;
    mod help;
    #[cfg(unix)]
    mod laptop;
    mod place;
    mod programs;
    mod room;
    mod targets;
}
