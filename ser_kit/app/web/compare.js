// Two answers side by side: pictures over the same time, and what differs, in words and numbers.

const NOTABLE = 0.1; // difference of two probabilities
const SEMITONE = 2 ** (1 / 12);

// "happy (82 % instead of 10 %)" of all emotions that are more probable in one answer than in the other.
function moreOf(one, other) {
  return one.ranked
    .map(([label, share]) => [label, share, other.p[config.labels.indexOf(label)]])
    .filter(([, share, before]) => share - before >= NOTABLE)
    .sort((a, b) => b[1] - b[2] - (a[1] - a[2]))
    .map(([label, share, before]) => `${label} (${percent(share)} instead of ${percent(before)})`);
}

function differencesOf(one, other) {
  if (one.answer.noSpeech || other.answer.noSpeech) {
    const which = [one, other].filter(({ answer }) => answer.noSpeech).map(({ name }) => name);
    return [`${which.join(" and ")} cannot be compared: it does not sound like speech.`];
  }
  const said = [];
  const more = moreOf(other.answer, one.answer);
  said.push(more.length ? `More probable in ${other.name} than in ${one.name}: ${more.join(", ")}.`
    : "No emotion is clearly more probable in one than in the other.");
  const [first, second] = [traitsOf(one.answer), traitsOf(other.answer)];
  const words = first.flatMap(([, , before, name, up, down], i) => {
    const ratio = second[i]?.[2] / before;
    const least = name === "pitch_mean" ? SEMITONE : 1.25;
    if (!up || !ratio || (ratio < least && ratio > 1 / least)) return [];
    const far = name === "pitch_mean" ? ` by ${Math.abs(12 * Math.log2(ratio)).toFixed(1)} semitones` : "";
    return [(ratio > 1 ? up : down) + far];
  });
  if (words.length) said.push(`The voice in ${other.name} is ${words.join(" and ")}.`);
  return said;
}

function tableOf(one, other) {
  const pair = [one.answer, other.answer];
  const row = (title, unit, exact, decimals = 0) => {
    const values = exact.map((value) => Number(value?.toFixed(decimals))); // as shown, so that the difference is theirs
    const cells = values.map((value) => (Number.isFinite(value) ? `${value.toFixed(decimals)} ${unit}` : "–"));
    const far = values[1] - values[0];
    const sign = far > 0 ? "+" : far < 0 ? "−" : "";
    const apart = unit === "%" ? "points" : unit;
    cells.push(Number.isFinite(far) ? `${sign}${Math.abs(far).toFixed(decimals)} ${apart}` : "–");
    return make("tr", {}, make("th", { scope: "row" }, title), ...cells.map((text) => make("td", {}, text)));
  };
  const traits = pair.map(traitsOf);
  const measured = (traits[0].length ? traits[0] : traits[1]).map(([title, unit], i) =>
    row(title, unit, traits.map((rows) => rows[i]?.[2])));
  const emotions = pair.some(({ noSpeech }) => noSpeech) ? []
    : config.labels.map((label, i) => row(label, "%", pair.map(({ p }) => 100 * p[i])));
  const heads = ["", one.name, other.name, "Difference"].map((text) => make("th", { scope: "col" }, text));
  return make("div", { class: "sk-scroll", role: "region", "aria-label": "Differences", tabindex: "0" },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...emotions, ...measured, row("Length", "s", pair.map(({ duration }) => duration), 1))));
}

// Pictures of both, the shorter one as much narrower as it is shorter.
function alignedOf(one, other) {
  const longest = Math.max(one.answer.duration, other.answer.duration);
  return [one, other].map(({ name, answer, address }) => make("div", { class: "sk-card sk-side" },
    part("sk-name", make("strong", {}, name), ` ${heading(answer)}`),
    make("audio", { controls: "", src: address, preload: "none", "aria-label": `Player of ${name}, compared` }),
    make("div", { style: `width:${(100 * answer.duration) / longest}%` }, waveOf(answer), ...bandOf(answer)),
    ...(answer.pieces.length < 2 ? [] : nowOf())));
}

// A folded part with a choice of two, at first of the two newest.
function comparison(answers, open) {
  const choices = ["First", "Second"].map((title, place) => {
    const options = answers.map(({ name }, i) =>
      make("option", { value: i, selected: i === answers.length - 2 + place ? "" : false }, name));
    return make("select", { "aria-label": `${title} recording`, change: () => show() }, ...options);
  });
  const result = make("div", {});
  function show() {
    const [one, other] = choices.map(({ value }) => answers[value]);
    result.replaceChildren(...(one === other ? [part("", "Choose two different recordings.")] : [
      ...differencesOf(one, other).map((text) => part("sk-traits", text)), ...alignedOf(one, other), tableOf(one, other)]));
  }
  show();
  return make("details", { class: "sk-compare", open },
    make("summary", {}, make("h2", {}, "Compare two")), make("p", { class: "sk-pair" }, ...choices), result);
}
