/**
 * Configurations with one or two slips of the pen, and where carbon-c-relay 3.7.3 and this relay are known to
 * answer differently to them.
 */
import { ConfGenerator, type Random } from './conf-generator.ts'

const CLUSTERS = `cluster c0 forward 10.0.0.1 10.0.0.2:2004;
cluster c1 carbon_ch 10.0.1.1 10.0.1.2;
`

const STATEMENTS = [
  'listen\n  type linemode\n    2003 proto tcp\n    2003 proto udp\n    127.0.0.1:2004 proto tcp\n    /tmp/.s.emon-oracle proto unix\n  ;',
  'listen type linemode transport plain 2010 proto tcp 2011 proto tcp;',
  'listen type linemode [::1]:2015 proto tcp 127.0.0.1:2015 proto udp;',
  'statistics submit every 10 seconds reset counters after interval prefix with "a.b" send to c0 stop;',
  'statistics prefix with x.\\1;',
  'statistics send to c0 c1;',
  'statistics;',
  'send statistics to c0 stop;',
  'cluster u any_of useall 10.9.8.1 10.9.8.2:3;',
  'cluster v failover useall [::1]:3 10.9.8.3;',
  'cluster w forward 10.9.9.1=a 10.9.9.2:2=b proto udp type syslog 10.9.9.3 transport plain ssl;',
  'cluster x jump_fnv1a_ch replication 2 dynamic 10.8.8.1=1 10.8.8.2=2 10.8.8.3=3;',
  'cluster y fnv1a_ch 10.7.7.1 10.7.7.2 ;',
  'cluster z file ip /tmp/emon-oracle-z1 /tmp/emon-oracle-z2;',
  'match a b c$ ^d validate ^[0-9]+\\ [0-9]+$ else log route using \\1 send to c0 c1 stop;',
  'match * validate "x y" else drop;',
  'match * send to blackhole;',
  'match "a b" send to c1 stop;',
  'rewrite ^(a)\\.(b) into \\_1.\\^2.\\.2.\\_.1;',
  'rewrite "x y" into "z\\"q";',
  'aggregate ^a\\.([^.]+) b every 10 seconds expire after 35 seconds timestamp at start of bucket compute sum write to s.\\1 compute percentile95 write to p.\\1 compute cnt write to n send to c0 stop;',
  'aggregate a every 1 seconds expire after 2 seconds compute median write to m;',
  '# a comment; with "things" in it',
  'include /no/such/file.conf;',
]

const STRANGERS =
  '= ! * 12 0 -1 99999999999 stop validate match "un ; # "" "a\\"b" \\ udp proto type transport ssl plain send to seconds ' +
  ': :99999 x:0 [ ] ( [a ? ^ $ \\1 percentile0 percentile100 percentile useall dynamic replication file ip tcp linemode ' +
  "blackhole @ ' ~ ` c0 nope cluster listen statistics include every expire compute sum else log drop route using into " +
  'auto emon'

const strangers = [...STRANGERS.split(' '), '\t', '\r', '\n\n', '"a\nb"', '\x01', 'é']

/** A configuration that may be in order; most are not. */
export function mutatedConf(random: Random): string {
  const below = (limit: number): number => Math.floor(random() * limit)
  let conf = CLUSTERS
  for (let i = 0; i <= below(3); i++) conf += `${STATEMENTS[below(STATEMENTS.length)]}\n`
  if (random() < 0.5) conf += new ConfGenerator(random).conf(2)
  for (let slips = below(3); slips > 0; slips--) conf = slipped(conf, random)
  return conf
}

/** One token taken out, doubled, replaced, or with something in it that does not belong there. */
function slipped(conf: string, random: Random): string {
  const below = (limit: number): number => Math.floor(random() * limit)
  const tokens = conf.split(/(\s+|;)/)
  const at = below(tokens.length)
  const word = tokens[at]!
  const stranger = strangers[below(strangers.length)]!
  const cut = below(word.length + 1)
  const changed = [
    '',
    ` ${tokens[below(tokens.length)]} ${word}`,
    stranger,
    ` ${stranger} ${word}`,
    word.slice(0, cut) + stranger + word.slice(cut),
    word.slice(0, cut) + word.slice(cut + 1),
  ]
  tokens[at] = changed[below(changed.length)]!
  return tokens.join('')
}

/** What both say, made comparable: the complaint and its place, without what else could have been there. */
export function complaintOf(output: string): string {
  if (!output.startsWith('exit')) return 'taken'
  return output
    .replaceAll(/^\[.*?\] /gm, '')
    .replaceAll(/syntax error, .*/g, 'syntax error')
    .replaceAll(/(invalid expression '[^]*?'): .*/g, '$1')
    .replaceAll(/(unable to stat file '.*?'): .*/g, '$1')
    .replaceAll(/^ *\^+$/gm, '')
}

interface Answers {
  readonly conf: string
  readonly theirs: string
  readonly ours: string
}

const DIFFERENCES: readonly (readonly [name: string, applies: (answers: Answers) => boolean])[] = [
  // For example of a match that has neither validate nor send to.
  ['it dies', ({ theirs }) => theirs.startsWith('exit null')],
  [
    'an expression that POSIX takes and Perl does not',
    ({ theirs, ours }) => /invalid expression/.test(ours) && !/invalid expression/.test(theirs),
  ],
  [
    'names in listen are looked up when it is opened',
    ({ theirs }) => /invalid listener/.test(theirs),
  ],
  [
    'a cluster of more than two files',
    ({ conf, theirs }) =>
      /syntax error|same name/.test(theirs) && /file[^;]*(\s+[^\s;]+){2}/.test(conf),
  ],
  ['a comment in a last line that does not end', ({ conf }) => /#[^\n]*$/.test(conf)],
  [
    'a port of more than 18 characters is cut',
    ({ theirs }) => /invalid port number '[^'\n]*\n/.test(theirs),
  ],
  [
    'stop without send to, in an aggregation or statistics',
    ({ conf, theirs }) =>
      /syntax error/.test(theirs) && /(?:aggregate|statistics)[^;]*\bstop\b/.test(conf),
  ],
]

/** The known reason why the answers differ; undefined where they do not, '' where there is none. */
export function differenceOf(answers: Answers): string | undefined {
  if (complaintOf(answers.theirs) === complaintOf(answers.ours)) return undefined
  return DIFFERENCES.find(([, applies]) => applies(answers))?.[0] ?? ''
}
