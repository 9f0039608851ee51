// What the caller may do here, as the service says.

import { call, hasKey, Problem } from "./api.js";

const NOBODY = { keys_required: true, key_id: null, roles: [], groups: null, checks: [] };

let me = NOBODY;

/** Ask the service. Without a key where one is needed, the caller may do nothing. Throws a Problem. */
export async function learn() {
  try {
    me = hasKey() || (await isOpen()) ? known((await call("GET", "api/v2/me")).data) : NOBODY;
  } catch (error) {
    if (error.status === 401 || error.status === 403) me = NOBODY;
    throw error;
  }
}

/** Whether no keys are needed. `me` would write the lack of a key into the audit log. */
async function isOpen() {
  const { data } = await call("GET", "readyz");
  if (typeof data?.access !== "string") throw notOurs();
  return data.access !== "keys";
}

/** The answer, if it is one of `me`. */
function known(answer) {
  if (!Array.isArray(answer?.roles) || !Array.isArray(answer.checks)) throw notOurs();
  return answer;
}

function notOurs() {
  return new Problem(200, { code: "not_ours", title: "" });
}

/** The answer of `me`: keys_required, key_id, roles, groups and checks. */
export function whoAmI() {
  return me;
}

/** Whether the caller has one of these roles; admins have all. */
export function may(...roles) {
  return me.roles.includes("admin") || roles.some((role) => me.roles.includes(role));
}
