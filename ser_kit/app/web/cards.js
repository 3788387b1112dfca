// The card of an answer, and what it is made of.

const config = JSON.parse(document.getElementById("config").textContent);
const percent = (share) => (
  share > 0.995 && share < 1 ? ">99 %" : share > 0 && share < 0.005 ? "<1 %" : `${(100 * share).toFixed(0)} %`
);
const colour = (emotion) => config.colours[emotion];
const LONGEST_WHOLE = 30; // s; longer recordings can be zoomed
const SHORTEST_SHOWN = 4; // s of a recording at the greatest zoom
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600]; // s between ticks of the time axis
const MOST_TIMES = 8; // ticks

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

// Title, unit, name, value, and what more of it and less sounds like; none where there is no speech.
function traitsOf(answer) {
  if (answer.noSpeech || answer.hertz.length < 20) return [];
  const median = [...answer.hertz].sort((a, b) => a - b)[Math.floor(answer.hertz.length / 2)];
  const hertz = answer.hertz.filter((value) => value > median / 1.7 && value < median * 1.7); // no octave errors
  const mean = hertz.reduce((a, b) => a + b) / hertz.length;
  const spread = Math.sqrt(hertz.reduce((a, b) => a + (b - mean) ** 2, 0) / hertz.length);
  return [
    ["Pitch", "Hz", mean, "pitch_mean", "higher", "lower"],
    ["Pitch variation", "%", (100 * spread) / mean, "pitch_variation", "livelier", "more even"],
    ["Voiced part", "%", 100 * answer.voiced, "voiced_ratio"],
  ];
}

// How the voice differs from neutral speech, in words; and its measures.
function measuresOf(answer) {
  const rows = traitsOf(answer);
  if (!rows.length) return [];
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
  if (answer.pieces.length < 2) return [];
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

function bandOf(answer) {
  if (answer.pieces.length < 2) return [];
  const found = stretchesOf(answer);
  const joined = [];
  for (const one of found) {
    const last = joined.at(-1);
    if (last && last.emotion === one.emotion && one.start < last.end + 0.01) last.end = one.end;
    else joined.push({ ...one });
  }
  const spoken = joined.map(({ start, end, emotion }) => `${clock(start)} to ${clock(end)} ${emotion}`).join(", ");
  const label = `Emotion over time: ${spoken || "no speech"}`;
  const band = make("div", { class: "sk-ribbon", role: "img", "aria-label": label },
    ...found.map(({ start, end, emotion, confidence }) => make("span", {
      class: confidence < config.even ? "sk-vague" : "",
      style: `left:${(100 * start) / answer.duration}%;width:${(100 * (end - start)) / answer.duration}%;` +
        `background-color:${colour(emotion)}`,
    })));
  const moments = found.map((one) => [one.start, one.end, one.emotion, Math.round(100 * one.confidence)]);
  return [make("div",
    { class: "sk-stage", "data-seconds": answer.duration, "data-moments": JSON.stringify(moments) },
    band, make("div", { class: "sk-playhead" }))];
}

// Waveform and ribbon over the same time; those of a long recording can be widened, and then scroll together.
function picturesOf(answer) {
  const times = make("div", { class: "sk-times", "aria-hidden": "true" });
  const wide = make("div", {}, waveOf(answer), ...bandOf(answer), times);
  const box = make("div", { class: "sk-scroll" }, wide);
  const most = Math.max(1, answer.duration / SHORTEST_SHOWN);
  let zoom = 1;
  function widen(factor) {
    const middle = (box.scrollLeft + box.clientWidth / 2) / zoom;
    zoom = Math.min(most, Math.max(1, zoom * factor));
    wide.style.width = `${100 * zoom}%`;
    box.scrollLeft = middle * zoom - box.clientWidth / 2;
    const step = STEPS.find((seconds) => answer.duration / zoom / seconds <= MOST_TIMES) ?? STEPS.at(-1);
    const ticks = Array.from({ length: Math.ceil((0.97 * answer.duration) / step) }, (_, i) => i * step);
    const named = (seconds) => (answer.duration > 60 ? clock(seconds) : `${+seconds.toFixed(1)} s`);
    times.replaceChildren(...ticks.map((seconds) =>
      make("span", { style: `left:${(100 * seconds) / answer.duration}%` }, named(seconds))));
    [nearer.disabled, farther.disabled] = [zoom >= most, zoom <= 1];
  }
  const nearer = make("button", { type: "button", class: "sk-button", click: () => widen(2) }, "Zoom in");
  const farther = make("button", { type: "button", class: "sk-button", click: () => widen(0.5) }, "Zoom out");
  widen(1);
  if (answer.duration < LONGEST_WHOLE) return [box];
  for (const [name, value] of [["role", "region"], ["aria-label", "Waveform and emotion over time"], ["tabindex", "0"]]) {
    box.setAttribute(name, value);
  }
  return [box, make("p", { class: "sk-downloads" }, nearer, " ", farther)];
}

// Where play.js writes the emotion of the moment.
const nowOf = () => [
  make("p", { class: "sk-now", "aria-hidden": "true" }, "Play, or click in the picture."),
  make("p", { class: "sk-aloud sk-unseen", "aria-live": "polite" }),
];

// The share of the time with speech that each emotion has.
function sharesOf(answer) {
  const found = stretchesOf(answer);
  const seconds = (some) => some.reduce((a, one) => a + one.end - one.start, 0);
  return config.labels
    .map((label) => [label, seconds(found.filter(({ emotion }) => emotion === label)) / seconds(found)])
    .filter(([, share]) => share)
    .sort((a, b) => b[1] - a[1]);
}

function overTimeOf(answer) {
  if (answer.pieces.length < 2) return [];
  const items = sharesOf(answer).map(([label, share]) => make("li", {},
    make("span", { style: `background:${colour(label)}` }), `${label} ${percent(share)}`));
  return [
    make("h4", {}, "Emotion over time"),
    ...nowOf(),
    make("p", {}, "Share of the time with speech; pale where no emotion reaches 50 %:"),
    make("ul", { class: "sk-legend" }, ...items),
  ];
}

// `explain` is called for the part of the card that it fills.
function cardOf({ name, address, answer, error }, explain) {
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
    ...picturesOf(answer), ...overTimeOf(answer), ...probabilities, ...measuresOf(answer),
    ...(answer.noSpeech ? [] : [explanationOf(explain)]),
    part("sk-facts", config.knownFor), ...rests, part("sk-facts", facts),
  );
  return card;
}
