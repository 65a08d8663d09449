"use strict";
/* Keeps an open page up to date. Without it, loading the page again does the same. */
(() => {
  const replace = async (element) => {
    const held = element.contains(document.activeElement) && document.activeElement.closest("form, details");
    if (held) return;
    if (window.htmx) {
      window.htmx.ajax("GET", location.pathname + location.search, {
        target: "#" + element.id, select: "#" + element.id, swap: "outerHTML",
      });
      return;
    }
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById(element.id);
    if (found) element.replaceWith(found);
  };

  if (document.querySelector("[data-live]")) {
    const stream = new EventSource("/api/events");
    stream.addEventListener("changed", (event) => {
      const changed = JSON.parse(event.data);
      for (const element of document.querySelectorAll("[data-live]")) {
        if (element.dataset.live.split(" ").some((name) => changed.includes(name))) replace(element);
      }
    });
    addEventListener("pagehide", () => stream.close());
  }

  const task = document.querySelector("[data-task]");
  if (task) {
    const stream = new EventSource(task.dataset.task);
    stream.addEventListener("task", (event) => {
      const { state, progress } = JSON.parse(event.data);
      const bar = task.querySelector("progress");
      if (bar && progress.total) {
        bar.max = progress.total;
        bar.value = progress.done;
        task.querySelector("[data-count]").textContent = `${progress.done} of ${progress.total}`;
      }
      task.querySelector("[data-stage]").textContent = progress.stage;
      if (state !== "queued" && state !== "running") {
        stream.close();
        replace(task);
      }
    });
    stream.addEventListener("error", () => stream.close());
    addEventListener("pagehide", () => stream.close());
  }
})();
