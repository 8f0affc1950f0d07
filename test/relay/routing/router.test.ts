import { describe, expect, test } from 'bun:test'
import { realDisk } from '../../../src/lib/disk.ts'
import { LINE_BYTES_MAX } from '../../../src/relay/config/command-line.ts'
import { AS_IT_CAME, type Plan } from '../../../src/relay/routing/plan.ts'
import { parseRelayText } from '../../../src/relay/config/relay-conf.ts'
import { hostName } from '../../../src/relay/test-mode/print-config.ts'
import { Router } from '../../../src/relay/routing/router.ts'
import type { Way } from '../../../src/relay/routing/way.ts'
import { Explainer } from '../../../src/relay/test-mode/test-mode.ts'
import { testBlocks } from '../../../src/relay/test-mode/test-rules.ts'
import { ConfGenerator, seeded } from '../conf-generator.ts'

function router(conf: string, tagsApart = true): Router {
  const parsed = parseRelayText(realDisk, conf, 'test.conf')
  if (!parsed.ok) throw new Error(parsed.error)
  return new Router(parsed.value, 1, tagsApart)
}

/** A plan as one line a step. */
function show(plan: Plan, of: Router): string[] {
  return plan.steps.map((step) => {
    if (step.kind === 'aggregate') return `aggregate ${step.outputs.join(' ')}`
    if (step.kind === 'validate') return `validate else ${step.failTo}`
    const cluster = of.routing.clusters[step.cluster]!
    return `${cluster.name} ${Buffer.from(step.name).toString('latin1')} ${step.members.join(',')}`
  })
}

function plan(conf: string, name: string): string[] {
  const compiled = router(conf)
  return show(compiled.plan(Buffer.from(name, 'latin1')), compiled)
}

const CLUSTERS = `
  cluster one forward 10.0.0.1:2003 10.0.0.2:2003;
  cluster two any_of 10.0.1.1:2003 10.0.1.2:2003 10.0.1.3:2003;
  cluster first failover 10.0.2.1:2003 10.0.2.2:2003;
  cluster ring carbon_ch replication 2 10.0.3.1 10.0.3.2 10.0.3.3;
`

describe('a way', () => {
  const RULES = [
    'match * send to one; rewrite (.*) into x.\\1; match * send to first ring; rewrite ^(.+)$ into \\1; match * send to two;',
    'match ^a send to ring two stop; match b\\.[ac] c$ send to one; match d send to blackhole; match * send to jump;',
    'rewrite (.*) into "y;b.\\\\1"; match ^y.b send to two; match * send to ring;',
    'match a* b send to one;',
    'rewrite ^([a-c])(.*) into \\_2.\\1; match * send to ring; rewrite (.*) into z.\\1; match ^z.[.b] send to one two;',
    'rewrite b+ into bb; rewrite (.*) into z.\\1; match ^(.)(.*) route using \\2 send to jump two one;',
    'match c validate ^[0-9]+ else drop; match ^a validate 1 else log send to two stop; match * send to first;',
    'match * send to one; aggregate ^a(.*) b every 1 seconds expire after 2 seconds compute sum write to \\1 compute max write to m; match * send to two;',
  ]
  const JUMP = 'cluster jump jump_fnv1a_ch replication 3 a:1=1 b:1=2 c:1=3 d:1=4;'

  test.each(RULES)('%s: names of one way have plans that differ in names alone', (rules) => {
    for (const tags of ['', 'set tags visible;']) {
      for (const tagsApart of [true, false]) {
        const compiled = router(`${CLUSTERS}${JUMP}${tags}${rules}`, tagsApart)
        const generator = new ConfGenerator(seeded(7))
        const shapes = new Map<Way, string[]>()
        for (let i = 0; i < 2_000; i++) {
          const name = Buffer.from(generator.name())
          const tagsAt = name.indexOf(';')
          const tagsStart = tagsAt < 0 ? name.length : tagsAt
          const bytes = Buffer.concat([Buffer.from('xx'), name])
          const way = compiled.way(bytes, 2, tagsStart + 2, bytes.length)!
          const found = shape(compiled, name)
          const known = shapes.get(way)
          if (known) expect(found).toEqual(known)
          else shapes.set(way, found)
        }
        expect(shapes.size).toBeLessThan(500)
      }
    }
  })

  test('is not for a name that outgrows a line, or has too many forms', () => {
    const way = (rules: string, length: number): Way | undefined =>
      router(`${CLUSTERS}${rules} match * send to one;`).way(
        Buffer.alloc(length, 'a'),
        0,
        length,
        length,
      )
    expect(way('rewrite (.*) into x.\\1;', LINE_BYTES_MAX - 2)).toBeDefined()
    expect(way('rewrite (.*) into x.\\1;', LINE_BYTES_MAX - 1)).toBeUndefined()
    const twice = 'rewrite (.+)a into \\1b; match * send to two; rewrite (.+)b into \\1c;'
    expect(way(twice, 2_000)).toBeDefined()
    expect(way(twice, 3_000)).toBeUndefined()
  })

  test('is not for clusters with more sets of members than there are numbers', () => {
    const members = Array.from({ length: 64 }, (_, i) => `10.0.0.${i + 1}`).join(' ')
    const conf = `cluster many jump_fnv1a_ch replication 9 ${members}; match * send to many;`
    expect(router(conf).way(Buffer.from('a'), 0, 1, 1)).toBeUndefined()
  })

  /** All of a plan but the names, which have to be what `way` left behind. */
  function shape(of: Router, name: Uint8Array): string[] {
    const { steps, blackholed } = of.plan(name)
    let aggregates = 0
    const shapes = steps.map((step) => {
      if (step.kind === 'validate') return `validate ${step.withTags} ${step.failTo}`
      if (step.kind === 'aggregate') {
        expect(of.aggregates[aggregates++]).toEqual(step)
        return `aggregate ${step.aggregation}`
      }
      const front = step.name.subarray(0, step.name.length - name.length)
      if (step.form !== AS_IT_CAME) expect(of.forms.name(step.form)).toEqual(step.name)
      else expect(Buffer.from(step.name.subarray(front.length))).toEqual(Buffer.from(name))
      const sent = step.form === AS_IT_CAME ? front.join(' ') : `form ${step.form}`
      return `${step.cluster} ${sent} ${step.members.join(' ')}`
    })
    expect(of.aggregates).toHaveLength(aggregates)
    return [String(blackholed), ...shapes]
  }
})

