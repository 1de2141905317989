#!/usr/bin/env node
// Renders a genome through the render socket of grooved, checks the replies and prints how fast they came.
//
//   node compat/test-client.js [genomeId] [duration] [--url ws://localhost:8080/]
//
// Requires node 22, or the package 'ws'. The exit status is 1 if anything is wrong.
'use strict';

const USAGE = 'usage: node test-client.js [genomeId] [duration] [--url ws://localhost:8080/]';
const NOTE_DELTA = 10;
// Without any message for this long, the server counts as gone.
const PATIENCE_MS = 60000;

function fail(why) {
  console.error(`test-client: ${why}`);
  process.exit(1);
}

/** Returns the constructor of WebSockets: node's own, else that of the package 'ws'. */
function webSocket() {
  if (typeof globalThis.WebSocket === 'function') return globalThis.WebSocket;
  try {
    return require('ws');
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return fail(`node ${process.versions.node} has no WebSocket: use node 22 or newer, or run 'npm install ws'`);
  }
}

/** Reads the command line. */
function options(words) {
  const read = { url: 'ws://localhost:8080/' };
  const plain = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (word === '--help' || word === '-h') {
      console.log(USAGE);
      process.exit(0);
    } else if (word === '--url') {
      at += 1;
      read.url = words[at] || fail(`--url needs an address\n${USAGE}`);
    } else if (word.startsWith('--url=')) {
      read.url = word.slice('--url='.length);
    } else if (word.startsWith('--')) {
      fail(`unknown flag '${word}'\n${USAGE}`);
    } else {
      plain.push(word);
    }
  }
  if (plain.length > 2) fail(`too many arguments\n${USAGE}`);
  read.genomeId = plain[0] || '01JF2N9RZ07V06EJ4DJ9ZGCM2D';
  read.duration = plain[1] === undefined ? 5 : Number(plain[1]);
  if (!(read.duration > 0 && Number.isFinite(read.duration))) {
    fail(`duration is '${plain[1]}': expected seconds above 0\n${USAGE}`);
  }
  return read;
}

/** Checks the chunks of one render and adds them up. */
class Tally {
  constructor(rate) {
    this.rate = rate;
    this.chunks = 0;
    this.samples = 0;
    this.peak = 0;
  }

  /** Throws an error if the chunk does not continue the ones before. */
  chunk(message) {
    const { index, data, timestamp, sampleRate } = message;
    if (index !== this.chunks + 1) throw new Error(`chunk ${index} follows chunk ${this.chunks}`);
    if (!Array.isArray(data) || data.length === 0) throw new Error(`chunk ${index} has no samples`);
    if (sampleRate !== this.rate) throw new Error(`chunk ${index}: the sample rate is ${sampleRate}, not ${this.rate}`);
    for (const sample of data) {
      if (!Number.isFinite(sample)) throw new Error(`chunk ${index} has a sample that is not a number`);
      this.peak = Math.max(this.peak, Math.abs(sample));
    }
    this.chunks = index;
    this.samples += data.length;
    const end = this.samples / this.rate;
    if (!(Math.abs(timestamp - end) < 0.5 / this.rate)) {
      throw new Error(`chunk ${index}: the timestamp is ${timestamp}, but the samples end at ${end} s`);
    }
  }

  /** Throws an error if the totals differ from what was received or requested. */
  complete(message, duration) {
    const wanted = Math.round(this.rate * duration);
    const pairs = [
      ['totalChunks', message.totalChunks, this.chunks],
      ['totalSamples', message.totalSamples, this.samples],
      ['samples', this.samples, wanted],
      ['duration', message.duration, duration],
      ['sampleRate', message.sampleRate, this.rate],
    ];
    for (const [name, found, expected] of pairs) {
      if (found !== expected) throw new Error(`complete: ${name} is ${found}, not ${expected}`);
    }
  }
}

function run({ url, genomeId, duration }) {
  const Socket = webSocket();
  let socket;
  try {
    socket = new Socket(url);
  } catch (error) {
    fail(`${url}: ${error.message}`);
  }
  let tally = null;
  let asked = 0;
  let first = null;
  let done = false;
  const late = setTimeout(() => fail(`${url}: no message for ${PATIENCE_MS / 1000} s`), PATIENCE_MS);

  function hear(message) {
    switch (message.type) {
      case 'welcome':
        if (tally) throw new Error('a second welcome');
        console.log(`${url}: ${message.message}, ${message.sampleRate} Hz`);
        tally = new Tally(message.sampleRate);
        asked = performance.now();
        socket.send(JSON.stringify({ type: 'render', genomeId, duration, noteDelta: NOTE_DELTA, velocity: 0.5, useGPU: true }));
        break;
      case 'chunk':
        if (!tally) throw new Error('a chunk before the welcome');
        if (first === null) {
          first = performance.now() - asked;
          console.log(`first chunk after ${first.toFixed(1)} ms`);
        }
        tally.chunk(message);
        break;
      case 'complete': {
        if (!tally) throw new Error('complete before the welcome');
        tally.complete(message, duration);
        const seconds = (performance.now() - asked) / 1000;
        console.log(`${tally.chunks} chunks, ${tally.samples} samples, peak ${tally.peak.toFixed(3)}`);
        console.log(`${seconds.toFixed(3)} s for ${duration} s of sound: ${(duration / seconds).toFixed(1)} x real time`);
        console.log('indices, timestamps and totals are correct');
        done = true;
        clearTimeout(late);
        socket.close();
        break;
      }
      case 'error':
        throw new Error(message.message);
      default:
        throw new Error(`unknown reply '${message.type}'`);
    }
  }

  socket.onmessage = (event) => {
    late.refresh();
    if (done) return;
    try {
      if (typeof event.data !== 'string') throw new Error('a binary frame, which was not requested');
      hear(JSON.parse(event.data));
    } catch (error) {
      fail(error.message);
    }
  };
  socket.onerror = (event) => {
    if (!done) fail(`${url}: ${event.message || (event.error && event.error.message) || 'cannot connect'}`);
  };
  socket.onclose = (event) => {
    if (!done) fail(`${url}: closed before the render was complete (code ${event.code}${event.reason ? `, ${event.reason}` : ''})`);
  };
}

run(options(process.argv.slice(2)));
