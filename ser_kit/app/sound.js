// A button that records from the microphone to a WAV file (mono, 16 bits).

const RATE = 16000;

function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 0x7fff, true));
  return view;
}

// Decodes the recording in the browser, so that the server needs no decoder.
async function decoded(blob) {
  const context = new OfflineAudioContext(1, RATE, RATE);
  const sound = await context.decodeAudioData(await blob.arrayBuffer());
  const mix = new OfflineAudioContext(1, Math.max(1, Math.ceil(sound.duration * RATE)), RATE);
  const source = mix.createBufferSource();
  source.buffer = sound;
  source.connect(mix.destination);
  source.start();
  return (await mix.startRendering()).getChannelData(0);
}

// Hands blocks of samples on while they are recorded.
const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[channel]]) {
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
})`;

async function tapped(source, heard) {
  const { context } = source;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([TAP], { type: "text/javascript" })));
  const node = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => heard(data, context.sampleRate);
  source.connect(node);
}

// Adds the button and a note to an element. `recorded` is called with each WAV file, and `live.heard` with samples and
// their rate in the meantime. The returned function stops a recording and releases the microphone.
function recordButton(element, mostSeconds, recorded, live = null) {
  const button = document.createElement("button");
  const note = document.createElement("span");
  button.type = "button";
  button.className = "sk-button sk-record";
  note.className = "sk-note";
  note.setAttribute("aria-live", "polite");
  const level = document.createElement("meter");
  level.className = "sk-level";
  level.setAttribute("aria-label", "Level of the microphone");
  element.append(button, level, note);
  let recorder = null;
  let context = null;
  let ticking = null;

  const idle = (message = "") => {
    clearInterval(ticking);
    context?.close();
    live?.end();
    recorder = context = null;
    level.hidden = true;
    button.textContent = "Record";
    button.setAttribute("aria-pressed", "false");
    note.textContent = message;
  };

  const start = async () => {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      // Without https, and in some browsers, mediaDevices is undefined.
      idle(`The microphone cannot be used: ${error.message}`);
      return;
    }
    const chunks = [];
    const began = Date.now();
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", (event) => chunks.push(event.data));
    recorder.addEventListener("stop", async () => {
      stream.getTracks().forEach((track) => track.stop());
      idle("Working…");
      try {
        recorded(wav(await decoded(new Blob(chunks, { type: chunks[0]?.type })), RATE));
        note.textContent = "";
      } catch (error) {
        idle(`The recording cannot be used: ${error.message}`);
      }
    });
    recorder.start();
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    context = new AudioContext();
    const analyser = context.createAnalyser();
    const source = context.createMediaStreamSource(stream);
    source.connect(analyser);
    if (live) tapped(source, live.heard);
    const block = new Float32Array(analyser.fftSize);
    level.hidden = false;
    const tick = () => {
      analyser.getFloatTimeDomainData(block);
      const loudest = block.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
      level.value = 1 + Math.log10(loudest) / 3; // -60 dB to full scale
      const seconds = Math.floor((Date.now() - began) / 1000);
      const said = `Recording ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      if (note.textContent !== said) note.textContent = said;
      if (seconds >= mostSeconds) recorder?.stop();
    };
    tick();
    ticking = setInterval(tick, 100);
  };

  button.addEventListener("click", () => (recorder ? recorder.stop() : start()));
  idle();
  return () => {
    clearInterval(ticking);
    context?.close();
    recorder?.stream.getTracks().forEach((track) => track.stop());
  };
}
