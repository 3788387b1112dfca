// Runs a file from `ser-kit export` in the browser: samples in, probabilities out. Labels and rate are in the metadata
// of the file.

const asked = new URLSearchParams(location.search);
const CDN = "https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/";
const RUNTIME = asked.has("ort") ? new URL(asked.get("ort"), location.href).href : CDN;
const MODEL = asked.get("model") ?? "from_scratch.onnx";

const [choose, file, record, status, answer, name, verdict, player, bars, about] = [
  "choose", "file", "record", "status", "answer", "name", "verdict", "player", "bars", "about",
].map((id) => document.getElementById(id));
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;

// ------------------------------------------------------------------------------------------------------- the model

// The length-delimited fields of a Protocol Buffers message, as [number, bytes].
function* fields(bytes) {
  let at = 0;
  const number = () => {
    let [value, scale] = [0, 1];
    for (; bytes[at] >= 128; scale *= 128) value += (bytes[at++] - 128) * scale;
    return value + bytes[at++] * scale;
  };
  while (at < bytes.length) {
    const key = number();
    const kind = key % 8;
    if (kind === 0) number();
    else if (kind === 2) {
      const length = number();
      yield [Math.floor(key / 8), bytes.subarray(at, (at += length))];
    } else at += kind === 1 ? 8 : 4;
  }
}

// The metadata of an ONNX file: field 14 of ModelProto (metadata_props), with keys (1) and values (2).
function metadata(bytes) {
  const text = new TextDecoder();
  const pairs = [...fields(bytes)].filter(([number]) => number === 14).map(([, pair]) => {
    const { 1: key, 2: value } = Object.fromEntries(fields(pair));
    return [text.decode(key), text.decode(value)];
  });
  return Object.fromEntries(pairs);
}

async function load() {
  if (![location.origin, new URL(CDN).origin].includes(new URL(RUNTIME).origin)) {
    throw new Error("ort= must be a folder beside this page"); // its scripts are executed
  }
  const ort = await import(`${RUNTIME}ort.wasm.min.mjs`);
  ort.env.wasm.wasmPaths = RUNTIME;
  ort.env.wasm.numThreads = 1; // more would need a cross-origin isolated page
  const found = await fetch(MODEL);
  if (!found.ok) throw new Error(`${MODEL} is not beside this page; see the first lines of index.html`);
  const bytes = new Uint8Array(await found.arrayBuffer());
  const facts = metadata(bytes);
  if (facts.input !== "samples") throw new Error(`${MODEL} does not take samples`);
  const session = await ort.InferenceSession.create(bytes);
  return {
    ...facts,
    labels: JSON.parse(facts.labels),
    rate: Number(facts.rate),
    longest: JSON.parse(facts.longest_seconds) ?? 60,
    async probabilities(samples) {
      const input = new ort.Tensor("float32", samples, [1, samples.length]);
      return [...(await session.run({ samples: input })).probabilities.data];
    },
  };
}

// --------------------------------------------------------------------------------------------------------- the page

// Decodes to mono samples at a rate, with the browser's decoders and resampler.
async function decoded(blob, rate) {
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await blob.arrayBuffer());
  const mono = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    sound.getChannelData(channel).forEach((value, i) => (mono[i] += value / sound.numberOfChannels));
  }
  return mono;
}

function row(label, share) {
  const item = document.createElement("li");
  item.innerHTML = '<span></span><span class="bar" aria-hidden="true"></span><data></data>';
  const [word, bar, value] = item.children;
  word.textContent = label;
  bar.style.setProperty("--share", share);
  value.value = share;
  value.textContent = percent(share);
  return item;
}

async function predict(blob, title, model) {
  status.textContent = "Working…";
  answer.hidden = true;
  try {
    const samples = await decoded(blob, model.rate).catch(() => {
      throw new Error("the browser cannot decode it");
    });
    if (samples.length < model.rate / 10) throw new Error("it is shorter than a tenth of a second");
    if (!samples.some((value) => value)) throw new Error("it is silent");
    const shares = await model.probabilities(samples);
    const ranked = model.labels.map((label, i) => [label, shares[i]]).sort((a, b) => b[1] - a[1]);
    name.textContent = title;
    verdict.textContent = `${ranked[0][0]}, ${percent(ranked[0][1])}`;
    bars.replaceChildren(...ranked.map(([label, share]) => row(label, share)));
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(blob);
    answer.hidden = false;
    const seconds = samples.length / model.rate;
    const part = seconds > model.longest ? ` Only the first ${model.longest} seconds were used.` : "";
    status.textContent = `Done: ${title}, ${ranked[0][0]}.${part}`;
  } catch (error) {
    status.textContent = `${title} cannot be used: ${error.message}.`;
  }
}

async function listen(model) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    // Without https or localhost, mediaDevices is undefined.
    status.textContent = `The microphone cannot be used: ${error.message}.`;
    return;
  }
  const recorder = new MediaRecorder(stream);
  const chunks = [];
  const began = Date.now();
  const ticking = setInterval(() => {
    const seconds = (Date.now() - began) / 1000;
    status.textContent = `Recording ${clock(seconds)} of ${clock(model.longest)}`;
    if (seconds >= model.longest) recorder.stop();
  }, 250);
  recorder.ondataavailable = ({ data }) => chunks.push(data);
  recorder.onstop = async () => {
    clearInterval(ticking);
    stream.getTracks().forEach((track) => track.stop());
    record.textContent = "Record";
    record.onclick = () => listen(model);
    await predict(new Blob(chunks, { type: recorder.mimeType }), "your recording", model);
  };
  recorder.start();
  record.textContent = "Stop";
  record.onclick = () => recorder.stop();
}

try {
  const model = await load();
  choose.onclick = () => file.click();
  file.onchange = async () => {
    const [chosen] = file.files;
    file.value = ""; // so that the same file can be chosen again
    if (chosen) await predict(chosen, chosen.name, model);
  };
  record.onclick = () => listen(model);
  choose.disabled = record.disabled = false;
  status.textContent = `Ready: ${model.labels.join(", ")}.`;
  about.textContent = `Model: ${model.name}. ${model.limits} Licence: ${model.licence}.`;
} catch (error) {
  status.textContent = `The model cannot be loaded: ${error.message}.`;
}
