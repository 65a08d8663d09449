"use strict";
/* Keeps an open page up to date, and lets a pointer read its charts. Without it, loading the page again does the same. */
(() => {
  const replace = async (element) => {
    // Whoever is about to press a button there keeps it.
    if (element.contains(document.activeElement) && document.activeElement.closest("form, details, .uplot")) return;
    if (window.htmx) {
      await window.htmx.ajax("GET", location.pathname + location.search, {
        target: "#" + element.id, select: "#" + element.id, swap: "outerHTML",
      });
    } else {
      const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById(element.id);
      if (found) element.replaceWith(found);
    }
    charts();
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const COLOURS = ["--accent", "--team-a", "--team-b", "--yellow", "--unknown", "--green", "--red", "--grey"];
  const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3], [], [4, 2], [1, 2], [8, 2]];

  const charts = () => {
    if (!window.uPlot) return;
    for (const box of document.querySelectorAll("[data-chart]:not([data-drawn])")) {
      const { times, names, values } = JSON.parse(box.dataset.chart);
      if (times.length < 2) continue;
      box.dataset.drawn = "";
      const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
      const series = names.map((label, place) => ({
        label, stroke: colour(COLOURS[place]), width: 2, dash: DASHES[place], points: { show: true, size: 7 },
        paths: window.uPlot.paths.stepped({ align: 1 }),
      }));
      const days = times[times.length - 1] - times[0] > 3 * 86400;
      const written = (at) => {
        const text = new Date(at * 1000).toISOString();
        return days ? text.slice(5, 10) : text.slice(11, 16);
      };
      const bottom = { ...axis, values: (_, ticks) => ticks.map(written) };
      const options = {
        width: box.clientWidth,
        height: 220,
        axes: [bottom, { ...axis, size: 44 }],
        series: [{ label: "UTC", value: (_, at) => (at ? new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ") : "") }, ...series],
        tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), "Etc/UTC"), scales: { y: { range: (_, low, high) => [0, Math.max(high, 1)] } },
      };
      const drawn = box.querySelector("svg");
      box.setAttribute("role", "img");
      box.setAttribute("aria-label", drawn.getAttribute("aria-label"));
      drawn.setAttribute("hidden", "");
      const plot = new window.uPlot(options, [times, ...values], box);
      plot.root.setAttribute("aria-hidden", "true");
      new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 220 })).observe(box);
    }
  };
  charts();

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
