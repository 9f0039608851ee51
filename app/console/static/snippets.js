// Calls of the OpenAPI description as commands of curl and as Python.

const PHOTO = "..."; // how an example of a body spells a photo
const FILES = ["me.jpg", "other.jpg"];
const FORM = "multipart/form-data";
const JSON_TYPE = "application/json";

/** What an example sends: {path, form, json, type, isKeyed}. form: pairs; photos are {file}. */
export function example(path, operation, isKeyed) {
  const fillIn = (whole, name) => operation.parameters.find((each) => each.in === "path" && each.name === name).schema.examples[0];
  const content = operation.requestBody?.content ?? {};
  const body = content[JSON_TYPE]?.example;
  const hasPhoto = FORM in content && JSON.stringify(body).includes(`"${PHOTO}"`);
  return {
    path: path.replace(/\{(\w+)\}/g, fillIn),
    form: hasPhoto ? Object.entries(body).flatMap(([name, value]) => parts(name, value)) : null,
    json: hasPhoto ? null : (body ?? null),
    type: body === undefined ? (Object.keys(content)[0] ?? null) : null,
    isKeyed: isKeyed && operation.security.length > 0,
  };
}

function parts(name, value) {
  return [value].flat().map((each, at) => {
    if (each === PHOTO) return [name, { file: FILES[at % FILES.length] }];
    return [name, typeof each === "string" ? each : JSON.stringify(each)];
  });
}

/** The call as a command for a shell. root: the address of the service, without a slash at the end. */
export function curl(root, method, { path, form, json, type, isKeyed }) {
  const words = [`curl ${quoted(root + path)}`];
  if (method !== (form || json || type ? "POST" : "GET")) words.push(`-X ${method}`);
  if (isKeyed) words.push('-H "X-API-Key: $KEY"');
  for (const [name, value] of form ?? []) words.push(`-F ${quoted(value.file ? `${name}=@${value.file}` : `${name}=${value}`)}`);
  if (json) words.push(`-H ${quoted(`Content-Type: ${JSON_TYPE}`)}`, `-d ${quoted(JSON.stringify(json))}`);
  if (type) words.push(`-H ${quoted(`Content-Type: ${type}`)}`, "--data-binary @people.export");
  return words.join(" \\\n  ");
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The same in Python, with requests. */
export function python(root, method, { path, form, json, type, isKeyed }) {
  const given = [literal(root + path)];
  const headers = [];
  if (isKeyed) headers.push(`"X-API-Key": os.environ["KEY"]`);
  if (type) headers.push(`"Content-Type": ${literal(type)}`);
  if (headers.length) given.push(`headers={${headers.join(", ")}}`);
  if (form) {
    const sent = form.map(([name, value]) => `(${literal(name)}, ${value.file ? `open(${literal(value.file)}, "rb")` : `(None, ${literal(value)})`})`);
    given.push(`files=[${sent.join(", ")}]`);
  }
  if (json) given.push(`json=${literal(json)}`);
  if (type) given.push(`data=open("people.export", "rb")`);
  const imports = isKeyed ? "import os\n\nimport requests\n" : "import requests\n";
  return `${imports}\nanswer = requests.${method.toLowerCase()}(\n    ${given.join(",\n    ")},\n)\nprint(answer.status_code, answer.text)`;
}

/** A value as Python writes it. */
function literal(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`).join(", ")}}`;
}
