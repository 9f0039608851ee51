// The words of the console, in the reader's language. A language is one file in strings/.

const LANGUAGES = ["en", "de", "it"];

let strings = {};
export let language = "en";

/** The languages that there are, as [code, name] in that language itself. */
export const languages = LANGUAGES.map((code) => {
  const name = new Intl.DisplayNames([code], { type: "language" }).of(code);
  return [code, name[0].toLocaleUpperCase(code) + name.slice(1)];
});

/** The first of the browser's languages that there is. */
export function preferred() {
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
  return wanted.find((code) => LANGUAGES.includes(code)) ?? LANGUAGES[0];
}

/** Use this language from now on. */
export async function load(code) {
  strings = (await import(`./strings/${code}.js`)).default;
  language = code;
  document.documentElement.lang = code;
}

/** Words in the language of the moment. What shows them as an element's child or attribute is rewritten. */
export class Words {
  /** write: returns the text in the language of the moment. */
  constructor(write) {
    this.toString = write;
  }
}

/** The text of that name, with {member}s replaced by values. */
export function t(name, values = {}) {
  return new Words(() => (strings[name] ?? name).replace(/\{(\w+)\}/g, (whole, member) => values[member] ?? whole));
}

/** Those of the texts that are not "", with something between them. */
export function joined(texts, between) {
  return new Words(() => texts.filter(Boolean).join(between));
}

/** Whether there is a text of that name. */
export function has(name) {
  return name in strings;
}

/** What to tell a person of an error: our words for its code, else the service's own sentence. */
export function explain(error) {
  const name = `problem.${error.code}`;
  if (has(name)) return t(name, { seconds: number(error.retryAfterS ?? 5) });
  return error.title || t("problem.unknown");
}

/** The name of an employee. */
export function fullName({ name, surname }) {
  return `${name} ${surname}`.trim();
}

/** Somebody's words, which cannot change the direction of the text around them. */
export function isolated(text) {
  return `\u2068${text}\u2069`;
}

/** A number as the language writes it. options: those of Intl.NumberFormat. */
export function number(value, options = {}) {
  return new Words(() => new Intl.NumberFormat(language, options).format(value));
}

/** A distance or an α, with two digits. */
export function distance(value) {
  return number(value, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** A day, given as 2026-12-31, as the language writes it. */
export function day(text) {
  return inWords(text, { dateStyle: "medium", timeZone: "UTC" });
}

/** A moment, given as RFC 3339, as the language writes it. */
export function moment(text) {
  return inWords(text, { dateStyle: "medium", timeStyle: "short" });
}

function inWords(text, style) {
  return new Words(() => new Intl.DateTimeFormat(language, style).format(new Date(text)));
}
