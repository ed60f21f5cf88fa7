/** The task list of this page. */
import { get } from "../http.js";
import { batch, filter, island } from "./state.js";
import { TaskList } from "./task_list.js";

export const rows = new TaskList({ fetchPage: (query) => get(`${island.urls.tasks}?${query}`), filter, batch });
