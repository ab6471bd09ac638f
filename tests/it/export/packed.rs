//! Directories, `.zip` and `.gz` files are exports like a file, and none of them can do harm.

use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::{Export, Source};

use super::{Each, Read, read};

const ANN: &str = r#"{"results": [{"id": "1", "memory": "tea", "user_id": "ann"}]}"#;

pub(crate) fn gz(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// A member of an archive, as [`zip`] writes it.
pub(crate) struct Member {
    name: Vec<u8>,
    content: Vec<u8>,
    method: u16,
    flags: u16,
    mode: u32,
    crc: Option<u32>,
}

pub(crate) fn member(name: &str, content: impl AsRef<[u8]>) -> Member {
    Member {
        name: name.as_bytes().to_owned(),
        content: content.as_ref().to_owned(),
        method: 8,
        flags: 0,
        mode: 0o100_644,
        crc: None,
    }
}

/// An archive. `wide`: with the fields of ZIP64.
fn zip_with(members: &[Member], wide: bool) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let mut crc = Crc::new();
        crc.update(&member.content);
        let crc = member.crc.unwrap_or(crc.sum());
        let packed = match member.method {
            8 => {
                let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
                packed.write_all(&member.content).unwrap();
                packed.finish().unwrap()
            }
            _ => member.content.clone(),
        };
        let offset = archive.len();
        let mut common = Vec::new();
        for number in [20, member.flags, member.method, 0, 0] {
            common.extend(u16::to_le_bytes(number));
        }
        common.extend(crc.to_le_bytes());
        let sizes = [packed.len(), member.content.len()];
        for size in sizes {
            let size = if wide { u32::MAX } else { size as u32 };
            common.extend(size.to_le_bytes());
        }
        common.extend((member.name.len() as u16).to_le_bytes());

        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(0u16.to_le_bytes());
        archive.extend(&member.name);
        archive.extend(packed);

        directory.extend(b"PK\x01\x02");
        directory.extend(0u16.to_le_bytes());
        directory.extend(&common);
        let mut extra = Vec::new();
        if wide {
            extra.extend([1, 0, 24, 0]);
            for number in [sizes[1], sizes[0], offset] {
                extra.extend((number as u64).to_le_bytes());
            }
        }
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 6]);
        directory.extend((member.mode << 16).to_le_bytes());
        let offset = if wide { u32::MAX } else { offset as u32 };
        directory.extend(offset.to_le_bytes());
        directory.extend(&member.name);
        directory.extend(extra);
    }
    let (at, size, count) = (archive.len(), directory.len(), members.len());
    archive.extend(directory);
    if wide {
        let end = archive.len() as u64;
        archive.extend(b"PK\x06\x06");
        archive.extend(44u64.to_le_bytes());
        archive.extend([0; 12]);
        for number in [count, count, size, at] {
            archive.extend((number as u64).to_le_bytes());
        }
        archive.extend(b"PK\x06\x07");
        archive.extend(0u32.to_le_bytes());
        archive.extend(end.to_le_bytes());
        archive.extend(1u32.to_le_bytes());
    }
    archive.extend(b"PK\x05\x06");
    archive.extend([0; 4]);
    let count = if wide { u16::MAX } else { count as u16 };
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    for number in [size, at] {
        let number = if wide { u32::MAX } else { number as u32 };
        archive.extend(number.to_le_bytes());
    }
    archive.extend(0u16.to_le_bytes());
    archive
}

pub(crate) fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, false)
}

fn read_path(path: &Path) -> Read {
    let mut items = Vec::new();
    let mut each = Each(|item| {
        items.push(item);
        ControlFlow::Continue(())
    });
    let export = Box::new(Export::file(path).unwrap());
    export.read(&mut each, &CancellationToken::new()).unwrap();
    Read { items }
}

/// Reads it as a file, which must say the same as from a stream.
fn read_file(bytes: &[u8]) -> Read {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("export");
    fs::write(&path, bytes).unwrap();
    let found = read_path(&path);
    assert_eq!(found, read(bytes));
    found
}

fn problems(found: &Read) -> Vec<String> {
    let problems = found.problems().into_iter();
    problems
        .map(|problem| format!("{}: {}", problem.position, problem.defect))
        .collect()
}

