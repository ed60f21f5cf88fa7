/** Templates without a build step. Values are set as text or properties, never parsed as HTML. */
import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
