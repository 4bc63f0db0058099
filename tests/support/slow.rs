//! A link to a box that is long: a TCP proxy on loopback that brings everything later, and counts how often one
//! side had to wait for the other.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Passes everything on to one address, in order, each piece one delay after it came, however much there is.
pub struct Slow {
    pub port: u16,
    links: Arc<Mutex<Vec<Arc<Link>>>>,
    ended: Arc<AtomicBool>,
}

/// How deep each side is in the conversation: what it sends now answers what it has been brought until now.
///
/// A piece from the near side is one deeper than the deepest that the near side has been brought; a piece from
/// the far side is as deep as the deepest that the far side has been brought. So the deepest answer counts the
/// round trips that had to be made one after the other, and none of those that were under way together.
#[derive(Default)]
struct Link {
    near: AtomicU64,
    far: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

/// What is under way.
struct Piece {
    due: Instant,
    depth: u64,
    bytes: Vec<u8>,
}

impl Slow {
    /// `delay` is that of one direction; a round trip takes two.
    pub fn before(address: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let slow = Self {
            port: listener.local_addr().expect("an address").port(),
            links: Arc::default(),
            ended: Arc::default(),
        };
        let (links, ended) = (slow.links.clone(), slow.ended.clone());
        thread::spawn(move || {
            for near in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(near) = near else { continue };
                let link = Arc::new(Link::default());
                links.lock().unwrap().push(link.clone());
                // A link that cannot be made ends like one that the box closed.
                thread::spawn(move || carry(near, address, delay, &link));
            }
        });
        slow
    }

    /// For each link that was made: how many round trips it took, one after the other, its making included.
    pub fn round_trips(&self) -> Vec<u64> {
        let links = self.links.lock().unwrap();
        let near = |link: &Arc<Link>| link.near.load(Ordering::SeqCst);
        links.iter().map(near).collect()
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for link in self.links.lock().unwrap().drain(..) {
            for stream in link.streams.lock().unwrap().drain(..) {
                // One that has ended already needs no end.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        // Wakes the listener, so that it ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Makes the link as TCP would: the near side may send after a round trip, the far side knows of it half of one later.
fn carry(
    near: TcpStream,
    address: SocketAddr,
    delay: Duration,
    link: &Arc<Link>,
) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    thread::sleep(2 * delay);
    link.near.store(1, Ordering::SeqCst);
    let (sender, there) = mpsc::channel();
    let from = near.try_clone()?;
    let reading = link.clone();
    thread::spawn(move || {
        take(from, &sender, delay, || {
            reading.near.load(Ordering::SeqCst) + 1
        })
    });
    thread::sleep(delay);
    // It hears that the link is made by what the near side sent then.
    link.far.store(2, Ordering::SeqCst);
    let far = match TcpStream::connect(address) {
        Ok(far) => far,
        Err(error) => {
            let _ = near.shutdown(Shutdown::Both);
            return Err(error);
        }
    };
    far.set_nodelay(true)?;
    let streams = [near.try_clone()?, far.try_clone()?];
    link.streams.lock().unwrap().extend(streams);
    let to = far.try_clone()?;
    let bringing = link.clone();
    thread::spawn(move || bring(to, &there, &bringing.far));
    let (sender, back) = mpsc::channel();
    let reading = link.clone();
    thread::spawn(move || take(far, &sender, delay, || reading.far.load(Ordering::SeqCst)));
    bring(near, &back, &link.near);
    Ok(())
}

/// Takes what comes, and sends it on its way.
fn take(
    mut from: TcpStream,
    sender: &mpsc::Sender<Piece>,
    delay: Duration,
    depth: impl Fn() -> u64,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let piece = Piece {
            due: Instant::now() + delay,
            depth: depth(),
            bytes: buffer[..count].to_vec(),
        };
        if sender.send(piece).is_err() {
            break;
        }
    }
}

/// Brings what is due, and then the end.
fn bring(mut to: TcpStream, pieces: &mpsc::Receiver<Piece>, deepest: &AtomicU64) {
    for piece in pieces {
        thread::sleep(piece.due.saturating_duration_since(Instant::now()));
        // Before it is there: who answers it may be quicker than this thread.
        deepest.fetch_max(piece.depth, Ordering::SeqCst);
        if to.write_all(&piece.bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
