// What the page does in the browser: takes in files by button, drag or microphone, sends them in parts, and moves a
// line over the pictures of a recording while it is played. `recordButton` is in sound.js, which stands before this.

const PART = 1 << 20; // bytes; servers drop messages above 10 MB
const QUIET = 3000; // ms that a screen reader is left in peace between two emotions

// Files go one after the other, and each part waits until the one before has arrived: so nothing piles up on the way,
// and a stop is heard at once.
function sender(model) {
  let queue = [];
  let arrived = null;
  let sending = false;

  const heard = (message) => {
    if (message.kind === "stop") queue = [];
    if (message.kind === "stop" || message.id === queue[0]?.id) arrived?.();
  };

  const send = async () => {
    sending = true;
    while (queue.length) {
      const { id, file } = queue[0];
      for (let at = 0; at < file.size && queue[0]?.id === id; at += PART) {
        let part;
        try {
          part = await file.slice(at, at + PART).arrayBuffer();
        } catch (error) {
          model.send({ kind: "lost", id, error: error.message });
          break;
        }
        if (queue[0]?.id !== id) break;
        const arrival = new Promise((resolve) => (arrived = resolve));
        model.send({ kind: "part", id }, undefined, [part]);
        await arrival;
      }
      if (queue[0]?.id === id) queue.shift();
    }
    sending = false;
  };

  const take = (files) => {
    const added = [...files].map((file) => ({ id: `${Date.now()}-${Math.random()}`, file }));
    if (!added.length || model.get("closed")) return;
    model.send({ kind: "files", files: added.map(({ id, file }) => ({ id, name: file.name, size: file.size })) });
    queue.push(...added.filter(({ file }) => file.size <= model.get("largest")));
    if (!sending) send();
  };

  model.on("msg:custom", heard);
  return { take, leave: () => model.off("msg:custom", heard) };
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// The line over the pictures of the card whose sound it is, and the emotion at that time in words.
function show(audio) {
  const card = audio.closest(".sk-card");
  const stage = card?.querySelector(".sk-stage");
  if (!stage) return;
  const time = audio.currentTime;
  card.style.setProperty("--at", `${Math.min(100, (100 * time) / stage.dataset.seconds)}%`);
  card.classList.toggle("sk-playing", time > 0);
  const ribbon = card.querySelector("[data-moments]");
  if (!ribbon) return;
  ribbon.moments ??= JSON.parse(ribbon.dataset.moments);
  const moment = ribbon.moments.find(([start, end]) => start <= time && time < end);
  const said = moment ? `${moment[2]}, ${moment[3]} %` : "no speech";
  card.querySelector(".sk-now").textContent = `${clock(time)} ${said}`;
  const aloud = card.querySelector(".sk-aloud");
  const emotion = moment?.[2] ?? "no speech";
  if (aloud.textContent !== emotion && Date.now() - (aloud.since ?? 0) >= QUIET) {
    aloud.textContent = emotion;
    aloud.since = Date.now();
  }
}

function follow(audio) {
  show(audio);
  if (!audio.paused && audio.isConnected) requestAnimationFrame(() => follow(audio));
}

function render({ model, el }) {
  const { take, leave } = sender(model);
  el.classList.add("sk-controls");
  el.innerHTML = `
    <label class="sk-button sk-choose">Choose recordings<input type="file" multiple class="sk-unseen"></label>
    <span class="sk-recorder"></span><span class="sk-note sk-hint">or drop files here</span>
    <div class="sk-unseen" role="status"></div>`;
  const input = el.querySelector("input");
  input.accept = model.get("accept");
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // so that the same file can be chosen again
  });

  const release = recordButton(el.querySelector(".sk-recorder"), model.get("most_seconds"), (content) => {
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
    take([new File([content], `recording at ${time}.wav`)]);
  });

  const within = (event) => el.closest(".ser-kit")?.contains(event.target);
  const over = (event) => {
    if (!within(event) || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    el.classList.toggle("sk-over", event.type === "dragover");
    if (event.type === "drop") take(event.dataTransfer.files);
  };
  const sound = (event) => {
    if (event.target instanceof HTMLAudioElement && within(event)) (event.type === "play" ? follow : show)(event.target);
  };
  const seek = (event) => {
    const stage = within(event) && event.target.closest(".sk-stage");
    const audio = stage && stage.closest(".sk-card")?.querySelector("audio");
    if (!audio) return;
    const { left, width } = stage.getBoundingClientRect();
    audio.currentTime = Math.max(0, (stage.dataset.seconds * (event.clientX - left)) / width);
  };
  // The events of a player do not rise, but they can be caught on their way down.
  const listeners = [
    ...["dragover", "dragleave", "drop"].map((kind) => [kind, over]),
    ...["play", "timeupdate", "seeking"].map((kind) => [kind, sound]),
    ["click", seek],
  ];
  listeners.forEach(([kind, listener]) => document.addEventListener(kind, listener, true));

  const told = () => {
    el.querySelector("[role=status]").textContent = model.get("said");
    input.disabled = el.querySelector(".sk-record").disabled = model.get("closed");
  };
  model.on("change:said change:closed", told);
  told();
  return () => {
    release();
    leave();
    model.off("change:said change:closed", told);
    listeners.forEach(([kind, listener]) => document.removeEventListener(kind, listener, true));
  };
}

export default { render };
