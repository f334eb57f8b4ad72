/** The camera: a live picture, and one frame of it as pixels. */
import { Fault } from "../fault";
import { fromSource } from "../image/decode";
import type { Pixels } from "../image/pixels";
import { strings } from "../strings";
import { h } from "./dom";

export async function openCamera(place: HTMLElement, taken: (pixels: Pixels) => void, closed: () => void): Promise<void> {
  let stream: MediaStream;
  try {
    if (!navigator.mediaDevices) throw new Error("no secure connection");
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false, video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1920 } },
    });
  } catch (error) {
    throw new Fault("noCamera", error instanceof Error ? error.message : "unknown");
  }
  const video = h("video", { autoplay: true, playsinline: true, muted: true, "aria-label": strings.cameraPreview });
  video.muted = true;
  video.srcObject = stream;
  const stop = () => {
    stream.getTracks().forEach((t) => t.stop());
    place.replaceChildren();
    closed();
  };
  const take = h("button", { class: "main", id: "take", click: () => {
    if (video.videoWidth === 0) return;
    const pixels = fromSource(video, video.videoWidth, video.videoHeight);
    stop();
    taken(pixels);
  } }, strings.takePicture);
  place.replaceChildren(
    h("div", { class: "stage" }, video), h("p", { class: "note" }, strings.cameraCaution),
    h("div", { class: "row" }, take, h("button", { click: stop }, strings.closeCamera)));
  await video.play().catch(() => {});
  take.focus();
}
