//! The servers that are compared.

use std::path::PathBuf;

use http::StatusCode;

use super::store::copy_of;
use crate::server::{STORE, Server, directory};
use crate::stub::{Kind, Stub};

/// Where the servers have their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// In the embedded store, each in its own copy.
    Store,
    /// In Zep: all ask one emulator.
    Zep,
}

impl Backend {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Store => "on the embedded store",
            Self::Zep => "in front of Zep",
        }
    }

    /// The stubs that are compared.
    pub(super) fn stubs(self) -> &'static [Kind] {
        match self {
            Self::Store => &[Kind::Dicts, Kind::Typed],
            Self::Zep => &[Kind::Original, Kind::Tuned],
        }
    }
}

/// A server that is measured.
pub(super) struct Side {
    pub(super) name: String,
    pub(super) server: Server,
    /// What it answers to a message that was added.
    pub(super) created: StatusCode,
    /// The file with its messages.
    pub(super) store: PathBuf,
    /// Messages that it says to have stored.
    pub(super) told: usize,
    /// Messages that were stored while it was called.
    pub(super) stored: usize,
}

impl Side {
    fn stub(kind: Kind, server: Server, store: PathBuf) -> Self {
        let name = format!("FastAPI stub, {}", kind.name());
        Self::new(name, server, StatusCode::OK, store)
    }

    fn ours(name: &str, server: Server, store: PathBuf) -> Self {
        Self::new(name.to_owned(), server, StatusCode::CREATED, store)
    }

    fn new(name: String, server: Server, created: StatusCode, store: PathBuf) -> Self {
        Self {
            name,
            server,
            created,
            store,
            told: 0,
            stored: 0,
        }
    }
}

/// Servers that are called in turn: those of the stub first.
pub(super) struct Sides {
    /// Zep, if they ask it.
    pub(super) emulator: Option<Server>,
    pub(super) all: Vec<Side>,
}

impl Sides {
    /// Starts all servers of a comparison on copies of this server's store.
    pub(super) fn start(backend: Backend, filled: &Server, stub: Option<&Stub>) -> Self {
        match backend {
            Backend::Store => Self::on_store(filled, stub),
            Backend::Zep => Self::on_zep(filled, stub),
        }
    }

    fn on_store(filled: &Server, stub: Option<&Stub>) -> Self {
        let stubs = stub.into_iter().flat_map(|stub| {
            Backend::Store.stubs().iter().map(|&kind| {
                let server = stub.start(kind, STORE, copy_of(filled));
                let store = server.store();
                Side::stub(kind, server, store)
            })
        });
        let ours = |name, settings: &[(&str, &str)]| {
            let server = Server::start_with(copy_of(filled), &["--api"], settings);
            let store = server.store();
            Side::ours(name, server, store)
        };
        let own = [
            ours("zep-mcp-server", &[]),
            ours("without audit trail", &[("ZEP_MCP_AUDIT", "off")]),
        ];
        Self {
            emulator: None,
            all: stubs.chain(own).collect(),
        }
    }

    fn on_zep(filled: &Server, stub: Option<&Stub>) -> Self {
        let emulator = Server::emulator(copy_of(filled));
        let url = format!("http://{}", emulator.address);
        let stubs = stub.into_iter().flat_map(|stub| {
            Backend::Zep.stubs().iter().map(|&kind| {
                let server = stub.start(kind, &url, directory());
                Side::stub(kind, server, emulator.store())
            })
        });
        let settings = [
            ("MEMORY_BACKEND", "zep"),
            ("ZEP_API_URL", &url),
            ("ZEP_API_KEY", "z_any"),
        ];
        let own = Server::start_with(directory(), &["--api"], &settings);
        let own = Side::ours("zep-mcp-server", own, emulator.store());
        let all = stubs.chain([own]).collect();
        Self {
            emulator: Some(emulator),
            all,
        }
    }
}
