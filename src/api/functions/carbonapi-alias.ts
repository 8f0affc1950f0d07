/**
 * carbonapi's functions that graphite-web does not have: names that are decoded, or looked up elsewhere.
 */

import type { RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { nodeKey } from './naming.ts'

const aliasByBase64: RenderFunction = {
  name: 'aliasByBase64',
  origin: 'carbonapi',
  group: 'Alias',
  description:
    'Decodes the name, or the node `nodeNum` of the path counted from 1, which is in base64.',
  params: [SERIES_LIST, optional('nodeOrTag', 'nodeNum')],
  signature: 'aliasByBase64(seriesList)',
  keepsValues: true,
  run({ args }) {
    return args.series(0).map((series) => {
      if (!args.has(1)) return { ...series, name: decodeBase64(series.name) }
      const nodes = (series.tags.get('name') ?? series.name).split('.')
      const at = args.number(1) - 1
      const node = nodes[at]
      if (node !== undefined) nodes[at] = decodeBase64(node)
      return { ...series, name: node === undefined ? series.name : nodes.join('.') }
    })
  },
}

/** What does not decode stays as it is. */
function decodeBase64(text: string): string {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return text
  return Buffer.from(text, 'base64').toString()
}

const aliasByRedis: RenderFunction = {
  name: 'aliasByRedis',
  origin: 'carbonapi',
  group: 'Alias',
  description:
    'Names the series after the field of a Redis hash that the last node of its path names; `keepPath` keeps ' +
    'the nodes in front.',
  params: [
    SERIES_LIST,
    required('string', 'redisKey'),
    optional('boolean', 'keepPath', { default: false }),
  ],
  signature: 'aliasByRedis(seriesList, keyName[, keepPath])',
  keepsValues: true,
  run({ args, source }) {
    const key = args.text(1)
    return Promise.all(
      args.series(0).map(async (series) => {
        const nodes = series.name.split('.')
        const field = nodes
          .at(-1)!
          .split(',', 1)[0]!
          .replace(/^\)+|\)+$/g, '')
        const found = await source.lookUpAlias({ table: 'redis', key, field })
        const path = args.flag(2) ? nodes.slice(0, -1) : []
        return { ...series, name: [...path, found ?? field].join('.') }
      }),
    )
  },
}

const aliasByPostgres: RenderFunction = {
  name: 'aliasByPostgres',
  origin: 'carbonapi',
  group: 'Alias',
  description:
    'Names the series after what a configured query of a PostgreSQL database answers for its nodes; nodes that ' +
    'the query does not take follow.',
  params: [
    SERIES_LIST,
    required('string', 'databaseName'),
    required('string', 'keyString'),
    required('nodeOrTag', 'nodes', { multiple: true }),
  ],
  signature: 'aliasByPostgres(seriesList, *nodes)',
  keepsValues: true,
  run({ args, source }) {
    const [database, key] = [args.text(1), args.text(2)]
    return Promise.all(
      args.series(0).map(async (series) => {
        const nodes = args.valuesFrom(3).map((node) => nodeKey(series, [node]))
        const found = await source.lookUpAlias({ table: 'postgres', database, key, nodes })
        return { ...series, name: found ?? nodes.join('.') }
      }),
    )
  },
}

export const CARBONAPI_ALIAS_FUNCTIONS: readonly RenderFunction[] = [
  aliasByBase64,
  aliasByRedis,
  aliasByPostgres,
]
