// The emotion while somebody speaks into the microphone: of the last seconds, once a second.

const HEARD_SECONDS = 3; // that each answer is about
const STEP_SECONDS = 1;
const MOST_SHOWN = 60; // answers in the ribbon

// `ask` answers for samples and their rate, or rejects. The result takes blocks of samples, and ends a recording.
function liveRibbon(element, ask) {
  const band = make("div", { class: "sk-ribbon sk-live", "aria-hidden": "true" });
  const text = make("p", { class: "sk-now" });
  let [blocks, fresh, waiting, session] = [[], 0, false, 0];

  function add(answer) {
    const named = answer && !answer.noSpeech;
    const pale = named && answer.verdict === "not sure" ? "sk-vague" : "";
    band.append(make("span", { class: pale, style: named ? `background-color:${colour(answer.emotion)}` : "" }));
    if (band.children.length > MOST_SHOWN) band.firstChild.remove();
    text.textContent = named ? `The last ${HEARD_SECONDS} seconds: ${heading(answer).toLowerCase()}` : "No speech";
    element.replaceChildren(band, text);
    element.hidden = false;
  }

  function heard(block, rate) {
    blocks.push(block);
    fresh += block.length;
    while (blocks.length * block.length > HEARD_SECONDS * rate) blocks.shift();
    if (waiting || fresh < STEP_SECONDS * rate) return;
    const samples = new Float32Array(blocks.reduce((sum, one) => sum + one.length, 0));
    blocks.reduce((at, one) => (samples.set(one, at), at + one.length), 0);
    [fresh, waiting] = [0, true];
    const mine = session;
    ask(samples, rate).catch(() => null).then((answer) => {
      waiting = false;
      if (mine === session) add(answer);
    });
  }

  function end() {
    session += 1;
    [blocks, fresh] = [[], 0];
    band.replaceChildren();
    element.hidden = true;
  }
  return { heard, end };
}
