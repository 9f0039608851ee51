// Enrol a person from photos.

import { call } from "./api.js";

const TAKEN = 412; // somebody has that number
const TRIES = 5;

/**
 * Enrol under a number that nobody has yet; a given one is the only one tried.
 *
 * Photos that cannot be used are left out, unless all of them cannot. Return the answer, which lists
 * those under `refused`. Throws a Problem.
 */
export async function enrol({ number = "", name, surname, groups, photos }, signal) {
  const form = { name: name.trim(), surname: surname.trim() || null, groups, photos, partial: true };
  for (let left = number ? 1 : TRIES; ; left--) {
    const employeeId = number || String(Math.floor(100_000 + Math.random() * 900_000));
    const headers = { "If-None-Match": "*" };
    try {
      const { data } = await call("PUT", `api/v2/employees/${employeeId}`, { form, headers, signal });
      return { ...data, employee_id: employeeId }; // as it was sent: not every browser reads a long one exactly
    } catch (error) {
      if (error.status !== TAKEN || left === 1) throw error;
    }
  }
}
