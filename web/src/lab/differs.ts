/** How far an accelerator may be off, as a share of the logits' range: half precision is off a little. */
const TOLERANCE = 0.05;

/**
 * Why an accelerator's logits are not the processor's, or null. Graphics drivers exist that take a
 * whole INT8 graph and compute something else; its time would be that of another computation.
 */
export function differs(logits: number[], accelerator: string, truth: number[] | undefined): string | null {
  if (accelerator === "wasm" || !truth || truth.length !== logits.length) return null;
  const range = Math.max(...truth) - Math.min(...truth);
  const rmse = Math.sqrt(logits.reduce((sum, z, i) => sum + (z - truth[i]!) ** 2, 0) / logits.length);
  if (rmse <= TOLERANCE * range) return null;
  return `computes something else than the processor (logits differ by ${(100 * rmse / range).toPrecision(2)}% of their range)`;
}
