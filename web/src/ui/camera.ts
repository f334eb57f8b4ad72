/** The camera: a live picture, and one frame of it as pixels. */
import { Fault } from "../fault";
import { fromSource } from "../image/decode";
import type { Pixels } from "../image/pixels";
import { strings } from "../strings";
import { h } from "./dom";

/** How the stream that is open stops, and how often the camera was asked for or closed. */
let stopOpen: () => void = () => {};
let asked = 0;

/** Stop the camera, or a request for it that is under way: no light may burn for a picture that nobody takes. */
export function closeCamera(): void {
  asked++;
  stopOpen();
}

export async function openCamera(place: HTMLElement, taken: (pixels: Pixels) => void, closed: () => void): Promise<void> {
  closeCamera();
  const mine = asked;
  let stream: MediaStream;
  try {
    if (!navigator.mediaDevices) throw new Error("no secure connection");
    stream = await navigator.mediaDevices.getUserMedia({
      audio: false, video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1920 } },
    });
  } catch (error) {
    if (mine !== asked) return;
    throw new Fault("noCamera", error instanceof Error ? error.message : "unknown");
  }
  if (mine !== asked) {
    stream.getTracks().forEach((t) => t.stop());
    return;
  }
  const video = h("video", { autoplay: true, playsinline: true, muted: true, "aria-label": strings.cameraPreview });
  video.muted = true;
  video.srcObject = stream;
  const stop = () => {
    stream.getTracks().forEach((t) => t.stop());
    place.replaceChildren();
    stopOpen = () => {};
  };
  stopOpen = stop;
  const leave = () => {
    stop();
    closed();
  };
  const take = h("button", { class: "main", id: "take", click: () => {
    if (video.videoWidth === 0) return;
    const pixels = fromSource(video, video.videoWidth, video.videoHeight);
    leave();
    taken(pixels);
  } }, strings.takePicture);
  place.replaceChildren(
    h("div", { class: "stage" }, video), h("p", { class: "note" }, strings.cameraCaution),
    h("div", { class: "row" }, take, h("button", { click: leave }, strings.closeCamera)));
  await video.play().catch(() => {});
  if (mine === asked) take.focus();
}
