/**
 * What both are asked beside targets: finds, tags, functions, times, and formats that are text. And how an answer
 * is read before it is compared: what is left out there is what may differ.
 */
import { FUNCTIONS as FUNCTIONS_OF_OURS } from '../../../src/api/functions/registry.ts'
import { NOW } from './fixtures.ts'

export interface EndpointQuestion {
  readonly path: string
  /** A form to POST; GET without. */
  readonly form?: string
}

const FIND_QUERIES = [
  '*',
  'servers',
  'servers.*',
  'servers.web0[12]',
  'servers.web0?.cpu.{user,idle}',
  'servers.{web01,web03}.*',
  'servers.web01.cpu.u*',
  '*.*.*.user',
  'edge.*s*',
  'edge.[a-f]*',
  'edge.[!a-f]*',
  'nothing',
  'nothing.*',
  'servers.web01.cpu.user.more',
]

function finds(): EndpointQuestion[] {
  const questions: EndpointQuestion[] = []
  for (const query of FIND_QUERIES) {
    const text = encodeURIComponent(query)
    for (const more of [
      '',
      '&wildcards=1',
      '&format=treejson',
      '&format=completer',
      '&format=nodelist',
      '&format=completer&wildcards=1',
      '&format=nodelist&position=0',
      '&leavesOnly=1',
    ]) {
      questions.push({ path: `/metrics/find?query=${text}${more}` })
    }
    for (const more of ['', '&leavesOnly=1', '&groupByExpr=1']) {
      questions.push({ path: `/metrics/expand?query=${text}${more}` })
    }
    questions.push({ path: `/metrics?query=${text}` })
    questions.push({ path: '/metrics/find/', form: `query=${text}` })
  }
  for (const query of ['', 's', 'servers.', 'servers..cpu', 'servers.web0', 'a,b', 'edge.g,s']) {
    const text = encodeURIComponent(query)
    questions.push({ path: `/metrics/find?format=completer&query=${text}` })
    questions.push({ path: `/metrics/find?format=completer&automatic_variants=1&query=${text}` })
  }
  questions.push(
    { path: '/metrics/find' },
    { path: '/metrics/find?query=' },
    { path: '/metrics/find?query=*&format=nosuch' },
    { path: '/metrics/expand' },
    { path: '/metrics/expand?query=servers.*&query=edge.g*' },
    { path: '/metrics/expand?query=servers.*&query=edge.g*&groupByExpr=1&leavesOnly=1' },
    { path: '/metrics/find?query=servers.*&jsonp=call' },
  )
  return questions
}

const EXPRESSIONS = [
  'name=disk.used',
  'name=~disk',
  'name=~^disk%5C.f',
  'dc=eu',
  'dc!=eu',
  'dc=~e',
  'dc!=~^e',
  'host=',
  'host!=',
  'rack=',
]

function tags(): EndpointQuestion[] {
  const questions: EndpointQuestion[] = [
    { path: '/tags' },
    { path: '/tags?filter=d' },
    { path: '/tags?filter=%5Eh' },
    { path: '/tags?limit=1' },
    { path: '/tags/' },
    ...['dc', 'host', 'name', 'nosuch'].flatMap((tag) => [
      { path: `/tags/${tag}` },
      { path: `/tags/${tag}?filter=e` },
      { path: `/tags/${tag}?limit=1` },
    ]),
    { path: '/tags/findSeries' },
    { path: '/tags/findSeries?expr=nonsense' },
    { path: '/tags/autoComplete/tags' },
    { path: '/tags/autoComplete/tags?tagPrefix=d' },
    { path: '/tags/autoComplete/tags?tagPrefix=x' },
    { path: '/tags/autoComplete/tags?limit=2' },
    { path: '/tags/autoComplete/values' },
    { path: '/tags/autoComplete/values?tag=dc' },
    { path: '/tags/autoComplete/values?tag=dc&valuePrefix=e' },
    { path: '/tags/autoComplete/values?tag=nosuch' },
    { path: '/tags/autoComplete/values?tag=host&limit=1' },
    { path: '/tags/tagSeries' },
    { path: '/tags/delSeries' },
    { path: '/tags/tagSeries', form: '' },
    { path: '/tags/tagMultiSeries', form: '' },
    { path: '/tags', form: '' },
  ]
  for (const a of EXPRESSIONS) {
    questions.push(
      { path: `/tags/findSeries?expr=${a}` },
      { path: `/tags/findSeries?expr[]=${a}` },
      { path: '/tags/findSeries', form: `expr=${a}` },
      { path: `/tags/autoComplete/tags?expr=${a}` },
      { path: `/tags/autoComplete/values?tag=host&expr=${a}` },
      { path: `/tags/autoComplete/values?tag=name&expr=${a}&valuePrefix=disk.f` },
      { path: '/tags/autoComplete/tags', form: `expr=${a}&tagPrefix=h` },
    )
    for (const b of EXPRESSIONS) questions.push({ path: `/tags/findSeries?expr=${a}&expr=${b}` })
  }
  return questions
}

