/** The live page of a batch: wires the parts together. */
import { batch as together } from "@preact/signals";
import { render } from "preact";
import { Sign } from "../live/sign.js";
import { Stream } from "../live/stream.js";
import { startAnnouncer } from "./announce.js";
import { BulkBar } from "./bulk.js";
import { startControls } from "./controls.js";
import { startTitle } from "./document_title.js";
import { Drawer } from "./drawer.js";
import { startFilters } from "./filters.js";
import { startHeader } from "./header.js";
import { showHelp } from "./help.js";
import { html } from "./html.js";
import { startKeys } from "./keys.js";
import { Matching } from "./matching.js";
import { updateOpenedTask } from "./opened_task.js";
import { sample } from "./rate.js";
import { rows } from "./rows.js";
import { batch, island, openedTask, setClock } from "./state.js";
import { Table } from "./table.js";
import { reveal } from "./window.js";

function mount(id, component) {
  const place = document.getElementById(id);
  place.replaceChildren();
  render(html`<${component} />`, place);
  return place;
}

function updateBatch(current) {
  batch.value = current;
  sample(current);
}

const stream = new Stream(island.urls, island.batch.seq, new Sign(document.getElementById("sign")), {
  frames(changes, at, current) {
    setClock(at);
    together(() => {
      updateBatch(current);
      rows.apply(changes, at);
    });
    updateOpenedTask(changes);
  },
  snapshot(current) {
    updateBatch(current);
    rows.reload();
  },
});

rows.start(island);
sample(island.batch);
document.querySelector("#task-form > .bulk")?.remove();
const table = mount("task-table", () => html`<div class="live-table"><div class="table-box"><${Table} /></div></div><${BulkBar} />`);
document.getElementById("task-form").addEventListener("submit", (event) => event.preventDefault());
mount("matching", Matching);
mount("drawer", Drawer);
startHeader();
startTitle();
startAnnouncer();
startFilters();
startControls();
startKeys();
const help = document.getElementById("keys");
help.hidden = false;
help.addEventListener("click", showHelp);
if (island.offset) reveal(island.offset);
if (island.open) openedTask.value = island.open;
stream.start();
table.dataset.ready = "true";
