//! A link to a box that can be cut: a TCP proxy on loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Passes everything on to one address, until it is told to cut or to hold it back.
pub struct Cutter {
    pub port: u16,
    links: Arc<Mutex<Vec<TcpStream>>>,
    /// Whether new links are cut as soon as they are there.
    refuses: Arc<AtomicBool>,
    /// How many more bytes go through before the cut; negative when none is wanted.
    budget: Arc<AtomicI64>,
    passed: Arc<AtomicI64>,
    ended: Arc<AtomicBool>,
    held: Arc<Held>,
}

/// Whether what comes is held back.
#[derive(Default)]
struct Held {
    is_held: Mutex<bool>,
    changed: Condvar,
}

impl Held {
    fn set(&self, is_held: bool) {
        *self.is_held.lock().unwrap() = is_held;
        self.changed.notify_all();
    }

    fn await_release(&self) {
        let is_held = self.is_held.lock().unwrap();
        drop(self.changed.wait_while(is_held, |is_held| *is_held));
    }
}

impl Cutter {
    pub fn before(address: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let cutter = Self {
            port: listener.local_addr().expect("an address").port(),
            links: Arc::default(),
            refuses: Arc::default(),
            budget: Arc::new(AtomicI64::new(-1)),
            passed: Arc::default(),
            ended: Arc::default(),
            held: Arc::default(),
        };
        let held = cutter.held.clone();
        let (links, budget) = (cutter.links.clone(), cutter.budget.clone());
        let refuses = cutter.refuses.clone();
        let (passed, ended) = (cutter.passed.clone(), cutter.ended.clone());
        thread::spawn(move || {
            for near in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                if refuses.load(Ordering::SeqCst) {
                    continue;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(address)) else {
                    continue;
                };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let both = [(&near, &far), (&far, &near)];
                for (from, to) in both.map(|(a, b)| (a.try_clone(), b.try_clone())) {
                    let (Ok(from), Ok(to)) = (from, to) else {
                        continue;
                    };
                    let (links, budget, passed) = (links.clone(), budget.clone(), passed.clone());
                    let held = held.clone();
                    thread::spawn(move || pass(from, to, &links, &budget, &passed, &held));
                }
                links.lock().unwrap().extend([near, far]);
            }
        });
        cutter
    }

    /// Cuts every link there is now. New ones are let through.
    pub fn cut(&self) {
        cut(&self.links);
    }

    /// The same, and new ones are cut as well.
    pub fn cut_for_good(&self) {
        self.refuses.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Cuts once, after so many bytes more.
    pub fn cut_after(&self, bytes: i64) {
        self.budget.store(bytes, Ordering::SeqCst);
    }

    /// Nothing goes through from now on, and nothing is lost.
    pub fn hold(&self) {
        self.held.set(true);
    }

    /// What was held back goes through.
    pub fn release(&self) {
        self.held.set(false);
    }

    /// How many bytes went through, both ways.
    pub fn passed(&self) -> i64 {
        self.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.release();
        self.cut();
        // Wakes the listener, so that it ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn cut(links: &Mutex<Vec<TcpStream>>) {
    for link in links.lock().unwrap().drain(..) {
        // One that has ended already needs no cut.
        let _ = link.shutdown(Shutdown::Both);
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    links: &Mutex<Vec<TcpStream>>,
    budget: &AtomicI64,
    passed: &AtomicI64,
    held: &Held,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        held.await_release();
        let before = budget.load(Ordering::SeqCst);
        let mut through = count;
        if before >= 0 {
            let left = budget.fetch_sub(count as i64, Ordering::SeqCst);
            through = count.min(usize::try_from(left).unwrap_or(0));
        }
        passed.fetch_add(through as i64, Ordering::SeqCst);
        if to.write_all(&buffer[..through]).is_err() {
            break;
        }
        if through < count {
            budget.store(-1, Ordering::SeqCst);
            cut(links);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
