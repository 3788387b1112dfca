// The widget's script: uploads files (button, drag, microphone) in parts. sound.js and play.js are prepended to it.

const PART = 1 << 20; // bytes; servers drop messages above 10 MB

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
  const ends = [release, leave, followPlayers(within), acceptDrops(within, el, take)];
  const update = () => {
    el.querySelector("[role=status]").textContent = model.get("status");
    input.disabled = el.querySelector(".sk-record").disabled = model.get("closed");
  };
  model.on("change:status change:closed", update);
  update();
  return () => {
    ends.forEach((end) => end());
    model.off("change:status change:closed", update);
  };
}

export default { render };
