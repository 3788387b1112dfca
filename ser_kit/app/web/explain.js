// What an answer rests on, as a part of its card that is filled when it is asked for.

// `explain` resolves to effects: probability of the answer minus that without the stretch or band.
function explanationOf(explain) {
  const place = make("div", {}, part("", "Answers again without each stretch of time and each band of frequency."));
  const ask = async () => {
    button.disabled = true;
    const found = await explain();
    if (found) place.replaceChildren(...explained(found));
    button.disabled = false;
  };
  const button = make("button", { type: "button", class: "sk-button", click: ask }, "Compute");
  place.append(part("sk-downloads", button));
  return make("details", { class: "sk-why" }, make("summary", {}, "What the answer rests on"), place);
}

function explained({ emotion, duration, stretches, bands }) {
  const seconds = ([low, high]) => `${low.toFixed(1)} to ${high.toFixed(1)} s`;
  const hertz = ([low, high]) => `${low} to ${high} Hz`;
  const largest = (parts) => parts.reduce((most, one) => (one[2] > most[2] ? one : most));
  const points = (effect) => {
    const whole = Math.round(100 * effect);
    return `${whole < 0 ? "−" : ""}${Math.abs(whole)} point${Math.abs(whole) === 1 ? "" : "s"}`;
  };
  const most = (parts) => Math.max(...parts.map(([, , effect]) => Math.abs(effect)), 0.01);
  const kind = (effect) => (effect < 0 ? "sk-against" : "sk-for");
  const [time, band] = [largest(stretches), largest(bands)];
  const without = (what, effect, rest) => `Without ${what}, ${emotion} would be ${points(effect)} less probable${rest}.`;
  const said = time[2] < 0.005 && band[2] < 0.005 ? "No stretch or band by itself makes the answer less probable."
    : time[2] < band[2] ? without(hertz(band), band[2], `; without ${seconds(time)}, ${points(time[2])}`)
      : without(seconds(time), time[2], `; without ${hertz(band)}, ${points(band[2])}`);
  const strip = make("div", { class: "sk-ribbon", role: "img", "aria-label": `Effect of each stretch of time. ${said}` },
    ...stretches.map(([low, high, effect]) => make("span", {
      class: kind(effect), title: `${seconds([low, high])}: ${points(effect)}`,
      style: `left:${(100 * low) / duration}%;width:${(100 * (high - low)) / duration}%;` +
        `opacity:${Math.abs(effect) / most(stretches)}`,
    })));
  const rows = bands.map(([low, high, effect]) => make("li", {},
    make("span", { class: "sk-label" }, hertz([low, high])),
    make("span", { class: "sk-track", "aria-hidden": "true" },
      make("span", { class: kind(effect), style: `width:${(100 * Math.abs(effect)) / most(bands)}%` })),
    make("span", { class: "sk-value" }, points(effect))));
  return [
    part("sk-traits", said), strip, make("ul", { class: "sk-bars sk-bands" }, ...rows),
    part("sk-facts", "Blue: without this part the answer would be less probable; amber: more probable. This is a " +
      "property of the model and says nothing about what the speaker felt at that time."),
  ];
}