describe('a plan', () => {
  test('does what test mode says', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const generator = new ConfGenerator(seeded(seed))
      const compiled = router(generator.conf(1 + (seed % 12)), false)
      const explainer = new Explainer(compiled, testBlocks(compiled, -1), false)
      for (let i = 0; i < 100; i++) {
        const [name, ...data] = generator.line().split(' ')
        const text = data.join(' ')
        const said = explained(explainer.explain(`${name} ${text}`))
        expect(executed(compiled, compiled.plan(Buffer.from(name!)), text)).toEqual(said)
      }
    }
  })

  /** What steps do with one line: `name cluster host…`. */
  function executed(of: Router, planned: Plan, data: string): string[] {
    const lines: string[] = []
    for (let at = 0; at < planned.steps.length;) {
      const step = planned.steps[at++]!
      if (step.kind === 'aggregate') lines.push(`aggregate ${step.outputs.join(' ')}`)
      else if (step.kind === 'validate') {
        if (!step.expression.test(data)) at = step.failTo
      } else {
        const cluster = of.routing.clusters[step.cluster]!
        const hosts = step.members.map((member) => hostName(cluster.members[member]!))
        lines.push([Buffer.from(step.name).toString(), cluster.name, ...hosts].join(' '))
      }
    }
    return lines
  }

  /** The same from the words of test mode. Targets of an aggregation are not the line's. */
  function explained(text: string): string[] {
    const lines: string[] = []
    let name = ''
    let aggregates = false
    for (const line of text.split('\n')) {
      const target = /^ {4}(?:\w+|file ip)\(([^()]+)\)$/.exec(line)
      const output = /^ {4}[a-z]+[0-9]*\(.*\) -> (\S*)/.exec(line)
      const renamed = /^ {4}\S.* -> (.*)$/.exec(line) ?? /^ {4}-> (.*)$/.exec(line)
      if (line === 'aggregation' || line === 'match' || line === 'rewrite') {
        aggregates = line === 'aggregation'
        if (aggregates) lines.push('aggregate')
      } else if (aggregates && output) lines.push(`${lines.pop()} ${output[1]}`)
      else if (aggregates) continue
      else if (target) lines.push(`${name} ${target[1]}`)
      else if (renamed) name = renamed[1]!
      else if (/^ {8}[^ ]+:\d+$|^ {8}\//.test(line)) lines.push(`${lines.pop()} ${line.trim()}`)
    }
    return lines
  }
})