#[test]
fn a_gz_is_read_like_a_file() {
    assert_eq!(read_file(&gz(ANN.as_bytes())), read(ANN));
    // `gzip` appends members to one file.
    let lines: Vec<u8> = [
        "{\"memory\": \"a\", \"id\": 1}\n",
        "{\"memory\": \"b\", \"id\": 2}\n",
    ]
    .iter()
    .flat_map(|line| gz(line.as_bytes()))
    .collect();
    assert_eq!(read_file(&lines).whole().records().len(), 2);
}

#[test]
fn the_members_of_a_zip_are_named_in_positions() {
    let members = [
        member("a.json", ANN),
        Member {
            method: 0,
            ..member(
                "sub/b.jsonl",
                "{\"memory\": \"x\", \"user_id\": \"bob\"}\nnot JSON\n",
            )
        },
        member(
            "c.jsonl.gz",
            gz(b"{\"memory\": \"y\", \"user_id\": \"cid\"}"),
        ),
        member("d.zip", zip(&[member("a.json", ANN)])),
        member("sub/", ""),
        member("__MACOSX/._a.json", "x"),
    ];
    for wide in [false, true] {
        let archive = zip_with(&members, wide);
        // Also one that unpacks itself.
        for archive in [
            archive.clone(),
            [b"PK\x03\x04 stub", archive.as_slice()].concat(),
        ] {
            let found = read_file(&archive);
            assert_eq!(
                found.lines(),
                [
                    "a.json: results[0] memory ann/-/-/- user: tea",
                    "sub/b.jsonl: line 1 memory bob/-/-/- user: x",
                    "c.jsonl.gz: line 1 memory cid/-/-/- user: y",
                    "d.zip/a.json: results[0] memory ann/-/-/- user: tea",
                ]
            );
            let problems = problems(&found);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("sub/b.jsonl: line 2: this is not JSON"));
        }
    }
}

