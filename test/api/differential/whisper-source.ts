/** Our side of the comparison: the same Whisper files, read by whisper.py's rules. */
import { join } from 'node:path'
import {
  type EventQuery,
  type SeriesFetch,
  type SeriesSource,
} from '../../../src/api/render-series.ts'
import type { FetchedSeries } from '../../../src/ipc/store-protocol.ts'
import { fetchWhisper } from '../../peers/whisper-file.ts'
import { selects } from '../render-fixture.ts'
import { FIXTURES, NOW, whisperPath } from './fixtures.ts'

export class WhisperSource implements SeriesSource {
  readonly #files: ReadonlyMap<string, DataView>

  private constructor(files: ReadonlyMap<string, DataView>) {
    this.#files = files
  }

  static async open(dir: string): Promise<WhisperSource> {
    const files = new Map<string, DataView>()
    for (const { name } of FIXTURES) {
      const bytes = await Bun.file(join(dir, whisperPath(name))).arrayBuffer()
      files.set(name, new DataView(bytes))
    }
    return new WhisperSource(files)
  }

  async fetch(fetches: readonly SeriesFetch[]): Promise<FetchedSeries[][]> {
    await Promise.resolve()
    return fetches.map((fetch, selector) => {
      const found: FetchedSeries[] = []
      for (const [name, view] of this.#files) {
        if (!selects(fetch.selector, name)) continue
        const values = fetchWhisper(view, { ...fetch, now: NOW })
        const fixed = { xFilesFactor: 0, method: 'average', isShown: false } as const
        if (values) found.push({ ...values, name, selector, ...fixed })
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  events(_query: EventQuery): Promise<number[]> {
    return Promise.resolve([])
  }

  lookUpAlias(): Promise<undefined> {
    return Promise.resolve(undefined)
  }
}