const FUNCTIONS: EndpointQuestion[] = [
  { path: '/functions', form: '' },
  { path: '/functions/nosuch' },
  { path: '/functions?group=Alias' },
  { path: '/functions?group=nosuch' },
  { path: '/functions?grouped=1' },
  { path: '/functions?grouped=true&group=Sorting' },
  { path: '/functions?type=pie' },
  { path: '/functions/average?type=pie' },
  { path: '/functions/sumSeries' },
  { path: '/functions/keepLastValue' },
]

/** Names of times, in zones with and without summer time, around its changes. */
const TIMES = [
  'now',
  'today',
  'yesterday',
  'tomorrow',
  'midnight',
  'noon',
  'teatime',
  '6pm today',
  '6am_yesterday',
  'noon yesterday',
  'midnight tomorrow',
  '08:50',
  '8:50pm',
  '08:50_20260101',
  '20260329',
  '20261025',
  '03/29/26',
  '03/29/2026',
  '12/31/26',
  'january 5',
  'jan 5',
  'december 31',
  'march 29',
  'noon march 29',
  'monday',
  'tue',
  'sunday',
  'noon friday',
  'teatime monday',
  '12am',
  '12pm',
  '12:30am',
  '12:30pm',
  '-1s',
  '-1seconds',
  '-5min',
  '-5minutes',
  '-2h',
  '-2hours',
  '-3d',
  '-3days',
  '-1w',
  '-2weeks',
  '-1mon',
  '-2months',
  '-1y',
  '-1years',
  '-1h30min',
  '-1d2h3min',
  'now-1h',
  'now+1h',
  'noon+30min',
  'midnight-1d',
  'today-2h',
  'yesterday+3h',
  '20260329+2h',
  '20261025+3h',
  'noon 20260329-12h',
  '6pm_march_29-2d',
  '1700000000',
  '1.5e9',
  '-1m',
  '1h',
  '-',
  '+',
  'never',
  'noonish',
  '-1',
  '+1',
  '25:00',
  '24:00',
  '12:60',
  '13pm',
  '20261301',
  '20260230',
  '02/30/26',
  '13/01/26',
  'feb 30',
  'smarch 3',
  'january',
  'now now',
  '--1h',
  '-1h-1h',
  '-1hh',
  '-0h',
  '-1.5h',
  ' -1h ',
  'Now',
  'NOON',
  '-1H',
  '-1Min',
  '00:00_20260101',
  '-1fortnight',
]

const ZONES = [
  'UTC',
  'Europe/London',
  'America/New_York',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Nowhere/Land',
]

/** Times of which graphite-web's own clock is not part: constantLine's raw form shows what they mean. */
function times(): EndpointQuestion[] {
  return ZONES.flatMap((zone) =>
    TIMES.map((time) => ({
      path: `/render?target=constantLine(1)&format=raw&now=${NOW}&from=${encodeURIComponent(time)}&until=4102444800&tz=${zone}`,
    })),
  )
}

const SHOWN = [
  'servers.web0[12].cpu.user',
  'edge.{gaps,sparse}',
  'edge.{tiny,big}',
  'steps.*',
  'nothing',
  'seriesByTag("name=disk.used")',
]

function formats(): EndpointQuestion[] {
  const questions: EndpointQuestion[] = []
  for (const target of SHOWN) {
    for (const more of [
      'csv',
      'csv&tz=Asia/Kolkata',
      'raw',
      'rickshaw',
      'rickshaw&jsonp=call',
      'dygraph',
      'json&noNullPoints=1',
      'json&jsonp=call',
      'json&maxDataPoints=7',
      'json&maxDataPoints=x',
      'json&maxDataPoints=7&xFilesFactor=0.8',
      'json&noNullPoints=1&maxDataPoints=20',
    ]) {
      questions.push({
        path: `/render?target=${encodeURIComponent(target)}&from=${NOW - 900}&until=${NOW}&now=${NOW}&format=${more}`,
      })
    }
    questions.push({
      path: `/render?target=${encodeURIComponent(target)}&from=${NOW - 900}&until=${NOW}&now=${NOW}&rawData=1`,
    })
  }
  const range = `from=${NOW - 900}&until=${NOW}&now=${NOW}&format=json`
  const forms = [
    'target=template(servers.$host.cpu.user,host="web01")&template[host]=web02',
    'target=template(servers.web01.cpu.$1,"idle")&template[1]=user',
    'target=template(scale(servers.web01.cpu.user,$n),n=1)&template[n]=3',
    'target=sumSeries(edge.{gaps,sparse})&xFilesFactor=0.9',
    'target=sumSeries(edge.{gaps,sparse})&xFilesFactor=0.9&target=edge.gaps',
    'target[]=edge.gaps&target[]=edge.sparse',
    'target=&target=edge.gaps&target=',
    'target=edge.gaps&target=edge.gaps',
  ]
  for (const form of forms) questions.push({ path: '/render', form: `${range}&${form}` })
  return questions
}

