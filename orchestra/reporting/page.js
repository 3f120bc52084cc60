"use strict";
(() => {
  const all = (where, what) => [...where.querySelectorAll(what)];
  const made = (name, text, given) => Object.assign(document.createElement(name), { textContent: text }, given);
  const tools = (before) => {
    const bar = made("div", "", { className: "tools" });
    before.before(bar);
    return bar;
  };

  // Teams fold in the timeline.
  for (const table of all(document, ".timeline")) {
    const rows = all(table.tBodies[0], "tr");
    const depth = (row) => Number(row.dataset.depth);
    rows.forEach((row, at) => {
      if (!rows[at + 1] || depth(rows[at + 1]) <= depth(row)) return;
      const below = [];
      for (let next = at + 1; next < rows.length && depth(rows[next]) > depth(row); next++) below.push(rows[next]);
      const button = made("button", "▾", { className: "fold-button", type: "button", title: "Fold this team" });
      button.setAttribute("aria-expanded", "true");
      button.setAttribute("aria-label", "Steps of this team");
      button.onclick = () => {
        const open = button.getAttribute("aria-expanded") !== "true";
        button.setAttribute("aria-expanded", String(open));
        button.textContent = open ? "▾" : "▸";
        for (const other of below) {
          other.dataset.folds = String(Math.max(0, Number(other.dataset.folds || 0) + (open ? -1 : 1)));
          show(other);
        }
      };
      (row.querySelector("th > div > a") || row.querySelector("th .unseen")).after(button);
    });
  }
  const show = (row) => { row.hidden = Number(row.dataset.folds || 0) > 0 || row.dataset.missed === "yes"; };

  // Steps are found by what is written in them.
  const first = document.querySelector(".timeline");
  if (first && all(document, ".timeline tbody tr").length > 8) {
    const bar = tools(document.querySelector(".legend"));
    const field = made("input", "", { type: "search", placeholder: "Filter steps" });
    field.setAttribute("aria-label", "Filter steps");
    const wrong = made("button", "Only what did not go well", { type: "button" });
    wrong.setAttribute("aria-pressed", "false");
    const filter = () => {
      const sought = field.value.trim().toLowerCase();
      const only = wrong.getAttribute("aria-pressed") === "true";
      for (const row of all(document, ".timeline tbody tr")) {
        const fits = row.textContent.toLowerCase().includes(sought);
        const bad = row.querySelector(".sign:not(.good), .failed");
        row.dataset.missed = fits && (bad || !only) ? "no" : "yes";
        show(row);
      }
    };
    field.oninput = filter;
    wrong.onclick = () => { wrong.setAttribute("aria-pressed", String(wrong.getAttribute("aria-pressed") !== "true")); filter(); };
    bar.append(field, wrong);
  }

  // Agents are sorted by a figure.
  for (const table of all(document, ".sortable")) {
    all(table.tHead, "th").forEach((head, at) => {
      const button = made("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.onclick = () => {
        const sorted = head.getAttribute("aria-sort"); // figures from the largest first, names from A
        const down = at ? sorted !== "descending" : sorted === "ascending";
        for (const other of all(table.tHead, "th")) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => (at ? Number(row.cells[at].dataset.value) : row.cells[0].textContent);
        const order = (a, b) => (at ? value(a) - value(b) : value(a).localeCompare(value(b)));
        const rows = all(table.tBodies[0], "tr").sort((a, b) => (down ? order(b, a) : order(a, b)));
        table.tBodies[0].append(...rows);
      };
    });
  }

  // Everything opens at once, and for print.
  const folded = () => all(document, "details");
  const step = document.querySelector(".step");
  if (step) {
    const bar = tools(step);
    const button = made("button", "Open all", { type: "button" });
    button.onclick = () => {
      const open = button.textContent === "Open all";
      for (const each of folded()) each.open = open;
      button.textContent = open ? "Close all" : "Open all";
    };
    bar.append(button);
  }
  let closed = [];
  addEventListener("beforeprint", () => { closed = folded().filter((each) => !each.open); for (const each of closed) each.open = true; });
  addEventListener("afterprint", () => { for (const each of closed) each.open = false; });

  // A link to a step opens it.
  const reveal = (name) => {
    const target = name.length > 1 && document.getElementById(name.slice(1));
    const around = target && target.closest("details");
    if (around) around.open = true;
    if (target) target.scrollIntoView();
    return Boolean(target);
  };
  addEventListener("hashchange", () => reveal(location.hash));
  reveal(location.hash);
  if (location.protocol === "about:") { // in a notebook, where links lead from the notebook's address
    addEventListener("click", (event) => {
      const link = event.target.closest("a[href^='#']");
      if (link && reveal(link.getAttribute("href"))) event.preventDefault();
    });
  }

  // Times are told in the reader's own zone where the pointer rests.
  for (const time of all(document, "time")) time.title = new Date(time.dateTime).toLocaleString();
})();