describe('Router', () => {
  test('sends a name to each cluster of each rule that fits, in order', () => {
    const conf = `${CLUSTERS} match ^a send to one first; match * send to one;`
    expect(plan(conf, 'a.b')).toEqual(['one a.b 0,1', 'first a.b 0', 'one a.b 0,1'])
    expect(plan(conf, 'b.a')).toEqual(['one b.a 0,1'])
  })

  test('counts each expression of a rule by itself', () => {
    expect(plan(`${CLUSTERS} match ^a b$ send to first;`, 'a.b')).toEqual([
      'first a.b 0',
      'first a.b 0',
    ])
  })

  test('stops at stop and at blackhole', () => {
    const conf = `${CLUSTERS} match ^a send to first stop; match ^b send to blackhole; match * send to one;`
    expect(plan(conf, 'a')).toEqual(['first a 0'])
    expect(plan(conf, 'b')).toEqual([])
    expect(router(conf).plan(Buffer.from('b')).blackholed).toBe(true)
    expect(router(conf).plan(Buffer.from('c')).sends).toHaveLength(1)
  })

  test('rewrites the name for the rules behind', () => {
    const conf = `${CLUSTERS} match * send to first; rewrite ^(.*)$ into x.\\1; match ^x send to first;`
    expect(plan(conf, 'a;t=1')).toEqual(['first a;t=1 0', 'first x.a;t=1 0'])
  })

  test('hashes without tags, or what route using says', () => {
    const conf = `${CLUSTERS} match * send to ring;`
    const members = (text: string[]) => text.map((line) => line.split(' ')[2])
    expect(members(plan(conf, 'a.b;host=x'))).toEqual(members(plan(conf, 'a.b')))
    const using = `${CLUSTERS} match ^(a|b)\\.(.*)$ route using \\2 send to ring;`
    expect(members(plan(using, 'a.n1'))).toEqual(members(plan(using, 'b.n1')))
    expect(members(plan(using, 'a.n1'))).toEqual(members(plan(conf, 'n1')))
  })

  test('leaves validate to the line: it skips the sends, or ends', () => {
    const conf = `${CLUSTERS} match ^a validate ^[0-9] else drop; match * validate ^1 else log send to first; match * send to one;`
    expect(plan(conf, 'a')).toEqual([
      'validate else 4',
      'validate else 3',
      'first a 0',
      'one a 0,1',
    ])
  })

  test('keeps a name that a rewrite would make longer than a line', () => {
    const doubling = 'rewrite ^(.*)$ into \\1\\1;'.repeat(40)
    const [line] = plan(`${CLUSTERS} ${doubling} match * send to first;`, 'a')
    expect(line!.length).toBe('first  0'.length + 32_768)
  })

  test('names the results of an aggregation', () => {
    const conf = `${CLUSTERS}
      aggregate ^sys\\.([^.]+)\\.cpu every 10 seconds expire after 20 seconds
        compute sum write to sum.\\1 compute count write to n.\\_1 stop;
      match * send to one;`
    expect(plan(conf, 'sys.Web.cpu')).toEqual(['aggregate sum.Web n.web'])
    expect(plan(conf, 'x')).toEqual(['one x 0,1'])
  })

  test('shows tags to expressions when they are visible, and still does not hash them', () => {
    const conf = `${CLUSTERS} set tags visible; match "host=web" send to ring;`
    expect(plan(conf, 'a.b;host=db')).toEqual([])
    const [line] = plan(conf, 'a.b;host=web')
    expect(line).toBe(
      `ring a.b;host=web ${plan(`${CLUSTERS} match * send to ring;`, 'a.b')[0]!.split(' ')[2]}`,
    )
  })

  test('takes tags as part of the name when cleaning does', () => {
    const compiled = router(`${CLUSTERS} match b$ send to one;`, false)
    expect(compiled.plan(Buffer.from('a;b')).steps).toHaveLength(1)
    expect(compiled.plan(Buffer.from('b;a')).steps).toHaveLength(0)
  })

  test('planTo() ignores the rules', () => {
    const compiled = router(`${CLUSTERS} match * send to one;`)
    const planned = compiled.planTo([compiled.routing.clusters[2]!], Buffer.from('a'))
    expect(show(planned, compiled)).toEqual(['first a 0'])
  })
})
