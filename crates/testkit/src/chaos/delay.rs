//! Delayed packets, where the kernel has no `netem`: rules of the bridge put them on a TAP device, `socat` hands each as a datagram
//! to this program, and this program gives it back when its time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::Process;
use crate::walker::dice::Dice;

/// A packet arrives this much later: 75 ms, 50 ms more or less.
const DELAY_MS_MIN: u64 = 25;
const DELAY_MS_SPREAD: usize = 101;

/// No frame is longer.
const FRAME_BYTES_MAX: usize = 1 << 16;

/// How long the line sleeps when it carries nothing.
const IDLE: Duration = Duration::from_millis(100);

/// The detour at work. Dropping it ends it.
#[derive(Debug)]
pub(super) struct DelayLine {
    _carrier: Process,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DelayLine {
    /// Takes over everything that is sent out on `device`.
    pub(super) fn start(folder: &Path, device: &str, seed: u64) -> anyhow::Result<Self> {
        let (ours, theirs) = (folder.join("delay-in"), folder.join("delay-out"));
        // Bound before the carrier starts: its first datagram must find somebody.
        let socket = UnixDatagram::bind(&ours)?;
        let mut carrier = Command::new("socat");
        carrier
            .arg(format!("TUN,tun-type=tap,iff-no-pi,tun-name={device}"))
            .arg(format!(
                "UNIX-SENDTO:{},bind={}",
                ours.display(),
                theirs.display()
            ));
        let carrier = Process::start(&mut carrier, folder.join("socat.log"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let line = Line {
            socket,
            carrier: theirs,
            waiting: BinaryHeap::new(),
            dice: Dice::new(seed),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || line.run(&stopped));
        Ok(Self {
            _carrier: carrier,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Line {
    socket: UnixDatagram,
    carrier: std::path::PathBuf,
    waiting: BinaryHeap<Reverse<(Instant, Vec<u8>)>>,
    dice: Dice,
}

impl Line {
    fn run(mut self, stopped: &AtomicBool) {
        let mut frame = vec![0; FRAME_BYTES_MAX];
        while !stopped.load(Ordering::Relaxed) {
            let pause = self.deliver(Instant::now());
            // A time-out of zero would mean for ever.
            let _ = self
                .socket
                .set_read_timeout(Some(pause.max(Duration::from_micros(100))));
            if let Ok(length) = self.socket.recv(&mut frame) {
                let delay =
                    Duration::from_millis(DELAY_MS_MIN + self.dice.below(DELAY_MS_SPREAD) as u64);
                self.waiting
                    .push(Reverse((Instant::now() + delay, frame[..length].to_vec())));
            }
        }
    }

    /// Gives back what is due and says when to come again.
    fn deliver(&mut self, now: Instant) -> Duration {
        while let Some(Reverse((due, _))) = self.waiting.peek() {
            if *due > now {
                return (*due - now).min(IDLE);
            }
            if let Some(Reverse((_, frame))) = self.waiting.pop() {
                // A frame that cannot be given back is a lost packet, as on any network.
                let _ = self.socket.send_to(&frame, &self.carrier);
            }
        }
        IDLE
    }
}
