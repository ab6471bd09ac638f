//! Which tools the MCP server has.

use std::fmt;

use super::Tool;

/// A choice of tools, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools(Vec<Tool>);

impl Tools {
    /// Our own five, for hosts that take few tools.
    const CORE: [Tool; 5] = [
        Tool::AddMemory,
        Tool::SearchMemory,
        Tool::GetSession,
        Tool::MigrateUser,
        Tool::ValidateMigration,
    ];

    /// All tools.
    pub fn all() -> Self {
        Self(Tool::ALL.to_vec())
    }

    /// Whether this tool is among them.
    pub fn has(&self, tool: Tool) -> bool {
        self.0.contains(&tool)
    }

    /// Every tool that there is, chosen or not.
    pub fn known() -> &'static [Tool] {
        Tool::ALL
    }

    /// Reads `all`, `core`, or names separated by commas.
    pub(super) fn parse(raw: &str) -> Result<Self, String> {
        let mut tools = Vec::new();
        for word in raw
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            let chosen = match word.to_ascii_lowercase().as_str() {
                "all" => Tool::ALL.to_vec(),
                "core" => Self::CORE.to_vec(),
                name => vec![Tool::parse(name)?],
            };
            for tool in chosen {
                if !tools.contains(&tool) {
                    tools.push(tool);
                }
            }
        }
        if tools.is_empty() {
            return Err(
                "names no tool; it may be `all`, `core`, or tools separated by commas".to_owned(),
            );
        }
        Ok(Self(tools))
    }
}

impl Default for Tools {
    fn default() -> Self {
        Self::all()
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == Tool::ALL.len() {
            return f.write_str("all");
        }
        let names: Vec<_> = self.0.iter().map(|tool| tool.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
