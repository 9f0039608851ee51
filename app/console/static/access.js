// What the caller may do here, as the service says.

import { call } from "./api.js";

const NOBODY = { keys_required: true, key_id: null, roles: [], groups: null, checks: [] };

let me = NOBODY;

/** Ask the service. Without a key where one is needed, the caller may do nothing. Throws a Problem. */
export async function learn() {
  try {
    me = (await call("GET", "api/v2/me")).data;
  } catch (error) {
    if (error.status === 401 || error.status === 403) me = NOBODY;
    throw error;
  }
}

/** The answer of `me`: keys_required, key_id, roles, groups and checks. */
export function whoAmI() {
  return me;
}

/** Whether the caller has one of these roles; admins have all. */
export function may(...roles) {
  return me.roles.includes("admin") || roles.some((role) => me.roles.includes(role));
}
