"use strict";
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const { runs, rows, outcomes, drawings } = content;
  const byId = (id) => document.getElementById(id);

  // Text only ever enters the page as text; drawings are the one exception, and are made by ipvlab.
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const tag = (name, words) => make("span", { class: `tag is-${name}` }, words);
  const sign = (outcome) => (outcomes[outcome] || { sign: "·" }).sign;
  const words = (outcome) => (outcomes[outcome] || { words: "not tried" }).words;

  const drawSubjects = () => {
    for (const run of runs) {
      const meter = make("div", { class: "meter", "aria-hidden": "true" });
      const told = [];
      for (const name of Object.keys(outcomes)) {
        const count = run.counts[name] || 0;
        if (!count) continue;
        meter.append(make("i", { class: `fill-${name}`, style: `flex:${count} 0 0` }));
        told.push(`${count} ${words(name)}`);
      }
      const proofs = run.probes ? `, ${run.probes} probes, ${run.silences} silences proved` : "";
      byId("subjects").append(
        make("article", { class: "card" },
          make("h3", {}, run.name),
          make("p", { class: "who" }, run.about),
          meter,
          make("p", { class: "counts" }, `${told.join(", ") || "no cases"} in ${run.seconds} s${proofs}`),
          ...run.notes.map((note) => make("p", { class: "counts" }, note))));
    }
  };

  const drawProfiles = () => {
    const judged = runs[0]?.profiles ?? [];
    byId("profiles-part").hidden = !judged.length;
    byId("profiles").tHead.append(make("tr", {}, make("th", { scope: "col" }, "profile"),
      ...runs.map((run) => make("th", { scope: "col" }, run.name))));
    judged.forEach((profile, at) => byId("profiles").tBodies[0].append(make("tr", {},
      make("th", { scope: "row" }, profile.name),
      ...runs.map((run) => {
        const { result, words: told, passed, total } = run.profiles[at];
        const mark = { conformant: "✔", nonconformant: "✘", incomplete: "–" }[result];
        return make("td", {}, tag(result, `${mark} ${told}`), make("span", { class: "level" }, `${passed} of ${total}`));
      }))));
  };

  const chosen = () => new Set([...document.querySelectorAll("#outcomes input:checked")].map((box) => box.value));
  const fits = (row, text, group, shown) => {
    if (group && row.group !== group) return false;
    if (text && !row.search.includes(text)) return false;
    return row.cells.some((cell) => shown.has(cell.outcome || "none"));
  };

  const drawMatrix = () => {
    const text = byId("text").value.trim().toLowerCase();
    const group = byId("group").value;
    const shown = chosen();
    const body = make("tbody");
    let last = null;
    let count = 0;
    rows.forEach((row, at) => {
      if (!fits(row, text, group, shown)) return;
      count += 1;
      if (row.group !== last) {
        last = row.group;
        body.append(make("tr", { class: "group" },
          make("th", { colspan: runs.length + 1, scope: "rowgroup" }, row.group)));
      }
      const name = make("span", { class: "id" }, row.id,
        row.level ? make("span", { class: "level" }, row.level) : null);
      const line = make("tr", {}, make("th", { scope: "row" }, name,
        row.text ? make("span", { class: "says" }, row.text) : null));
      row.cells.forEach((cell, column) => {
        const outcome = cell.outcome || "none";
        const label = `${words(outcome)}: ${row.id} on ${runs[column].name}`;
        line.append(make("td", {}, cell.outcome
          ? make("button", { type: "button", class: `cell is-${outcome}`, "data-row": at, "data-column": column,
              "aria-label": label }, `${sign(outcome)} ${words(outcome)}`)
          : make("span", { class: "tag is-none" }, "not tried")));
      });
      body.append(line);
    });
    byId("matrix").tBodies[0].replaceWith(body);
    byId("shown").textContent = `${count} of ${rows.length} rows`;
    byId("nothing").hidden = count > 0;
  };

  const table = (kind, head, lines) => make("table", { class: kind },
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map((cell) => make("td", {}, cell))))));

  const drawCase = (item, run) => {
    const part = make("section", { class: "case" });
    part.append(make("h3", {}, tag(item.outcome, `${sign(item.outcome)} ${words(item.outcome)}`), ` ${item.id}`));
    if (item.title) part.append(make("p", { class: "source" }, item.title));
    if (item.reason) part.append(make("p", {}, item.reason));
    if (item.link) part.append(make("p", {}, make("a", { href: item.link, rel: "noreferrer" }, item.link)));
    if (item.topology && drawings[item.topology]) {
      const holder = make("div");
      holder.innerHTML = drawings[item.topology];
      part.append(holder);
    }
    if (item.claims.length) {
      part.append(table("claims", ["claim", "expected", "observed", ""], item.claims.map((claim) =>
        [claim.id, claim.expected, claim.observed, tag(claim.outcome, words(claim.outcome))])));
    }
    for (const claim of item.claims) {
      if (claim.reason && claim.reason !== item.reason) {
        part.append(make("p", { class: "source" }, `${claim.id}: ${claim.reason}`));
      }
      if (claim.explanation.length) {
        part.append(make("h3", {}, "What the rules say"),
          make("div", { class: "steps mono" }, claim.explanation.join("\n")));
      }
      if (claim.proof) part.append(make("p", { class: "source" }, `Proof: ${claim.proof}`));
    }
    if (item.packets.length) {
      part.append(make("h3", {}, `Packets${item.capture ? ` of ${item.capture}` : ""}`));
      part.append(table("packets", ["no.", "role", "where", "packet"], item.packets.map((packet) => {
        const told = packet.layers.length
          ? make("details", {}, make("summary", {}, packet.summary),
              make("div", { class: "steps mono" }, packet.layers.join("\n")))
          : packet.summary;
        return [String(packet.number), packet.role, packet.interface, told];
      })));
    }
    if (item.reproduce) {
      const copy = make("button", { type: "button" }, "Copy");
      copy.addEventListener("click", () => navigator.clipboard?.writeText(item.reproduce)
        .then(() => { copy.textContent = "Copied"; }));
      part.append(make("h3", {}, "See it again"),
        make("div", { class: "command" }, make("code", {}, item.reproduce), copy));
    }
    return part;
  };

  const showEvidence = (at, column) => {
    const row = rows[at];
    const run = runs[column];
    byId("evidence-h").textContent = `${row.id} on ${run.name}`;
    const details = byId("details");
    details.replaceChildren();
    if (row.text) details.append(make("p", {}, row.text));
    if (row.source) details.append(make("p", { class: "source" }, `Source: ${row.source}`));
    for (const number of row.cells[column].cases) details.append(drawCase(run.cases[number], run));
    byId("evidence").showModal();
    details.parentElement.scrollTop = 0;
    location.replace(`#${at}.${column}`);
  };

  const openFromAddress = () => {
    const found = /^#(\d+)\.(\d+)$/.exec(location.hash);
    if (found && rows[found[1]]?.cells[found[2]]?.outcome) showEvidence(Number(found[1]), Number(found[2]));
  };

  const begin = () => {
    drawSubjects();
    drawProfiles();
    const head = make("tr", {}, make("th", { scope: "col" }, content.row_name),
      ...runs.map((run) => make("th", { scope: "col" }, run.name)));
    byId("matrix").tHead.append(head);
    for (const group of new Set(rows.map((row) => row.group))) byId("group").append(make("option", { value: group }, group));
    const present = new Set(rows.flatMap((row) => row.cells.map((cell) => cell.outcome || "none")));
    for (const name of [...Object.keys(outcomes), "none"]) {
      if (!present.has(name)) continue;
      const box = make("input", { type: "checkbox", value: name });
      box.checked = true;
      byId("outcomes").append(make("label", {}, box, words(name)));
    }
    byId("filters").addEventListener("input", drawMatrix);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("matrix").addEventListener("click", (event) => {
      const cell = event.target.closest("button.cell");
      if (cell) showEvidence(Number(cell.dataset.row), Number(cell.dataset.column));
    });
    byId("close").addEventListener("click", () => byId("evidence").close());
    byId("evidence").addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
    byId("evidence").addEventListener("click", (event) => {
      if (event.target === byId("evidence")) byId("evidence").close();
    });
    drawMatrix();
    openFromAddress();
  };
  begin();
})();
