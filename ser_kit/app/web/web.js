// The page without a server. engine.js, sound.js and play.js are prepended to this file.

(async () => {
  const at = (id) => document.getElementById(id);
  const config = JSON.parse(at("config").textContent);
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  const colour = (emotion) => config.colours[emotion];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = () => document.documentElement.setAttribute("theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", setTheme);
  setTheme();

  // An element; attributes that are functions are listeners, and false leaves an attribute out.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== false) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }
  const part = (style, ...children) => make("p", { class: style }, ...children);

  // ---------------------------------------------------------------------------------------- the worker

  const source = URL.createObjectURL(new Blob([`(${engine})(self)`], { type: "text/javascript" }));
  const worker = new Worker(source);

  function asked(message, transfer, progress = () => {}) {
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.kind === "progress") progress(data.done, data.total);
        else if (data.kind === "done") resolve(data.value);
        else reject(new Error(data.error));
      };
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(message, transfer);
    });
  }

  async function load() {
    if (location.protocol === "file:") {
      throw new Error("a browser does not let a file read the files beside it; run python -m http.server in this " +
        "folder and open http://localhost:8000");
    }
    const files = {};
    await Promise.all(Object.entries(config.files).map(async ([name, { address, integrity }]) => {
      const answer = await fetch(address, { integrity }).catch((error) => ({ ok: false, statusText: error.message }));
      if (!answer.ok) throw new Error(`${address} cannot be had: ${answer.status ?? ""} ${answer.statusText}`);
      files[name] = await answer.arrayBuffer();
    }));
    await asked({ kind: "load", config, files }, Object.values(files));
  }

  // ------------------------------------------------------------------------------------------ decoding

  // Channels and rate of a WAV file of integers or floats; null for anything else.
  function unpacked(buffer) {
    const view = new DataView(buffer);
    const word = (place) => (place + 4 <= view.byteLength ? String.fromCharCode(...new Uint8Array(buffer, place, 4)) : "");
    if (word(0) !== "RIFF" || word(8) !== "WAVE") return null;
    let format = null;
    const parts = [];
    for (let place = 12; place + 8 <= view.byteLength; ) {
      const [size, begin] = [view.getUint32(place + 4, true), place + 8];
      if (word(place) === "fmt ") {
        const kind = view.getUint16(begin, true);
        format = {
          kind: kind === 0xfffe && size >= 26 ? view.getUint16(begin + 24, true) : kind,
          count: view.getUint16(begin + 2, true), rate: view.getUint32(begin + 4, true),
          bytes: view.getUint16(begin + 12, true) / view.getUint16(begin + 2, true),
        };
      } else if (word(place) === "data") parts.push([begin, Math.min(begin + size, view.byteLength)]);
      place = begin + size + (size % 2);
    }
    const read = format && {
      "1-1": (i) => (view.getUint8(i) - 128) / 128,
      "1-2": (i) => view.getInt16(i, true) / 0x8000,
      "1-3": (i) => (view.getUint16(i, true) | (view.getInt8(i + 2) << 16)) / 0x800000,
      "1-4": (i) => view.getInt32(i, true) / 0x80000000,
      "3-4": (i) => view.getFloat32(i, true),
      "3-8": (i) => view.getFloat64(i, true),
    }[`${format.kind}-${format.bytes}`];
    if (!read) return null;
    const step = format.bytes * format.count;
    const lengths = parts.map(([begin, end]) => Math.floor((end - begin) / step));
    const length = lengths.reduce((a, b) => a + b, 0);
    const channels = Array.from({ length: format.count }, () => new Float32Array(length));
    let done = 0;
    parts.forEach(([begin], k) => {
      for (let i = 0; i < lengths[k]; i += 1, done += 1) {
        channels.forEach((channel, c) => (channel[done] = read(begin + i * step + c * format.bytes)));
      }
    });
    return { channels, rate: format.rate };
  }

  // The sampling rate in the head of a file, so that the browser need not resample; 48 kHz where it is not known.
  function rateOf(bytes) {
    const text = (place, length) => String.fromCharCode(...bytes.subarray(place, place + length));
    if (text(0, 4) === "fLaC") return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
    if (text(29, 6) === "vorbis") return new DataView(bytes.buffer).getUint32(40, true);
    let place = 0;
    if (text(0, 3) === "ID3") {
      place = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
    }
    if (bytes[place] === 0xff && bytes[place + 1] >= 0xe2) {
      const rate = [44100, 48000, 32000][(bytes[place + 2] >> 2) & 3];
      return rate / { 3: 1, 2: 2, 0: 4 }[(bytes[place + 1] >> 3) & 3] || 48000;
    }
    return 48000;
  }

  async function channelsOf(buffer) {
    if (!buffer.byteLength) throw new Error("is empty (zero bytes); expected a sound file");
    const found = unpacked(buffer);
    if (found) return found;
    const rate = rateOf(new Uint8Array(buffer));
    try {
      const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer);
      const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i).slice());
      return { channels, rate };
    } catch {
      throw new Error("is not a recording that this browser can decode; save it as WAV, FLAC or MP3");
    }
  }

  // ------------------------------------------------------------------------------------------- a card

  const heading = (answer) => (answer.verdict === "not sure" ? "Not sure" : `${answer.verdict} ${answer.emotion}`);
  const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1)}.`;

  function verdictOf(answer) {
    if (answer.verdict !== "not sure") {
      const name = make("strong", { class: "sk-emotion" }, answer.emotion);
      const said = `${answer.verdict[0].toUpperCase()}${answer.verdict.slice(1)} `;
      return [part("sk-verdict", said, name), part("", `${percent(answer.confidence)} confident.`)];
    }
    const why = sentence(answer.reason || "all other emotions together are more probable");
    const nearest = answer.noSpeech ? "" : ` The most probable is ${answer.emotion}, ${percent(answer.confidence)}.`;
    return [part("sk-verdict sk-unsure", "Not sure"), part("", why + nearest)];
  }

  function bar(label, share) {
    const filled = make("span", { style: `width:${100 * share}%;background:${colour(label)}` });
    const track = make("span", { class: "sk-track", "aria-hidden": "true" }, filled);
    const value = make("data", { class: "sk-value", value: share }, percent(share));
    return make("li", {}, make("span", { class: "sk-label" }, label), track, value);
  }

  // How the voice differs from neutral speech, in words; and its measures.
  function measuresOf(answer) {
    if (answer.noSpeech || answer.hertz.length < 20) return [];
    const median = [...answer.hertz].sort((a, b) => a - b)[Math.floor(answer.hertz.length / 2)];
    const hertz = answer.hertz.filter((value) => value > median / 1.7 && value < median * 1.7); // no octave errors
    const mean = hertz.reduce((a, b) => a + b) / hertz.length;
    const spread = Math.sqrt(hertz.reduce((a, b) => a + (b - mean) ** 2, 0) / hertz.length);
    const rows = [
      ["Pitch", "Hz", mean, "pitch_mean", "higher", "lower"],
      ["Pitch variation", "%", (100 * spread) / mean, "pitch_variation", "livelier", "more even"],
      ["Voiced part", "%", 100 * answer.voiced, "voiced_ratio"],
    ];
    const words = rows.flatMap(([, , value, name, more, less]) => {
      const usual = config.neutral[name];
      const far = usual ? (value - usual[0]) / usual[1] : 0;
      return more && Math.abs(far) >= 0.5 ? [far > 0 ? more : less] : [];
    });
    const said = words.length ? words.join(" and ") : "much the same as";
    const than = words.length ? " than" : "";
    const body = rows.map(([title, unit, value, name]) => make("tr", {},
      make("th", { scope: "row" }, title), make("td", {}, `${value.toFixed(0)} ${unit}`),
      make("td", {}, config.neutral[name] ? config.neutral[name].map((v) => v.toFixed(0)).join(" ± ") : "–")));
    const heads = ["Measure", "This recording", "Neutral speech"].map((text) => make("th", { scope: "col" }, text));
    return [
      part("sk-traits", `The voice is ${said}${than} neutral speech in the training recordings.`),
      make("details", {}, make("summary", {}, "Measures"),
        make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body))),
    ];
  }

  function waveOf(answer) {
    const points = (values) => values.map(([x, y]) => `${x},${(-100 * y).toFixed(1)}`).join(" ");
    const high = answer.outline.map(([, most], i) => [i, most]);
    const low = answer.outline.map(([least], i) => [i, least]).reverse();
    const picture = `<svg class="sk-wave" viewBox="0 -100 ${high.length} 200" preserveAspectRatio="none" ` +
      `aria-hidden="true"><path d="M${points([...high, ...low])}Z"/></svg><div class="sk-playhead"></div>`;
    const stage = make("div", { class: "sk-stage", "data-seconds": answer.duration });
    stage.innerHTML = picture;
    return stage;
  }

  // The windows of a long recording, each smoothed with its neighbours; those without speech stay apart.
  function stretchesOf(answer) {
    const pieces = answer.pieces.filter((piece) => !piece.reason);
    const near = (a, b) => b && Math.abs(a.start - b.start) < 1.5 * (a.end - a.start);
    return pieces.map((piece, i) => {
      const around = [[piece, 2], [pieces[i - 1], 1], [pieces[i + 1], 1]].filter(([one]) => near(piece, one));
      const total = around.reduce((a, [, weight]) => a + weight, 0);
      const p = config.labels.map((_, k) => around.reduce((a, [one, weight]) => a + one.p[k] * weight, 0) / total);
      const confidence = Math.max(...p);
      return { start: piece.start, end: piece.end, emotion: config.labels[p.indexOf(confidence)], confidence };
    });
  }

  function ribbonOf(answer) {
    if (answer.pieces.length < 2) return [];
    const found = stretchesOf(answer);
    const joined = [];
    for (const one of found) {
      const last = joined.at(-1);
      if (last && last.emotion === one.emotion && one.start < last.end + 0.01) last.end = one.end;
      else joined.push({ ...one });
    }
    const spoken = joined.map(({ start, end, emotion }) => `${clock(start)} to ${clock(end)} ${emotion}`).join(", ");
    const band = make("div", { class: "sk-ribbon", role: "img", "aria-label": `Emotion over time: ${spoken || "no speech"}` },
      ...found.map(({ start, end, emotion, confidence }) => make("span", {
        class: confidence < config.even ? "sk-vague" : "",
        style: `left:${(100 * start) / answer.duration}%;width:${(100 * (end - start)) / answer.duration}%;` +
          `background-color:${colour(emotion)}`,
      })));
    const moments = found.map((one) => [one.start, one.end, one.emotion, Math.round(100 * one.confidence)]);
    const stage = make("div",
      { class: "sk-stage", "data-seconds": answer.duration, "data-moments": JSON.stringify(moments) },
      band, make("div", { class: "sk-playhead" }));
    const speech = found.reduce((a, one) => a + one.end - one.start, 0);
    const shares = config.labels.map((label) => {
      const own = found.filter(({ emotion }) => emotion === label);
      return [label, own.reduce((a, one) => a + one.end - one.start, 0)];
    }).filter(([, seconds]) => seconds).sort((a, b) => b[1] - a[1]);
    const items = shares.map(([label, seconds]) => make("li", {},
      make("span", { style: `background:${colour(label)}` }), `${label} ${percent(seconds / speech)}`));
    return [
      make("h4", {}, "Emotion over time"), stage,
      make("p", { class: "sk-now", "aria-hidden": "true" }, "Play, or click in the picture."),
      make("p", { class: "sk-aloud sk-unseen", "aria-live": "polite" }),
      make("p", {}, "Share of the time with speech; pale where no emotion reaches 50 %:"),
      make("ul", { class: "sk-legend" }, ...items),
    ];
  }

  function cardOf({ name, address, answer, error }) {
    const card = make("details", { class: "sk-card" });
    if (error) {
      card.append(make("summary", {}, make("h2", { class: "sk-name" }, name), " No answer"),
        make("p", { class: "sk-error", role: "alert" }, `${name} ${error}.`));
      return card;
    }
    const kinds = { 1: "mono", 2: "stereo" };
    const facts = `${answer.duration.toFixed(2)} s, ${answer.rate.toLocaleString("en")} Hz, ` +
      `${kinds[answer.channels] ?? `${answer.channels} channels`}.`;
    const bars = make("ul", { class: "sk-bars", "aria-label": "Probability of each emotion" },
      ...answer.ranked.map(([label, share]) => bar(label, share)));
    const probabilities = answer.noSpeech ? [] : [make("h3", {}, "Probability of each emotion"), bars];
    const rests = answer.rests && !answer.noSpeech ? [part("sk-facts", `The confidence is based on ${answer.rests}.`)] : [];
    card.append(
      make("summary", {}, make("h2", { class: "sk-name" }, name), make("span", { class: "sk-brief" }, ` ${heading(answer)}`)),
      ...verdictOf(answer), make("audio", { controls: "", src: address, preload: "none", "aria-label": `Player of ${name}` }),
      waveOf(answer), ...ribbonOf(answer), ...probabilities, ...measuresOf(answer),
      part("sk-facts", config.knownFor), ...rests, part("sk-facts", facts),
    );
    return card;
  }

  // ---------------------------------------------------------------------------------------- all answers

  const found = []; // in the order of answering
  let sorted = { column: null, descending: false };
  const columns = {
    Recording: ({ name }) => name.toLowerCase(),
    Emotion: ({ answer }) => (answer && !answer.noSpeech ? answer.emotion : "~"),
    Sureness: ({ answer }) => (answer ? ["sounds", "leans towards", "not sure"].indexOf(answer.verdict) - answer.confidence : 9),
    Length: ({ answer }) => answer?.duration ?? 0,
  };

  function overview() {
    const rows = [...found];
    if (sorted.column) {
      const key = columns[sorted.column];
      rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (sorted.descending ? -1 : 1));
    }
    const head = Object.keys(columns).map((column) => {
      const here = sorted.column === column;
      const sort = () => {
        sorted = { column, descending: here && !sorted.descending };
        refresh();
        at("overview").querySelector(`[data-column="${column}"]`).focus();
      };
      const state = here ? (sorted.descending ? "descending" : "ascending") : "none";
      return make("th", { scope: "col", "aria-sort": state },
        make("button", { type: "button", "data-column": column, click: sort }, column));
    });
    const body = rows.map((one) => {
      const { name, card, answer } = one;
      const open = () => {
        card.open = true;
        card.scrollIntoView();
        card.querySelector("summary").focus();
      };
      const play = ({ target }) => {
        const audio = card.querySelector("audio");
        audio.onplay = () => (target.textContent = "Pause");
        audio.onpause = () => (target.textContent = "Play");
        if (audio.paused) audio.play();
        else audio.pause();
      };
      const named = answer && answer.verdict !== "not sure";
      const cells = answer
        ? [named ? answer.emotion : "–", answer.noSpeech ? "no speech" : `${answer.verdict}, ${percent(answer.confidence)}`, clock(answer.duration)]
        : ["–", "no answer", "–"];
      return make("tr", {},
        make("th", { scope: "row" }, make("button", { type: "button", class: "sk-link", click: open }, name)),
        ...cells.map((text) => make("td", {}, text)),
        make("td", {}, answer ? make("button", { type: "button", class: "sk-link", "aria-label": `Play ${name}`, click: play }, "Play") : ""));
    });
    return make("div", { class: "sk-scroll", role: "region", "aria-label": "All answers", tabindex: "0" },
      make("table", { class: "sk-overview" },
        make("thead", {}, make("tr", {}, ...head, make("th", { scope: "col" }, "Player"))), make("tbody", {}, ...body)));
  }

  // As `ser-kit predict --csv` writes it: what a spreadsheet would read as a formula begins with an apostrophe.
  function csv() {
    const guarded = (value) => (typeof value === "string" && /^[=+\-@\t\r']/.test(value) ? `'${value}` : String(value));
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const names = ["path", "emotion", "confidence", ...config.labels.map((label) => `p_${label}`), "covered", "verdict",
      "uncertain", "reason", "duration", "error"];
    const rows = found.map(({ name, answer, error }) => answer
      ? [name, answer.emotion, answer.confidence.toFixed(6), ...answer.p.map((p) => p.toFixed(6)), 1, answer.verdict,
        answer.reason ? "True" : "False", answer.reason, answer.duration.toFixed(3), ""]
      : [name, ...names.slice(2).map(() => ""), `${name} ${error}`]);
    return [names, ...rows].map((row) => row.map((value) => quoted(guarded(value))).join(",")).join("\n") + "\n";
  }

  function refresh() {
    at("tools").hidden = !found.length;
    at("overview").hidden = found.length < 2;
    at("overview").replaceChildren(...(found.length < 2 ? [] : [make("h2", {}, `${found.length} recordings`), overview()]));
    URL.revokeObjectURL(at("csv").href);
    at("csv").href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  }

  // ------------------------------------------------------------------------------------------- the queue

  const say = (text) => (at("status").textContent = text);
  let queue = [];
  let busy = true;
  let stopped = false;
  let answeredNow = 0;

  function left(began, done, total) {
    const seconds = ((performance.now() - began) / 1000 / done) * (total - done);
    return done && seconds > 5 ? `, about ${clock(seconds)} left` : "";
  }

  async function answerOne(file) {
    const many = answeredNow + queue.length + 1;
    const where = many > 1 ? ` ${answeredNow + 1} of ${many}` : "";
    const one = { name: file.name, address: URL.createObjectURL(file) };
    const began = performance.now();
    try {
      say(`Working…${where}: ${file.name}`);
      const sound = await channelsOf(await file.arrayBuffer());
      if (stopped) return; // before the worker had it
      one.answer = await asked({ kind: "answer", ...sound }, sound.channels.map(({ buffer }) => buffer), (done, total) => {
        at("progress").value = done / total;
        say(`Working…${where}: ${file.name}${left(began, done, total)}`);
      });
    } catch (error) {
      one.error = error.message;
    }
    answeredNow += 1;
    if (one.error === "was cancelled") return;
    one.card = cardOf(one);
    found.push(one);
    at("answers").prepend(one.card);
  }

  async function work() {
    [busy, stopped] = [true, false];
    at("work").hidden = false;
    answeredNow = 0;
    const before = found.length;
    while (queue.length) await answerOne(queue.shift());
    const added = found.length - before;
    const failed = found.slice(before).filter(({ error }) => error).length;
    for (const { card } of found) card.open = false;
    if (added === 1) found.at(-1).card.open = true;
    refresh();
    at("work").hidden = true;
    busy = false;
    const summary = added === 1 && found.at(-1).answer ? `${found.at(-1).name}: ${heading(found.at(-1).answer)}`
      : `${added} recording${added === 1 ? "" : "s"}${failed ? `, ${failed} without an answer` : ""}`;
    say(`Done: ${summary}.`);
  }

  function take(files) {
    queue.push(...files);
    if (!busy && queue.length) work();
  }

  at("files").addEventListener("change", ({ target }) => {
    take(target.files);
    target.value = ""; // so that the same file can be chosen again
  });
  at("cancel").addEventListener("click", () => {
    queue = [];
    stopped = true;
    worker.postMessage({ kind: "cancel" });
  });
  at("clear").addEventListener("click", () => {
    for (const { address } of found.splice(0)) URL.revokeObjectURL(address);
    at("answers").replaceChildren();
    refresh();
    say("Ready.");
  });
  acceptDrops(() => true, at("controls"), take);
  followPlayers(() => true);
  recordButton(at("recorder"), config.mostSeconds, (content) => {
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
    take([new File([content], `recording at ${time}.wav`)]);
  });
  for (const { name, address } of config.examples) {
    const fetched = async () => take([new File([await (await fetch(address)).blob()], `${name}.wav`)]);
    at("examples").append(make("button", { type: "button", class: "sk-button", click: fetched }, name));
  }

  try {
    await load();
    busy = false;
    say("Ready.");
    take([]);
  } catch (error) {
    say(`The model cannot be loaded: ${error.message}.`);
    for (const control of document.querySelectorAll(".sk-controls button, .sk-controls input")) control.disabled = true;
  }
})();
