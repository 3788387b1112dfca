// A playhead over the pictures of a player's card, and the emotion at that time as text.

const QUIET = 3000; // minimum ms between two announcements to screen readers

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

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

// Follows all players in an element, and lets clicks in a picture move them. The returned function ends that.
function followPlayers(within) {
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
  const listeners = [...["play", "timeupdate", "seeking"].map((kind) => [kind, sound]), ["click", seek]];
  listeners.forEach(([kind, listener]) => document.addEventListener(kind, listener, true));
  return () => listeners.forEach(([kind, listener]) => document.removeEventListener(kind, listener, true));
}

// Hands over the files that are dropped on an element. The returned function ends that.
function acceptDrops(within, marked, take) {
  const over = (event) => {
    if (!within(event) || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    marked.classList.toggle("sk-over", event.type === "dragover");
    if (event.type === "drop") take(event.dataTransfer.files);
  };
  const kinds = ["dragover", "dragleave", "drop"];
  kinds.forEach((kind) => document.addEventListener(kind, over, true));
  return () => kinds.forEach((kind) => document.removeEventListener(kind, over, true));
}
