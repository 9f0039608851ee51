// Whom folders and files are of: a folder named 17_Grace_Hopper holds the photos of employee 17.

const NAMED = /^(0|[1-9][0-9]*)[ _-]+(.+)$/;

/**
 * Return {people, unclear} of files, each as {path, file} with the names of its folders in path.
 *
 * A file outside such a folder may itself be named like one. people: {number, name, surname, photos}.
 * unclear: {entry, reason}, of what names nobody; reason is that of a text `enrolling.unclear_…`.
 */
export function peopleIn(files) {
  const entries = new Map();
  const unclear = new Map();
  for (const { path, file } of files) {
    if (path.some((part) => part.startsWith("."))) continue;
    const entry = [path.at(-2), path.at(-1).replace(/\.[^.]*$/, "")].find((each) => each && NAMED.test(each));
    if (entry === undefined) unclear.set(path.at(-2) ?? path.at(-1), "name");
    else entries.set(entry, [...(entries.get(entry) ?? []), file]);
  }
  const people = new Map();
  for (const [entry, photos] of [...entries].sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true }))) {
    const [, number, rest] = entry.match(NAMED);
    const [name, ...surname] = rest.split(/[ _]+/);
    if (people.has(number)) unclear.set(entry, "twice");
    else people.set(number, { number, name, surname: surname.join(" "), photos: photos.sort(byName) });
  }
  return { people: [...people.values()], unclear: [...unclear].map(([entry, reason]) => ({ entry, reason })) };
}

/** The files that a person chose, as peopleIn takes them. */
export function chosenFiles(files) {
  return files.map((file) => ({ path: (file.webkitRelativePath || file.name).split("/"), file }));
}

/** The files that were dropped, with those in folders. Call it before the event has ended. */
export async function droppedFiles(transfer) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return (await Promise.all(roots.map((root) => walk(root, [])))).flat();
}

async function walk(entry, above) {
  const path = [...above, entry.name];
  if (entry.isFile) return [{ path, file: await new Promise((done, failed) => entry.file(done, failed)) }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // 100 at most
    if (some.length === 0) return found;
    for (const each of some) found.push(...(await walk(each, path)));
  }
}

function byName(one, other) {
  return one.name.localeCompare(other.name, "en", { numeric: true });
}
