/** The log as a part of what Preact draws. It writes into its own element, line by line, without drawing anew. */
import { useEffect, useRef } from "preact/hooks";
import { html } from "../batch/html.js";
import { LogView } from "./view.js";

/** Give it the attempt as its key. @param {{taskId: string, attempt: number}} of */
export function Log({ taskId, attempt }) {
  const place = useRef();
  useEffect(() => {
    const view = new LogView(place.current, `/api/tasks/${taskId}/log`, attempt);
    return () => view.stop();
  }, [taskId, attempt]);
  return html`<section ref=${place} class="block" hidden></section>`;
}
