//! What hosts differ in: where their files are, how an entry starts a server, how it refers to a key.

use super::Host;
use super::document::{Section, Syntax};

/// Who shares a file, in the words of the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigScope {
    /// One user on this machine.
    User,
    /// A project, likely under version control: no key is written into its files.
    Project,
}

/// How an entry refers to a value that is not in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The host replaces the variable's name between this prefix and suffix.
    Interpolated(&'static str, &'static str),
    /// The host forwards the variables named in this member.
    Forwarded(&'static str),
    /// The host asks the user once and stores the value: `${input:…}`.
    Prompted,
}

/// How an entry starts a server: the names of its members.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The program.
    pub(super) program: &'static str,
    /// Its arguments; `None` if they follow the program in one list.
    pub(super) args: Option<&'static str>,
    /// Whether the arguments must be there even if there are none.
    pub(super) needs_args: bool,
    /// The variables.
    pub(super) env: &'static str,
    /// `type` of a server that the host starts.
    pub(super) stdio: &'static str,
    /// Further members that a new entry needs, as JSON; `NAME` stands for its name.
    pub(super) required: &'static [(&'static str, &'static str)],
}

/// The directories that files are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// The user's home directory.
    Home,
    /// `~/.config` on all systems; on Linux `XDG_CONFIG_HOME`.
    Xdg,
    /// Settings of applications: `~/.config`, `~/Library/Application Support`, `%APPDATA%`.
    Settings,
    /// Settings of Zed and of Goose: [`Base::Settings`] on Windows, else [`Base::Xdg`].
    WindowsOrXdg,
    /// The directory in a variable, else this one in the home directory.
    Variable(&'static str, &'static str),
    /// Hermes: `HERMES_HOME`, else `%LOCALAPPDATA%\hermes` or `~/.hermes`.
    Hermes,
    /// Claude Desktop from the Windows Store has its own roaming directory.
    ClaudeStore,
    /// `User` of VS Code and of its Insiders edition.
    VsCode,
    /// The profiles of both.
    VsCodeProfiles,
    /// `globalStorage` of an extension in VS Code and in editors made from it.
    Extension,
    /// The project: the working directory.
    Project,
}

/// A file of a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) base: Base,
    pub(super) path: &'static str,
    /// Its path on Windows, if another.
    pub(super) on_windows: Option<&'static str>,
    /// Its lists of servers. A new entry goes into the innermost that exists, else into the first.
    pub(super) sections: &'static [Section],
    pub(super) syntax: Syntax,
    pub(super) reference: Option<Reference>,
}

/// Where a host lists the plugins that it uses: the file's place and the member.
pub(super) struct Plugins {
    pub(super) base: Base,
    pub(super) path: &'static str,
    pub(super) syntax: Syntax,
    pub(super) member: &'static str,
    /// The command that removes one; its name follows.
    pub(super) remove: &'static str,
}

/// A host.
pub(super) struct Entry {
    pub(super) host: Host,
    pub(super) name: &'static str,
    pub(super) dialect: &'static Dialect,
    /// Its files. The first of the user is the one for a new entry.
    pub(super) places: &'static [Place],
    /// A directory that exists where the host is installed; without one, those of its files.
    pub(super) sign: Option<(Base, &'static str)>,
    pub(super) plugins: &'static [Plugins],
    /// How to make it start the server again.
    pub(super) restart: &'static str,
}

/// `command`, `args`, `env`: most hosts.
pub(super) const STANDARD: Dialect = Dialect {
    program: "command",
    args: Some("args"),
    needs_args: false,
    env: "env",
    stdio: "stdio",
    required: &[],
};