#[test]
fn the_files_of_a_directory_are_read_in_the_order_of_their_numbers() {
    let directory = TempDir::new().unwrap();
    let home = directory.path();
    fs::create_dir(home.join("more")).unwrap();
    for (name, memory) in [
        ("page10.json", "c"),
        ("page2.json", "b"),
        ("page1.json", "a"),
        ("more/x", "m"),
    ] {
        fs::write(
            home.join(name),
            format!(r#"{{"memory": "{memory}", "user_id": "u"}}"#),
        )
        .unwrap();
    }
    fs::write(
        home.join("page1.json.gz"),
        gz(br#"{"memory": "g", "user_id": "u"}"#),
    )
    .unwrap();
    fs::write(home.join(".DS_Store"), "\0\0").unwrap();
    fs::write(home.join("photo.png"), b"\x89PNG\0").unwrap();
    fs::write(home.join("memory.db"), b"SQLite format 3\0...").unwrap();
    let found = read_path(home);
    let said: Vec<_> = found
        .records()
        .iter()
        .map(|record| record.content.as_str())
        .collect();
    assert_eq!(said, ["m", "a", "g", "b", "c"]);
    let problems = problems(&found);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("memory.db: is a database, and was not read"),
        "{problems:?}"
    );
    assert!(
        problems[1].starts_with("photo.png: is neither JSON nor packed"),
        "{problems:?}"
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_neither_followed_nor_opened() {
    let directory = TempDir::new().unwrap();
    let home = directory.path().join("exports");
    fs::create_dir(&home).unwrap();
    fs::write(directory.path().join("secret.json"), ANN).unwrap();
    std::os::unix::fs::symlink("../secret.json", home.join("link.json")).unwrap();
    std::os::unix::fs::symlink(directory.path(), home.join("up")).unwrap();
    std::os::unix::net::UnixListener::bind(home.join("socket.json")).unwrap();
    let found = read_path(&home);
    assert!(found.records().is_empty());
    let problems = problems(&found);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("link.json: is a symbolic link, and was not followed"));
    assert!(problems[1].starts_with("socket.json: is not a plain file"));
    assert!(problems[2].starts_with("up: is a symbolic link"));
}

#[test]
fn a_damaged_member_is_named_and_the_others_are_read() {
    let archive = zip(&[
        Member {
            flags: 1,
            ..member("encrypted.json", ANN)
        },
        Member {
            method: 14,
            ..member("lzma.json", ANN)
        },
        Member {
            crc: Some(7),
            ..member("crc.json", ANN)
        },
        Member {
            mode: 0o120_777,
            method: 0,
            ..member("link.json", "/etc/passwd")
        },
        member("../../up\n.json", ANN),
        member("cut.json.gz", &gz(ANN.as_bytes())[..30]),
        member("empty.json", ""),
        member("last.json", ANN),
    ]);
    let found = read_file(&archive);
    let said = problems(&found);
    for expected in [
        "encrypted.json: is encrypted, and was not read; unpack it first",
        "lzma.json: is packed in a way that is unknown here (method 14)",
        "crc.json: is damaged (its checksum is wrong)",
        "link.json: is a symbolic link, and was not followed",
        "cut.json.gz: ends in the middle: it was cut off",
        "empty.json: line 1: nothing of mem0 was found here",
    ] {
        let here = said.iter().filter(|problem| problem.starts_with(expected));
        assert_eq!(here.count(), 1, "{expected}: {said:?}");
    }
    assert_eq!(said.len(), 6, "{said:?}");
    let lines = found.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[1].starts_with("../../up\u{FFFD}.json: results[0]"),
        "{lines:?}"
    );
    assert!(lines[2].starts_with("last.json"), "{lines:?}");
}

#[test]
fn a_broken_archive_is_one_problem_and_what_came_before_it_is_kept() {
    let archive = zip(&[member("a.json", ANN), member("b.json", ANN)]);
    for cut in [4, 30, archive.len() - 1] {
        assert!(
            read_file(&archive[..cut]).reason().contains("cut off"),
            "{cut}"
        );
    }
    assert!(read_file(&zip(&[])).reason().contains("no files"));
    let lines: String = (0..20_000)
        .map(|n| {
            format!(
                "{{\"id\": {n}, \"memory\": \"number {}\"}}\n",
                n * n % 7_919
            )
        })
        .collect();
    let packed = gz(lines.as_bytes());
    let found = read_file(&packed[..packed.len() / 2]);
    let kept = found.records().len();
    assert!((1_000..19_000).contains(&kept), "{kept}");
    assert_eq!(
        problems(&found),
        ["the source: ends in the middle: it was cut off; what follows was not read"]
    );
}

#[test]
fn layers_of_packing_are_bounded() {
    let mut packed = ANN.as_bytes().to_owned();
    for layer in 1..=4 {
        packed = gz(&packed);
        let found = read_file(&packed);
        assert_eq!(found.records().len(), usize::from(layer <= 3), "{layer}");
        assert_eq!(found.problems().len(), usize::from(layer > 3), "{layer}");
    }
    let inner = zip(&[member("a.zip", zip(&[member("a.json", ANN)]))]);
    let deep = zip(&[member("a.zip", zip(&[member("a.zip", &inner)]))]);
    assert_eq!(read_file(&inner).whole().records().len(), 1);
    assert!(
        read_file(&deep)
            .reason()
            .starts_with("is packed more than 3 times")
    );
}

#[test]
fn the_only_user_of_a_set_owns_what_names_nobody_in_it() {
    let described =
        r#"{"users": [{"id": "ann", "name": "Ann", "memories": [{"id": "1", "memory": "tea"}]}]}"#;
    let alone = "{\"id\": \"2\", \"memory\": \"rain\"}\n";
    let found = read_file(&zip(&[
        member("a.jsonl", alone),
        member("b.json", described),
    ]))
    .whole();
    let record = found.records()[0];
    let set = found.container(record.origin.container.unwrap()).unwrap();
    assert_eq!(set.user_of_rest.as_deref(), Some("ann"));

    for other in [
        // Somebody else is named, so whose it is cannot be known.
        r#"{"id": "3", "memory": "x", "user_id": "bob"}"#,
        r#"{"id": "bob", "name": "Bob", "messages": []}"#,
    ] {
        let archive = zip(&[
            member("a.jsonl", alone),
            member("b.json", described),
            member("c.json", other),
        ]);
        let found = read_file(&archive);
        assert!(
            found
                .containers()
                .iter()
                .all(|set| set.user_of_rest.is_none()),
            "{other}"
        );
    }
}

#[test]
fn a_large_file_is_unpacked_in_little_memory() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("large.jsonl.gz");
    let mut packed = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    let line = format!("{{\"memory\": \"{}\"}}\n", "x".repeat(10_000));
    for _ in 0..2_000 {
        packed.write_all(line.as_bytes()).unwrap();
    }
    packed.finish().unwrap();
    let mut count = 0;
    let mut each = Each(|_| {
        count += 1;
        ControlFlow::Continue(())
    });
    let export = Box::new(Export::file(&path).unwrap());
    export.read(&mut each, &CancellationToken::new()).unwrap();
    assert_eq!(count, 2_000);
}
