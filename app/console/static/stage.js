// Where the person is seen: the camera or a photo, what the service sees in it, and what to do.

import { CameraFault, openCamera, snap } from "./camera.js";
import { advice, draw, judgement, look, watch } from "./framing.js";
import { button, el, message, newId, problemMessage, say, svg } from "./ui.js";
import { t } from "./strings.js";

const FRAMING_PX = 640; // longer side of the photos that are only looked at
const PREVIEW_PX = 1280;
const UNREADABLE = [400, 413, 415]; // answers to a file that cannot be used at all

export class Stage {
  #signal;
  #running = null; // ends the camera, or what is shown instead
  #watching = null;
  #file = null;
  #track = null;
  #enabled = [];
  #ready = () => {};

  constructor(signal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#running?.abort(), { once: true });
    this.video = el("video", { playsinline: true, muted: true, "aria-label": t("stage.camera") });
    this.canvas = el("canvas", { role: "img", "aria-label": t("stage.photo") });
    this.overlay = svg("svg", { class: "overlay", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" });
    this.view = el("div", { class: "view" }, this.video, this.canvas, this.overlay);
    this.guidance = el("p", { class: "guidance", role: "status" });
    this.order = el("p", { class: "order", "aria-live": "assertive" });
    this.detail = el("p", { class: "detail" });
    this.progress = el("progress", { max: "1", value: "0", "aria-label": t("film.progress") });
    this.picker = el("input", { type: "file", accept: "image/*", hidden: true, onchange: () => this.#choose() });
    this.start = button(t("stage.start"), () => this.open(), { kind: "primary large", symbol: "camera" });
    this.fault = el("div", { class: "stack" });
    const empty = el("div", { class: "empty" }, outline(), this.start, el("p", { class: "small" }, t("stage.private")));
    const film = el("div", { class: "director" }, this.order, this.detail, this.progress);
    const choose = button(t("stage.choose"), () => this.picker.click());
    this.stop = button("", () => this.close(), { kind: "quiet" });
    this.box = el("div", { class: "stage", "data-state": "empty" }, this.view, empty, this.guidance, film);
    this.element = el("div", { class: "stack" }, this.box, this.fault, el("div", { class: "row middle" }, this.stop, choose, this.picker));
    this.#show("empty");
  }

  get isLive() {
    return this.#track !== null;
  }

  /** Call listener whenever there is something new to send. */
  onReady(listener) {
    this.#ready = listener;
  }

  /** Let a control be used only while there is something to send. Return what says why it cannot. */
  enables(control) {
    const why = el("p", { class: "hint", id: newId() }, t("stage.needed"));
    control.setAttribute("aria-describedby", why.id);
    this.#enabled.push([control, why]);
    return why;
  }

  /** Open the camera, or say why there is none. */
  async open() {
    const running = this.#begin();
    try {
      this.#track = await openCamera(this.video, running.signal);
      this.#track.addEventListener("ended", () => this.#fail(new CameraFault("lost")), { once: true });
      this.box.style.setProperty("--aspect", this.video.videoWidth / this.video.videoHeight);
      this.box.dataset.source = "camera";
      this.#show("live");
      this.#ready();
      this.#watch();
    } catch (error) {
      if (!running.signal.aborted) this.#fail(error);
    }
  }

  /** Close the camera, and forget the photo. */
  close() {
    this.#begin();
    this.#show("empty");
    this.start.focus();
  }

  /** The photo to send: the one that was chosen, or one that is taken now. */
  async photo() {
    return this.#file ?? snap(this.video);
  }

  /** Tell the person what to do, in large letters. state: countdown, filming or asking. */
  direct(state, order, detail = "", share = 0) {
    if (state === "countdown") this.box.scrollIntoView({ block: "nearest" });
    this.box.dataset.state = state;
    say(this.order, order);
    say(this.detail, detail);
    this.progress.value = share;
  }

  /** Do something that needs the picture; meanwhile nothing else can be started. */
  async busy(work) {
    const before = this.box.dataset.state;
    this.#watching?.abort();
    this.#tell(null);
    this.#enable(false);
    this.direct("asking", t("stage.asking"));
    try {
      await work();
    } finally {
      // The camera may have been closed meanwhile.
      if (this.#file || this.#track) {
        this.#show(before);
        if (this.#track) this.#watch();
      }
    }
  }

  #begin() {
    this.#running?.abort();
    this.#running = new AbortController();
    this.#file = this.#track = null;
    this.video.srcObject = null;
    this.fault.replaceChildren();
    this.#tell(null);
    return this.#running;
  }

  #fail(error) {
    this.#begin();
    this.#show("empty");
    const code = error instanceof CameraFault ? error.code : "unknown";
    this.fault.replaceChildren(message("bad", t(`camera.${code}`)));
  }

  #show(state) {
    this.box.dataset.state = state;
    this.stop.hidden = state === "empty";
    say(this.stop, t(this.#file ? "stage.remove" : "stage.stop"));
    for (const [, why] of this.#enabled) why.hidden = state !== "empty";
    this.#enable(state !== "empty");
  }

  #enable(isOn) {
    for (const [control] of this.#enabled) control.disabled = !isOn;
  }

  /** Show what the service sees, as long as the camera runs. */
  async #watch() {
    this.#watching?.abort();
    this.#watching = new AbortController();
    const signal = AbortSignal.any([this.#watching.signal, this.#running.signal]);
    try {
      await watch(() => snap(this.video, FRAMING_PX), (seen) => this.#tell(seen), signal);
    } catch (error) {
      this.fault.replaceChildren(problemMessage(error));
    }
  }

  #tell(seen) {
    draw(this.overlay, seen);
    const [kind, text] = seen ? (this.#file ? judgement : advice)(seen) : ["", ""];
    this.guidance.className = `guidance ${kind}`;
    if (this.guidance.textContent !== String(text)) say(this.guidance, text);
  }

  /** Show a photo that the person chose, and what the service sees in it. */
  async #choose() {
    const [file] = this.picker.files;
    this.picker.value = "";
    if (!file) return;
    const { signal } = this.#begin();
    this.#file = file;
    await this.#preview(file);
    if (signal.aborted) return;
    this.box.dataset.source = "photo";
    this.#show("photo");
    this.#ready();
    try {
      this.#tell(await look(file, signal));
    } catch (error) {
      if (signal.aborted) return;
      if (UNREADABLE.includes(error.status)) this.close();
      this.fault.replaceChildren(problemMessage(error));
    }
  }

  async #preview(file) {
    const bitmap = await createImageBitmap(file).catch(() => null);
    const scale = bitmap ? Math.min(1, PREVIEW_PX / Math.max(bitmap.width, bitmap.height)) : 0;
    this.canvas.width = bitmap ? Math.round(bitmap.width * scale) : 4;
    this.canvas.height = bitmap ? Math.round(bitmap.height * scale) : 3;
    this.box.style.setProperty("--aspect", this.canvas.width / this.canvas.height);
    if (bitmap) this.canvas.getContext("2d").drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    else this.fault.replaceChildren(message("info", t("stage.no_preview")));
  }
}

/** A head and shoulders, to be filled by a person. */
function outline() {
  return svg(
    "svg",
    { class: "outline", viewBox: "0 0 120 110", "aria-hidden": "true" },
    svg("ellipse", { cx: 60, cy: 44, rx: 25, ry: 32 }),
    svg("path", { d: "M12 110c2-20 18-28 34-31M108 110c-2-20-18-28-34-31" }),
  );
}
