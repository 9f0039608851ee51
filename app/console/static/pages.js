// The pages, in the order of the navigation. A page is a module of pages/ with three exports:
//
// id: its address is #id, and strings hold its name as `${id}.title`.
// roles: who sees it: callers with one of these roles; admins see all.
// render(root, signal): fill the element. signal is aborted when the page is left.

import * as start from "./pages/start.js";

export const pages = [start];
