/** The live page of a batch: wires the parts together. */
import { batch as together } from "@preact/signals";
import { render } from "preact";
import { Sign } from "../live/sign.js";
import { Stream } from "../live/stream.js";
import { startAnnouncer } from "./announce.js";
import { BulkBar } from "./bulk.js";
import { startControls } from "./controls.js";
import { Drawer } from "./drawer.js";
import { startFilters } from "./filters.js";
import { startHeader } from "./header.js";
import { showHelp } from "./help.js";
import { html } from "./html.js";
import { startKeys } from "./keys.js";
import { Matching } from "./matching.js";
import { sample } from "./rate.js";
import * as rows from "./rows.js";
import { heed } from "./shown.js";
import { batch, island, setClock, shownTask } from "./state.js";
import { Table } from "./table.js";
import { startTitle } from "./title.js";
import { reveal } from "./window.js";

function mount(id, component) {
  const place = document.getElementById(id);
  place.replaceChildren();
  render(html`<${component} />`, place);
  return place;
}

function learn(shown) {
  batch.value = shown;
  sample(shown);
}

const stream = new Stream(island.urls, island.batch.seq, new Sign(document.getElementById("sign")), {
  frames(changes, at, shown) {
    setClock(at);
    together(() => {
      learn(shown);
      rows.apply(changes, at);
    });
    heed(changes);
  },
  snapshot(shown) {
    learn(shown);
    rows.reload();
  },
});

rows.seed();
sample(island.batch);
document.querySelector("#task-form > .bulk")?.remove();
const place = mount("task-table", () => html`<div class="live-table"><div class="table-box"><${Table} /></div></div><${BulkBar} />`);
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
if (island.open) shownTask.value = island.open;
stream.start();
place.dataset.ready = "true";
