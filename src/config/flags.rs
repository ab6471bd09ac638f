//! The settings on the command line and in the help.

use std::collections::HashMap;

use clap::{Arg, ArgMatches, Command};

use super::Setting;

/// The width of the settings that [`without_flags`] describes, in characters.
const HELP_WIDTH: usize = 98;
/// Where their descriptions begin.
const HELP_INDENT: usize = 24;

/// Defines the flags of one part of the table.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident: $settings:expr, $heading:literal, requires $requires:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name(HashMap<Setting, String>);

        impl $name {
            /// These flags and this one.
            #[must_use]
            pub fn with(mut self, setting: Setting, value: &str) -> Self {
                self.0.insert(setting, value.to_owned());
                self
            }

            /// The settings that the command line sets.
            pub fn given(&self) -> impl Iterator<Item = Setting> {
                $settings.into_iter().filter(|setting| self.0.contains_key(setting))
            }

            /// What the command line says of a setting.
            pub(super) fn get(&self, setting: Setting) -> Option<&str> {
                self.0.get(&setting).map(String::as_str)
            }
        }

        impl clap::Args for $name {
            fn augment_args(command: Command) -> Command {
                let arguments = $settings.into_iter().filter_map(argument);
                command.args(arguments.map(|argument| {
                    let argument = argument.help_heading($heading);
                    match $requires {
                        Some(other) => argument.requires(other),
                        None => argument.global(true),
                    }
                }))
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl clap::FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                let mut flags = Self::default();
                flags.update_from_arg_matches(matches)?;
                Ok(flags)
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                let set = $settings.into_iter().filter(|setting| setting.flag().is_some());
                self.0.extend(set.filter_map(|setting| {
                    let value = matches.get_one::<String>(setting.name())?;
                    Some((setting, value.clone()))
                }));
                Ok(())
            }
        }
    };
}

flags!(
    /// The settings on the command line, as they were typed: they are checked together with those
    /// of the environment, so that one error names everything that is wrong.
    Flags: Setting::GENERAL,
    "Settings (each flag wins over its environment variable)",
    requires None::<&str>
);
flags!(
    /// The flags of `serve --http` and `serve --api`, as they were typed.
    HttpFlags: Setting::HTTP,
    "On a network (each flag wins over its environment variable, and .env sets none)",
    requires Some("network")
);

fn argument(setting: Setting) -> Option<Arg> {
    let (flag, value) = setting.flag_and_value()?;
    // The name of the variable is the id: no other argument of a command has it.
    Some(
        Arg::new(setting.name())
            .long(flag)
            .value_name(value)
            .help(setting.described()),
    )
}

/// The help for those of `settings` that have no flag: one indented paragraph each.
pub fn without_flags(settings: &[Setting]) -> String {
    let settings = settings.iter().filter(|setting| setting.flag().is_none());
    let paragraphs = settings.map(|setting| {
        let mut text = format!("  {:<1$}", setting.name(), HELP_INDENT - 3);
        let mut width = text.len();
        for word in setting.described().split(' ') {
            if width + 1 + word.len() > HELP_WIDTH {
                text.push_str(&format!("\n{:1$}", "", HELP_INDENT - 1));
                width = HELP_INDENT - 1;
            }
            text.push(' ');
            text.push_str(word);
            width += 1 + word.len();
        }
        text.push('\n');
        text
    });
    paragraphs.collect()
}
