// Progress as it happens, and buttons that say that they work. Without this script the page works, and is
// as of when it was loaded.
"use strict";

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    form.setAttribute("aria-busy", "true");
    button.textContent = "Working …";
    // Not at once: a disabled button ends the submission in some browsers.
    setTimeout(() => { button.disabled = true; });
  });
}

const live = document.getElementById("live");
if (live) {
  const said = document.getElementById("live-state");
  const only = live.querySelectorAll("[data-run]").length && location.pathname.endsWith("/run")
    ? new Set(Array.from(live.querySelectorAll("[data-run]"), (it) => it.dataset.run))
    : null;
  const stream = new EventSource(live.dataset.events);
  const reload = () => {
    // It would take the place of what is being sent.
    if (document.querySelector("form[aria-busy]")) return;
    stream.close();
    location.reload();
  };

  const show = (row, told) => {
    const bar = row.querySelector("progress");
    if (bar && told.total) {
      bar.max = told.total;
      bar.value = told.done ?? 0;
    }
    const how = row.querySelector(".how");
    if (how && told.phase) {
      const total = told.total ? ` of ${told.total}` : "";
      how.textContent = `${told.phase}: ${told.done ?? 0}${total}`;
    }
  };

  stream.addEventListener("open", () => { said.textContent = "Progress is shown as it happens."; });
  stream.addEventListener("error", () => {
    said.textContent = stream.readyState === EventSource.CLOSED
      ? "The connection ended; reload the page to see more."
      : "The connection is lost; trying again.";
  });
  stream.addEventListener("progress", (event) => {
    const rows = new Map(Array.from(live.querySelectorAll("[data-run]"), (it) => [`${it.dataset.kind} ${it.dataset.run}`, it]));
    for (const told of JSON.parse(event.data)) {
      if (only && !only.has(told.run)) continue;
      const row = rows.get(`${told.kind} ${told.run}`);
      // What is new, or has ended, is shown by the server.
      if (!row || row.dataset.state !== told.state) return reload();
      show(row, told);
    }
  });
}
