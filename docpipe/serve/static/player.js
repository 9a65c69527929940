// Plays notes (onset and length in seconds, MIDI pitch) with the browser's own oscillators.

let playing = null;

export function stop() {
  if (playing) { playing.close(); playing = null; }
}

export function isPlaying() { return playing !== null; }

export function play(notes, ended) {
  stop();
  const context = new AudioContext();
  playing = context;
  const loudness = context.createGain();
  loudness.gain.value = 0.18;
  loudness.connect(context.destination);
  const start = context.currentTime + 0.1;
  let last = 0;
  for (const [onset, length, pitch] of notes) {
    const voice = context.createOscillator();
    const swell = context.createGain();
    voice.type = "triangle";
    voice.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
    swell.gain.setValueAtTime(0, start + onset);
    swell.gain.linearRampToValueAtTime(1, start + onset + 0.01);
    swell.gain.exponentialRampToValueAtTime(0.01, start + onset + Math.max(0.08, length));
    voice.connect(swell).connect(loudness);
    voice.start(start + onset);
    voice.stop(start + onset + length + 0.05);
    last = Math.max(last, onset + length);
  }
  setTimeout(() => { if (playing === context) { stop(); ended(); } }, (last + 0.4) * 1000);
}
