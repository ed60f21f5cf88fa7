/** The log as a Preact component. Its view writes lines into its own element, without rendering. */
import { useEffect, useRef } from "preact/hooks";
import { html } from "../batch/html.js";
import { LogView } from "./view.js";

/** Its key must change with the attempt. @param {{taskId: string, attempt: number}} of */
export function Log({ taskId, attempt }) {
  const place = useRef();
  useEffect(() => {
    const view = new LogView(place.current, `/api/tasks/${taskId}/log`, attempt);
    return () => view.stop();
  }, [taskId, attempt]);
  return html`<section ref=${place} class="block" hidden></section>`;
}
