// The dialog that asks for an API key.

import { learn } from "./access.js";
import { useKey } from "./api.js";
import { button, dialog, el, field, problemMessage } from "./ui.js";
import { t } from "./strings.js";

/** Ask for a key until one is accepted or the person gives up. Return whether one is in use now. */
export async function askForKey() {
  // Not a password field: browsers would offer to save it.
  const input = el("input", {
    type: "text",
    class: "secret",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    pattern: "\\s*[!-~]+\\s*",
    required: true,
    autofocus: true,
  });
  const fault = el("div");
  const actions = [
    button(t("action.cancel"), () => {}, { value: "no" }),
    button(t("keys.use"), null, { kind: "primary", type: "submit" }),
  ];
  const chosen = await dialog(
    t("keys.title"),
    [el("p", {}, t("keys.about")), field(t("keys.label"), input, t("keys.hint")), fault],
    actions,
    async (event, shown) => {
      useKey(input.value.trim());
      try {
        await learn();
        shown.close("used");
      } catch (error) {
        useKey(null);
        fault.replaceChildren(problemMessage(error));
        input.focus();
      }
    },
  );
  return chosen === "used";
}
