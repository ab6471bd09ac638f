//! A stand-in for mem0, and for the Qdrant below its library, to run their clients without them: `cargo run --example mem0_stand_in [PORT]`.
//!
//! Listens on 127.0.0.1, prints its address, and keeps everything in memory. `GET /_stand_in/requests`
//! answers the requests that came so far, `POST /_stand_in/memories` adds memories as they are.
#![allow(unreachable_pub, reason = "an executable has no public API")]

mod stand_in;

use stand_in::StandIn;

fn main() {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse());
    let stand_in = StandIn::listening_on(port.expect("a port"));
    println!("mem0's stand-in listens on {}", stand_in.url);
    loop {
        std::thread::park();
    }
}
