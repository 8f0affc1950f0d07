/**
 * graphite-web's questions about tags (tags/views.py, tags/base.py), put to the tag index. Filters of lists
 * are regular expressions anchored at the start, prefixes are plain text.
 */

import type { TagsReply, TagsRequest } from '../../ipc/store-protocol.ts'
import { QueryError } from '../query-error.ts'
import type { SeriesIndex } from '../index/series-index.ts'
import { inSlices, type Patience, type SlicedWork } from '../../lib/slices.ts'
import { compileTagPattern, parseTagExpressions } from '../index/tag-expression.ts'

export async function answerTags(
  index: SeriesIndex,
  request: TagsRequest,
  patience: Patience,
): Promise<TagsReply> {
  return await inSlices(answer(index, request), patience)
}

/** Ids of the series for which all expressions hold, rising. */
export async function findTagged(
  index: SeriesIndex,
  expressions: readonly string[],
  patience: Patience,
): Promise<Uint32Array> {
  return await inSlices(find(index, expressions), patience)
}

function* answer(index: SeriesIndex, request: TagsRequest): SlicedWork<TagsReply> {
  const { tags } = index
  switch (request.ask) {
    case 'findSeries': {
      const ids = yield* find(index, request.expressions)
      if (ids.length > request.namesMax) {
        throw new QueryError('limit', `more than ${request.namesMax} series match`)
      }
      const sorted = yield* index.sorted(ids)
      return { names: Array.from(sorted, (id) => index.name(id)) }
    }
    case 'tags':
      return { names: tags.tags(filter(request.filter), request.limit) }
    case 'values': {
      const values = yield* tags.values(request.tag, filter(request.filter), request.limit)
      return { names: values.map(({ value }) => value), counts: values.map(({ count }) => count) }
    }
    case 'completeTags': {
      const used = new Set(request.expressions.map((text) => text.split(/!?=/, 1)[0]))
      const passes = (tag: string): boolean => tag.startsWith(request.prefix) && !used.has(tag)
      if (request.expressions.length === 0) return { names: tags.tags(passes, request.limit) }
      const ids = yield* find(index, request.expressions)
      return { names: yield* tags.tagsAmong(ids, passes, request.limit) }
    }
    case 'completeValues': {
      const { tag, limit } = request
      const passes = (value: string): boolean => value.startsWith(request.prefix)
      if (request.expressions.length === 0) {
        return { names: (yield* tags.values(tag, passes, limit)).map(({ value }) => value) }
      }
      const ids = yield* find(index, request.expressions)
      return { names: yield* tags.valuesAmong(ids, tag, passes, limit) }
    }
    default:
      throw new QueryError('bad', 'the store does not know this question about tags')
  }
}

function* find(index: SeriesIndex, texts: readonly string[]): SlicedWork<Uint32Array> {
  const expressions = parseTagExpressions(texts)
  if (!expressions.ok) throw new QueryError('bad', expressions.error)
  return yield* index.tags.find(expressions.value)
}

function filter(text: string): (value: string) => boolean {
  if (text === '') return () => true
  const pattern = compileTagPattern(text)
  if (!pattern.ok)
    throw new QueryError('bad', `cannot parse filter ${JSON.stringify(text)}: ${pattern.error}`)
  return (value) => pattern.value.test(value)
}