export async function askEndpoint(
  url: string,
  { path, form }: EndpointQuestion,
): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const init = form === undefined ? {} : { method: 'POST', body: form, headers }
  const response = await fetch(`${url}${path}`, init)
  return { status: response.status, text: await response.text() }
}

/** Made on both sides before anything is asked. */
export const EVENTS: readonly object[] = [
  { what: 'deploy', tags: ['web', 'eu'], when: NOW - 800, data: 'v1' },
  { what: 'deploy', tags: ['web', 'us'], when: NOW - 600, data: 'v2' },
  { what: 'restart', tags: 'db eu', when: NOW - 600 },
  { what: 'old', tags: ['web'], when: NOW - 100_000, data: '' },
  { what: 'no tags', tags: [], when: NOW - 10, data: 'x' },
]

function events(): EndpointQuestion[] {
  const range = `from=${NOW - 900}&until=${NOW}`
  const found = [
    '',
    '&tags=web',
    '&tags=web%20eu',
    '&tags=eu+web',
    '&tags=none',
    '&tags=web%20none',
    '&tags=web%20eu&set=union',
    '&tags=web%20none&set=intersection',
    '&tags=none%20eu&set=union',
    '&jsonp=call',
  ].map((more) => `/events/get_data?${range}${more}`)
  const drawn = ['"*"', '"web"', '"web","eu"', '"web", "none"', '"none"', "'db'"].flatMap((tags) =>
    ['', '&maxDataPoints=10'].map(
      (more) =>
        `/render?target=${encodeURIComponent(`events(${tags})`)}&${range}&now=${NOW}&format=json${more}`,
    ),
  )
  return [
    ...found,
    ...drawn,
    `/events/get_data?from=${NOW - 200_000}&until=${NOW - 700}`,
    '/events/99999',
  ].map((path) => ({ path }))
}

/** The questions, with how the answers to them are read. */
export const ENDPOINTS: readonly {
  readonly name: string
  readonly questions: readonly EndpointQuestion[]
  readonly read: (text: string) => unknown
}[] = [
  { name: 'finds', questions: finds(), read: readFind },
  { name: 'tags', questions: tags(), read: readTags },
  { name: 'functions', questions: FUNCTIONS, read: readFunctions },
  { name: 'times', questions: times(), read: (text) => text },
  { name: 'events', questions: events(), read: readEvents },
  { name: 'formats', questions: formats(), read: readJson },
]

/** JSON, from within a call too; Python's infinities are no JSON. Other texts are themselves. */
function readJson(text: string): unknown {
  const body = /^call\((.*)\)$/s.exec(text)?.[1] ?? text
  try {
    return JSON.parse(body.replaceAll('Infinity', '1e9999'))
  } catch {
    return text
  }
}

/** The peer's tagged series lie in a folder among the others; its completer sorts by last nodes alone. */
function readFind(text: string): unknown {
  const answer = readJson(text)
  return JSON.parse(JSON.stringify(answer), (key, value: unknown) => {
    if (!Array.isArray(value)) return value
    const kept = value.filter((one) => !JSON.stringify(one).includes('_tagged'))
    return key === 'metrics' ? inOrder(kept) : kept
  })
}

function inOrder(list: unknown[]): unknown[] {
  return list.sort((a, b) => (show(a) < show(b) ? -1 : 1))
}

function show(value: unknown): string {
  return JSON.stringify(value)
}

/** Our tags come in the order of the alphabet, the peer's as they were given. */
function readEvents(text: string): unknown {
  return JSON.parse(JSON.stringify(readJson(text)), (key, value: unknown) =>
    key === 'tags' && Array.isArray(value) ? inOrder(value) : value,
  )
}

/** The peer numbers tags and values, and tells nothing of series without tags, which have a name too. */
function readTags(text: string): unknown {
  const answer = readJson(text)
  return JSON.parse(JSON.stringify(answer), (key, value: unknown) => {
    if (key === 'id') return undefined
    if (key !== 'values') return value
    return (value as { value: string }[]).filter(
      (one) => !/^(?:edge|season|servers|steps)\b/.test(one.value),
    )
  })
}

/** Names, groups and parameters: descriptions are our own, signatures the peer cannot show on this Python. */
function readFunctions(text: string): unknown {
  const answer = readJson(text)
  return JSON.parse(JSON.stringify(answer), function (this: unknown, key, value: unknown) {
    if (key === 'description' || key === 'function' || key === 'module') return undefined
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value
    // Functions that it does not have, and groups: in the order of their names.
    const known = Object.entries(value).filter(([name]) => !OURS_ONLY.has(name))
    return Object.fromEntries(known.sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

const OURS_ONLY: ReadonlySet<string> = new Set([
  ...[...FUNCTIONS_OF_OURS]
    .filter(([, { origin }]) => origin === 'carbonapi')
    .map(([name]) => name),
  'compressPeriodicGaps',
  'upper',
  'lower',
])
