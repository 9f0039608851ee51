// The pages, in the order of the navigation. A page is a module of pages/ with three exports:
//
// id: its address is #id, and strings hold its name as `${id}.title`.
// roles: who sees it: callers with one of these roles; admins see all.
// aboutAll: optional; true hides it from keys that are bound to groups.
// render(root, signal): fill the element. signal is aborted when the page is left.

import * as attempts from "./pages/attempts.js";
import * as health from "./pages/health.js";
import * as people from "./pages/people.js";
import * as start from "./pages/start.js";
import * as system from "./pages/system.js";
import * as tryApi from "./pages/try.js";

export const pages = [start, people, attempts, health, system, tryApi];
