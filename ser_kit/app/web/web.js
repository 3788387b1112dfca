// The page without a server: the scripts that site.py lists are prepended to this file.

(async () => {
  const at = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = () => document.documentElement.setAttribute("theme", dark.matches ? "dark" : "light");
  dark.addEventListener("change", setTheme);
  setTheme();

  // ---------------------------------------------------------------------------------------- the worker

  const source = URL.createObjectURL(new Blob([`(${engine})(self)`], { type: "text/javascript" }));
  const worker = new Worker(source);

  // The worker does one thing after the other.
  let line = Promise.resolve();
  const asked = (...what) => (line = line.catch(() => {}).then(() => posted(...what)));

  function posted(message, transfer, progress = () => {}) {
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
        ? [named ? answer.emotion : "–", answer.noSpeech ? "no speech" : `${answer.verdict}, ${percent(answer.confidence).replaceAll(" ", "\u00a0")}`, clock(answer.duration)]
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
    const answered = found.filter(({ answer }) => answer);
    if (answered.length !== at("compare").answers) {
      const open = at("compare").querySelector("details")?.open ? "" : false;
      at("compare").replaceChildren(...(answered.length < 2 ? [] : [comparison(answered, open)]));
      at("compare").answers = answered.length;
    }
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
    one.card = cardOf(one, () => explain(one, file));
    found.push(one);
    at("answers").prepend(one.card);
  }

  // Effects of the parts of a recording on its answer; null where that was cancelled or other work was under way.
  async function explain({ name, answer }, file) {
    if (busy) return null;
    [busy, at("work").hidden] = [true, false];
    const began = performance.now();
    let found = null;
    try {
      const sound = await channelsOf(await file.arrayBuffer());
      const transfer = sound.channels.map(({ buffer }) => buffer);
      found = await asked({ kind: "explain", ...sound, label: answer.emotion }, transfer, (done, total) => {
        at("progress").value = done / total;
        say(`Explaining ${name}${left(began, done, total)}`);
      });
      say(`Done: explained ${name}.`);
    } catch (error) {
      say(`${name} ${error.message}.`);
    }
    [busy, at("work").hidden] = [false, true];
    if (queue.length) work();
    return found && { ...found, emotion: answer.emotion, duration: answer.duration };
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
  }, liveRibbon(at("live"), (samples, rate) => (
    busy ? Promise.reject() : asked({ kind: "answer", channels: [samples], rate }, [samples.buffer])
  )));
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
