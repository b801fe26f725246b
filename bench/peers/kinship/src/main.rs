//! kinship-packets COUNT MEMBERS FIRST INCARNATION KEY: what the blaster sends a kinship node.
//!
//! Writes COUNT pings of node `node`, each behind its length, with five alives about MEMBERS members
//! in turn where MEMBERS is not 0. Packet number FIRST comes first, and all claims before it are of
//! older incarnations; an INCARNATION that is not 0 is that of all. KEY is 64 hex digits, or `-`.
//! kinship-core 0.4.0 sets the cluster label and the limits, so that they are its own.

use kinship_core::{Config, Security};
use kinship_proto::{Alive, Codec, Key, Message, NodeId, PacketKind, Ping};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

const CLAIMS: u32 = 5;
const META: [u8; 64] = [7; 64];

fn address(member: u32) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], (10001 + (member - 1) % 50000) as u16))
}

fn codec(key: &str) -> Codec {
    let config = Config::lan(Security::InsecurePlaintext);
    let label = config.cluster.as_bytes();
    if key == "-" {
        return Codec::insecure_plaintext(label, config.limits).unwrap();
    }
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap();
    }
    Codec::encrypted(label, config.limits, vec![Key::from_bytes(bytes)]).unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| arguments[i].parse::<u32>().unwrap();
    let (count, members, first, fixed) = (number(0), number(1), number(2), number(3));
    let codec = codec(&arguments[4]);
    let names: Vec<String> = (1..=members.max(1)).map(|i| format!("member-{i:06}")).collect();
    // A nonce begins with the time of the cluster; its members adopt ours, up to 2^40 ms ahead.
    let cluster_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64 % (1 << 40);
    let mut random = BufReader::new(File::open("/dev/urandom").unwrap());
    let mut out = BufWriter::new(std::io::stdout());
    for packet in first..first + count {
        let mut messages = vec![Message::Ping(Ping {
            seq: 100_000 + packet,
            target: NodeId::new("node").unwrap(),
            source: NodeId::new("member-000001").unwrap(),
            source_addr: address(1),
        })];
        for claim in 0..if members > 0 { CLAIMS } else { 0 } {
            let n = packet * CLAIMS + claim;
            messages.push(Message::Alive(Alive {
                inc: if fixed > 0 { fixed } else { 2 + n / members },
                node: NodeId::new(&names[(n % members) as usize]).unwrap(),
                addr: address(n % members + 1),
                meta: &META,
                vmin: 1,
                vmax: 1,
                epoch: 0,
            }));
        }
        let mut nonce = [0; 24];
        random.read_exact(&mut nonce[8..]).unwrap();
        nonce[..8].copy_from_slice(&cluster_ms.to_be_bytes());
        let mut sealed = Vec::new();
        codec.seal(PacketKind::Datagram, &messages, &nonce, &mut sealed).unwrap();
        out.write_all(&(sealed.len() as u32).to_le_bytes()).unwrap();
        out.write_all(&sealed).unwrap();
    }
}
