/** The title of the tab, with the progress: `62 % ✗3 name`. */
import { effect } from "@preact/signals";
import { percent } from "../formatting.js";
import { batch } from "./state.js";

export function startTitle() {
  effect(() => {
    const { name, stats, request_counts: counts } = batch.value;
    const failed = counts.failed ? ` ✗${counts.failed}` : "";
    document.title = `${percent(stats.progress_percentage)}${failed} ${name || "Batch"}`;
  });
}
