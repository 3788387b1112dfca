// The page's script: uploads files (button, drag, microphone) in parts, and moves a playhead over the pictures of a
// recording. `recordButton` is defined in sound.js, which is prepended to this file.

const PART = 1 << 20; // bytes; servers drop messages above 10 MB
const QUIET = 3000; // minimum ms between two announcements to screen readers

// Files are sent one after the other, and each part only when the one before has arrived: so nothing queues up, and
// cancelling takes effect at once.
function sender(model) {
  let queue = [];
  let arrived = null;
  let sending = false;

  const onMessage = (message) => {
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

  model.on("msg:custom", onMessage);
  return { take, leave: () => model.off("msg:custom", onMessage) };
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

// Shows the playhead over the pictures of a player's card, and the emotion at that time as text.
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
  const answer = moment ? `${moment[2]}, ${moment[3]} %` : "no speech";
  card.querySelector(".sk-now").textContent = `${clock(time)} ${answer}`;
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
  // Media events do not bubble, but they can be captured.
  const listeners = [
    ...["dragover", "dragleave", "drop"].map((kind) => [kind, over]),
    ...["play", "timeupdate", "seeking"].map((kind) => [kind, sound]),
    ["click", seek],
  ];
  listeners.forEach(([kind, listener]) => document.addEventListener(kind, listener, true));

  const update = () => {
    el.querySelector("[role=status]").textContent = model.get("status");
    input.disabled = el.querySelector(".sk-record").disabled = model.get("closed");
  };
  model.on("change:status change:closed", update);
  update();
  return () => {
    release();
    leave();
    model.off("change:status change:closed", update);
    listeners.forEach(([kind, listener]) => document.removeEventListener(kind, listener, true));
  };
}

export default { render };
