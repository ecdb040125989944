//! The side of the Rust crate nexus-inference in the benchmarks: for each request, a line of JSON on stdin, one reply on stdout.

use nexus_inference::{TinyGru, TinyLstm};
use serde_json::{json, Value};
use std::io::{self, BufRead, Write};
use std::time::Instant;

const INPUTS: usize = 28;
const SINGLE_STEPS: usize = 20_000; // timed one by one
const ENOUGH: f64 = 0.01; // seconds that a run of many steps takes at least

/// The seconds of a step: the mean of many after one to warm up, or with a quantile, that of steps that are timed one by one.
fn timed(mut step: impl FnMut(), quantile: Option<f64>) -> f64 {
    step();
    if let Some(quantile) = quantile {
        let mut before = Instant::now();
        let mut times: Vec<f64> = (0..SINGLE_STEPS)
            .map(|_| {
                step();
                let now = Instant::now();
                let seconds = (now - before).as_secs_f64();
                before = now;
                seconds
            })
            .collect();
        times.sort_by(f64::total_cmp);
        return times[(quantile * (SINGLE_STEPS - 1) as f64) as usize];
    }
    let mut n = 1;
    loop {
        let start = Instant::now();
        for _ in 0..n {
            step();
        }
        let seconds = start.elapsed().as_secs_f64();
        if seconds >= ENOUGH {
            return seconds / n as f64;
        }
        n *= 2;
    }
}

/// Numbers from -0.1 to 0.1.
fn noise(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 5000.0).collect()
}

/// One step of one sequence. The crate's layers end with a dense layer; here it has a single output.
fn step(request: &Value) -> Result<f64, String> {
    let hidden = request["hidden"].as_u64().ok_or("no hidden")? as usize;
    let gates = match request["cell"].as_str() {
        Some("lstm") => 4 * hidden,
        Some("gru") => 3 * hidden,
        other => return Err(format!("cell {other:?}")),
    };
    let (ih, hh, bias, out) = (noise(gates * INPUTS), noise(gates * hidden), noise(gates), noise(hidden));
    let (x, mut y) = (noise(INPUTS), [0.0f32]);
    let quantile = request["quantile"].as_f64();
    if gates == 4 * hidden {
        let mut layer = TinyLstm::from_parts(INPUTS, hidden, 1, &ih, &hh, &bias, &bias, &out, &[0.0]).map_err(|e| e.to_string())?;
        return Ok(timed(|| layer.predict_into(std::hint::black_box(&x), &mut y), quantile));
    }
    let mut layer = TinyGru::from_parts(INPUTS, hidden, 1, &ih, &hh, &bias, &bias, &out, &[0.0]).map_err(|e| e.to_string())?;
    Ok(timed(|| layer.predict_into(std::hint::black_box(&x), &mut y), quantile))
}

fn main() {
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.expect("stdin")).expect("JSON");
        let reply = match request["do"].as_str() {
            Some("version") => json!({"version": "0.9.0"}),
            Some("step") => match step(&request) {
                Ok(seconds) => json!({ "seconds": seconds }),
                Err(error) => json!({ "error": error }),
            },
            other => json!({"error": format!("do {other:?}")}),
        };
        println!("{reply}");
        io::stdout().flush().expect("stdout");
    }
}
