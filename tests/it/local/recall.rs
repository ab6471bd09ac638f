//! Recall on our own questions about our own conversations: the share of a question's evidence
//! turns among the first ten results.
//!
//! There are two sets. One has the style and the proportions of LoCoMo, written by an author who
//! had seen neither this search nor its results, and is unchanged since (`questions.json` says
//! how). The other (`conversations.json`) is harder on purpose: many of its questions share no
//! content word with their evidence. The asserted values are the first measurements, rounded down:
//! recall must not drop.

use std::collections::HashMap;

use serde::Deserialize;
use zep_mcp_server::zep::{Graphs, NewMessage, Role, Search, SearchScope, Threads, UserId, Uuid};

use super::{Home, message, of, question};

/// The average recall of the LoCoMo-like questions, rounded down.
const RECALL: f64 = 0.85;
/// The average recall of the harder ones.
const RECALL_OF_HARD: f64 = 0.55;
/// The number of results considered.
const RESULTS: u32 = 10;

#[derive(Deserialize)]
struct Fixture {
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Conversation {
    /// The first is stored with the role user, the other with assistant.
    people: [String; 2],
    sessions: Vec<Session>,
    questions: Vec<Asked>,
}

/// The LoCoMo-like questions, about the same conversations.
#[derive(Deserialize)]
struct Questions {
    conversations: Vec<AboutOne>,
}

#[derive(Deserialize)]
struct AboutOne {
    people: [String; 2],
    questions: Vec<Asked>,
}

#[derive(Deserialize)]
struct Session {
    /// Its start. The turns follow at one-minute intervals.
    at: jiff::Timestamp,
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    id: String,
    by: String,
    text: String,
}

#[derive(Deserialize)]
struct Asked {
    question: String,
    /// Ids of the turns that answer it.
    evidence: Vec<String>,
}

/// A set of questions.
#[derive(Clone, Copy, PartialEq)]
enum Set {
    /// LoCoMo-like.
    Locomo,
    /// Harder.
    Hard,
}

/// The conversations with this set's questions.
fn conversations(set: Set) -> Vec<Conversation> {
    let text = include_str!("../../fixtures/recall/conversations.json");
    let mut conversations = serde_json::from_str::<Fixture>(text).unwrap().conversations;
    if set == Set::Locomo {
        let text = include_str!("../../fixtures/recall/questions.json");
        let questions = serde_json::from_str::<Questions>(text)
            .unwrap()
            .conversations;
        assert_eq!(questions.len(), conversations.len());
        for (said, about) in conversations.iter_mut().zip(questions) {
            assert_eq!(said.people, about.people);
            said.questions = about.questions;
        }
    }
    conversations
}

/// How the turns of a session are stored.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    /// In one thread.
    Together,
    /// Each in its own thread, so that none has neighbours.
    Apart,
}

type Stored = HashMap<String, Uuid>;

/// Stores a conversation for this user. Returns the message of each turn.
async fn store(home: &Home, user: &UserId, name: &str, said: &Conversation, kept: Kept) -> Stored {
    let mut stored = Stored::new();
    for (number, session) in said.sessions.iter().enumerate() {
        let mut messages = Vec::new();
        for (minute, turn) in (0..).zip(&session.turns) {
            assert!(said.people.contains(&turn.by), "{}", turn.by);
            let role = match turn.by == said.people[0] {
                true => Role::User,
                false => Role::Assistant,
            };
            messages.push(NewMessage {
                role,
                name: Some(turn.by.clone()),
                created_at: Some(session.at + jiff::SignedDuration::from_mins(minute)),
                ..message(&turn.text)
            });
        }
        let mut uuids = Vec::new();
        let size = if kept == Kept::Together { 30 } else { 1 };
        let mut thread = None;
        for (place, chunk) in messages.chunks(size).enumerate() {
            if kept == Kept::Apart || thread.is_none() {
                let id = format!("{name}-{number}-{place}");
                thread = Some(home.thread(&id, user).await);
            }
            let added = home.zep.add_messages(thread.as_ref().unwrap(), chunk).await;
            uuids.extend(added.unwrap().message_uuids);
        }
        assert_eq!(uuids.len(), session.turns.len());
        for (turn, uuid) in session.turns.iter().zip(uuids) {
            assert!(
                stored.insert(turn.id.clone(), uuid).is_none(),
                "{}",
                turn.id
            );
        }
    }
    stored
}

/// The share of its evidence found for each question.
async fn shares(home: &Home, user: &UserId, said: &Conversation, stored: &Stored) -> Vec<f64> {
    let mut shares = Vec::new();
    for asked in &said.questions {
        let search = Search {
            scope: SearchScope::Episodes,
            limit: Some(RESULTS),
            ..question(&asked.question)
        };
        let found = home.zep.search(&of(user), &search).await.unwrap().episodes;
        assert!(found.len() <= RESULTS as usize);
        let there = |id: &&String| found.iter().any(|episode| episode.uuid == stored[*id]);
        let hits = asked.evidence.iter().filter(there).count();
        if hits < asked.evidence.len() {
            println!("  missed: {} {:?}", asked.question, asked.evidence);
        }
        shares.push(hits as f64 / asked.evidence.len() as f64);
    }
    shares
}

fn mean(shares: &[f64]) -> f64 {
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// The average over all questions, with one user per conversation.
async fn recall(set: Set, kept: Kept) -> f64 {
    let home = Home::new();
    let mut all = Vec::new();
    for said in conversations(set) {
        let name = said.people.join("-");
        let user = home.user(&name).await;
        let stored = store(&home, &user, &name, &said, kept).await;
        let shares = shares(&home, &user, &said, &stored).await;
        println!("{name}: {:.3} of {}", mean(&shares), shares.len());
        all.extend(shares);
    }
    println!("all: {:.3} of {}", mean(&all), all.len());
    mean(&all)
}

/// The same with all conversations of one user: as many turns as a LoCoMo conversation.
async fn recall_of_one_user(set: Set) -> f64 {
    let home = Home::new();
    let user = home.user("all").await;
    let mut stored = Vec::new();
    for said in conversations(set) {
        let name = said.people.join("-");
        let turns = store(&home, &user, &name, &said, Kept::Together).await;
        stored.push((said, turns));
    }
    let mut all = Vec::new();
    for (said, turns) in &stored {
        all.extend(shares(&home, &user, said, turns).await);
    }
    mean(&all)
}

#[tokio::test]
async fn recall_of_questions_like_locomos_does_not_drop() {
    let of_one_user = recall_of_one_user(Set::Locomo).await;
    let recall = recall(Set::Locomo, Kept::Together).await;
    println!("with all conversations one user's: {of_one_user:.3}");
    assert!(recall >= RECALL, "{recall:.3} of the evidence was found");
}

#[tokio::test]
async fn recall_of_hard_questions_does_not_drop() {
    let of_one_user = recall_of_one_user(Set::Hard).await;
    let recall = recall(Set::Hard, Kept::Together).await;
    println!("with all conversations one user's: {of_one_user:.3}");
    assert!(
        recall >= RECALL_OF_HARD,
        "{recall:.3} of the evidence was found"
    );
}

#[tokio::test]
async fn neighbours_improve_recall() {
    for set in [Set::Locomo, Set::Hard] {
        let with = recall(set, Kept::Together).await;
        let without = recall(set, Kept::Apart).await;
        assert!(with > without, "{with:.3} with, {without:.3} without");
    }
}
