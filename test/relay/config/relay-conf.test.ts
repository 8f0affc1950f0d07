import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { loadConfig } from '../../../src/config.ts'
import { realDisk } from '../../../src/lib/disk.ts'
import { printConfig } from '../../../src/relay/test-mode/print-config.ts'
import { generateRelayConf } from '../../../src/relay/config/generated-conf.ts'
import { loadRelayConf, parseRelayText } from '../../../src/relay/config/relay-conf.ts'
import { Router } from '../../../src/relay/routing/router.ts'
import type { Cluster, Routing } from '../../../src/relay/config/routing.ts'
import { ConfGenerator, seeded } from '../conf-generator.ts'

function ok(text: string): Routing {
  const parsed = parseRelayText(realDisk, text, 't')
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.value
}

function bad(text: string): string {
  const parsed = parseRelayText(realDisk, text, 't')
  return parsed.ok ? 'no complaint' : parsed.error
}

function withFolder(run: (dir: string) => void): void {
  const dir = mkdtempSync(`${tmpdir()}/emon-conf-`)
  try {
    run(dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

describe('relay.conf', () => {
  test('knows hosts with ports, instances, protocols, types and transports', () => {
    const { clusters } = ok(`
      cluster a forward h [::1]:99 proto udp 10.0.0.1:2004=x1 type syslog h2:1 transport gzip ssl
        h3:1 transport plain mtls cert.pem key.pem "/run/points.sock" proto unix type emon;
      cluster b jump_fnv1a_ch replication 2 dynamic 10.1.0.1=7 10.1.0.2="a b";
      cluster c forward useall h9 type auto;`)
    expect(clusters[0]!.members).toMatchObject([
      { address: 'h', port: 2003, protocol: 'tcp', type: 'linemode', instance: undefined },
      { address: '::1', port: 99, protocol: 'udp' },
      { address: '10.0.0.1', port: 2004, instance: 'x1', type: 'syslog' },
      { address: 'h2', transport: { compression: 'gzip', tls: 'ssl' } },
      { address: 'h3', transport: { tls: 'mtls', certificate: 'cert.pem', key: 'key.pem' } },
      { address: '/run/points.sock', protocol: 'unix', type: 'emon' },
    ])
    expect(clusters[1]).toMatchObject({ replication: 2, dynamic: true })
    expect(clusters[1]!.members.map((host) => host.instance)).toEqual(['7', 'a b'])
    expect(clusters[2]).toMatchObject({ useall: true, members: [{ type: 'auto' }] })
  })

  test('knows statistics and listeners', () => {
    const { statistics, listeners } = ok(`cluster a forward h;
      statistics submit every 10 seconds reset counters after interval prefix with relays.\\1 send to a stop;
      listen type linemode 2003 proto tcp 10.0.0.1:2003 proto udp /tmp/emon-test.sock proto unix;
      listen type linemode transport gzip ssl /x.pem protomin tls1.2 ciphers "HIGH:!aNULL" 2004 proto tcp;`)
    expect(statistics).toMatchObject({ intervalSeconds: 10, resetCounters: true, stop: true })
    expect(statistics.prefix).toBe('relays.\\1')
    expect(listeners.map((one) => `${one.protocol} ${one.address}:${one.port}`)).toEqual([
      'tcp :2003',
      'udp 10.0.0.1:2003',
      'unix /tmp/emon-test.sock:0',
      'tcp :2004',
    ])
    expect(listeners[3]!.transport).toMatchObject({
      compression: 'gzip',
      tls: 'ssl',
      certificate: '/x.pem',
      protocolMin: 'tls1.2',
      ciphers: 'HIGH:!aNULL',
    })
  })

  test.each([
    [
      'cluster a forward h;\nmatch * send to b;',
      't:2:16: unknown cluster\nmatch * send to b;\n                ^',
    ],
    ['cluster a foo h;', 't:1:10: syntax error\ncluster a foo h;\n          ^'],
    [
      'cluster a forward ;',
      "t:1:18: syntax error, unexpected ';', expecting string\ncluster a forward ;\n                  ^",
    ],
    ['match ;', "t:1:6: syntax error, unexpected ';', expecting string or '*'\nmatch ;\n      ^"],
    ['match', "t:1:0: syntax error, unexpected end of file, expecting string or '*'\nmatch\n^^^^^"],
    [
      '\tmatch * sendd to x;',
      "t:1:9: syntax error, unexpected string, expecting ';'\n\tmatch * sendd to x;\n\t        ^^^^^",
    ],
    [
      'cluster a forward h:99999;',
      "t:1:25: invalid port number '99999'\ncluster a forward h:99999;\n                         ^",
    ],
    ['match "";', 't:1:7: empty string\nmatch "";\n       ^'],
    ['foo', 't:1:0: syntax error, expecting end of file\nfoo\n^'],
  ])('%p is refused as carbon-c-relay refuses it', (text, want) => {
    expect(bad(text)).toBe(want)
  })

  test.each([
    ['cluster a forward h; cluster a forward i;', 'cluster with the same name already defined'],
    [
      'cluster a any_of h i; cluster b failover h j;',
      "cannot share server h:2003 with any_of/failover cluster 'b'",
    ],
    [
      'cluster a forward h; cluster b forward h type syslog;',
      "cannot set type 'syslog' for server h:2003: server was previously defined with type 'linemode'",
    ],
    [
      'cluster a forward h=1; cluster b forward h;',
      "cannot define server h:2003 without instance: server was previously defined with instance '1'",
    ],
    [
      'aggregate x every 10 seconds expire after 5 seconds compute sum write to y;',
      'expire must be greater than interval',
    ],
    [
      'aggregate x every 1 seconds expire after 5 seconds compute percentile0 write to y;',
      'percentile<x>: value x must be between 1 and 99',
    ],
    ['cluster a any_of :2003;', "invalid host ':2003': it has no name"],
    ['cluster a forward [];', "invalid host '[]': it has no name"],
    ['cluster a fnv1a_ch replication 0 h;', 'replication count must be between 1 and 255'],
    ['match (((a)+)+)\\1 send to blackhole;', 'back-reference'],
    ['match a++ send to blackhole;', 'possessive'],
    [
      'listen type linemode 2003 proto tcp 127.0.0.1:2003 proto tcp;',
      'duplicate listener 127.0.0.1 with 0.0.0.0 for port 2003',
    ],
    [
      'listen type linemode transport gzip 2003 proto udp;',
      'cannot use UDP transport for compressed/encrypted stream',
    ],
    [
      'cluster a file /no/such/folder/x;',
      "failed to open file '/no/such/folder/x' for writing: No such file or directory",
    ],
  ])('%p is refused: %p', (text, want) => {
    expect(bad(text)).toContain(want)
  })

  test('warns of rules that are never reached', () => {
    const { warnings } = ok('cluster a forward h; match * send to a stop; rewrite ^x into y;')
    expect(warnings).toEqual([
      'warning: rewrite ^x will never match due to preceding match * ... stop',
    ])
  })

  test('includes files, by pattern too, and reports where an included file is wrong', () => {
    withFolder((dir) => {
      writeFileSync(
        `${dir}/main.conf`,
        `include ${dir}/clusters.conf;\ninclude "${dir}/r*.conf";\n`,
      )
      writeFileSync(`${dir}/clusters.conf`, 'cluster a forward h;\n')
      writeFileSync(`${dir}/r1.conf`, 'match ^a send to a;\n')
      writeFileSync(`${dir}/r2.conf`, 'match ^b send to a;\n')
      const loaded = loadRelayConf(realDisk, `${dir}/main.conf`)
      expect(loaded.ok && loaded.value.rules).toHaveLength(2)
      writeFileSync(`${dir}/r2.conf`, 'match ^b send to z;\n')
      expect(loadRelayConf(realDisk, `${dir}/main.conf`)).toEqual({
        ok: false,
        error: `${dir}/r2.conf:1:17: unknown cluster\nmatch ^b send to z;\n                 ^`,
      })
      writeFileSync(`${dir}/r2.conf`, `include ${dir}/main.conf;\n`)
      const looped = loadRelayConf(realDisk, `${dir}/main.conf`)
      expect(looped.ok ? '' : looped.error).toContain('includes itself')
    })
  })
})

describe('printed relay.conf', () => {
  test('reads as the same configuration again', () => {
    let read = 0
    for (let seed = 1; read < 50; seed++) {
      const routing = ok(new ConfGenerator(seeded(seed)).conf(12))
      // As carbon-c-relay does it: statistics are printed before the clusters that they are sent to, and an
      // instance only on a ring, also where a server is in another cluster too.
      if (routing.statistics.sendTo !== undefined || routing.clusters.some(hidesInstance)) continue
      read++
      const printed = print(routing)
      // Only TLS without compression is printed as nobody could read it, as carbon-c-relay does.
      const readable = printed.replaceAll('transport  ssl', 'transport plain ssl')
      expect(print(ok(readable))).toBe(printed)
    }
  })

  function hidesInstance({ type, members }: Cluster): boolean {
    return !type.endsWith('_ch') && members.some(({ instance }) => instance !== undefined)
  }

  function print(routing: Routing): string {
    return printConfig(new Router(routing, 1), {
      debug: false,
      hostname: 'h.example',
      optimiserThreshold: -1,
      defaultListeners: [],
      omitAggregations: false,
    })
  }
})

describe('whatever is written', () => {
  const words = [
    'cluster',
    'match',
    'rewrite',
    'aggregate',
    'statistics',
    'listen',

    'set',
    'c',
    '*',
    '=',
    ';',
    ';',
    '"a b"',
    '"',
    'forward',
    'send',
    'to',
    'into',
    'stop',
    '1',
    'h:1',
    '[::',
    '#x',
    '\n',
    'type',
    'proto',
    'validate',
    'every',
    'é',
  ]

  test('is taken or refused with a place, and never throws', () => {
    const text = fc
      .array(fc.constantFrom(...words), { maxLength: 20 })
      .map((list) => list.join(' '))
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ maxLength: 60 })), (one) => {
        const complaint = bad(one)
        expect(complaint).toMatch(/^(?:no complaint|t:\d+:\d+: .+)/)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('generated relay.conf', () => {
  function generate(environment: Record<string, string>): Routing {
    const config = loadConfig({ environment, disk: realDisk })
    if (!config.ok) throw new Error(config.error.join('\n'))
    return ok(generateRelayConf(config.value))
  }

  test('keeps everything in the local store', () => {
    const { clusters, rules } = generate({ CENTRAL_METRICS_SERVER: 'none', EMON_RUN: '/r' })
    expect(clusters).toHaveLength(1)
    expect(clusters[0]!.members).toMatchObject([
      { address: '/r/points.sock', protocol: 'unix', type: 'emon' },
    ])
    expect(rules).toHaveLength(1)
  })

  test('sends HOSTING.SERVICE.name to the central server', () => {
    const { clusters, rules } = generate({
      CENTRAL_METRICS_SERVER: 'c.example',
      HOSTING: 'aws',
      SERVICE: 'web',
      EMON_CENTRAL_TLS: 'true',
    })
    expect(clusters[1]!.members).toMatchObject([
      { address: 'c.example', port: 2003, type: 'auto', transport: { tls: 'ssl' } },
    ])
    expect(rules[1]).toMatchObject({ kind: 'rewrite', replacement: 'aws.web.\\1' })
  })
})
